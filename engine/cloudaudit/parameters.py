"""
What each action takes, and within which limits: checked before anything is sent.

Pure, so that both sides of the API can use it. A broken limit raises the documented error with the documented code;
where the documentation names none, the common code of the family (InvalidParameter, InvalidParameterValue …).
Sources: the page of each action (DescribeEvents 629/54488 and 1021/42703, CreateAuditTrack 1021/45906, ModifyAuditTrack
1021/45904, DescribeAuditTrack 1021/52596, CreateAudit 1021/34208); tencentcloud-sdk-python-cloudaudit 3.1, models.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.cloudaudit.codes import (
    InvalidParameterTime,
    InvalidParameterValueAttributeKey,
    InvalidParameterValueAuditNameError,
    InvalidParameterValueCmqRegionError,
    InvalidParameterValueCosNameError,
    InvalidParameterValueCosRegionError,
    InvalidParameterValueIsCreateNewBucketError,
    InvalidParameterValueIsCreateNewQueueError,
    InvalidParameterValueIsEnableCmqNotifyError,
    InvalidParameterValueKmsRegionError,
    InvalidParameterValueLogFilePrefixError,
    InvalidParameterValueMaxResult,
    InvalidParameterValueQueueNameError,
    InvalidParameterValueReadWriteAttributeError,
    InvalidParameterValueTime,
    LimitExceededOverTime,
    MissingParameterCmq,
    MissingParameterMissAuditName,
    MissingParameterMissCosBucketName,
    MissingParameterMissCosRegion,
)
from engine.cloudaudit.errors import (
    ApiError,
    InvalidAction,
    InvalidParameter,
    InvalidParameterValue,
    MissingParameter,
    UnknownParameter,
)

MAX_RESULTS = 50  # events on one page
LONGEST_SPAN = 30 * 86_400  # seconds; EndTime - StartTime must stay below it
OLDEST_START = 90 * 86_400  # seconds before now
REQUESTS_PER_SECOND = 20  # of each action
MOST_EVENT_NAMES = 10  # of one tracking set
LARGEST_UINT64 = 2**64 - 1

# By the request's page, the data type's page, and (the last two) Tencent's Terraform provider. ReadOnly, Username and
# EventId are only on the international site's list.
ATTRIBUTE_KEYS = (
    "RequestId",
    "EventName",
    "ActionType",
    "PrincipalId",
    "ResourceType",
    "ResourceId",
    "ResourceName",
    "AccessKeyId",
    "SensitiveAction",
    "ApiErrorCode",
    "CamErrorCode",
    "SourceIPAddress",
    "Tags",
    "ReadOnly",
    "Username",
    "EventId",
    "OnlyRecordNotSeen",
    "EventPlatform",
)

_REGION = r"[a-z]{2,8}(-[a-z0-9]+)*"  # ap-shanghai-fsi; CMQ also takes short ones: sh
_PREFIX = r"[A-Za-z0-9]{3,40}"
_BUCKET = r"[a-z0-9]([a-z0-9-]{0,%d}[a-z0-9])?"

Shape = Literal["integer", "string", "strings", "attributes", "storage"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an action, or one field of a structure within."""

    name: str
    shape: Shape
    required: bool = False
    values: tuple[int | str, ...] = ()  # all that are allowed
    between: tuple[int, int] | None = None  # both ends are allowed
    pattern: str | None = None  # of the whole string
    limit: str = ""  # the limit in words, for the message
    broken: type[ApiError] = InvalidParameterValue  # raised when the value is not allowed
    mistyped: type[ApiError] = InvalidParameter  # raised when the type is wrong
    missing: type[ApiError] = MissingParameter  # raised when it is required and absent


@dataclass(frozen=True, slots=True)
class Action:
    """One action of the API: what it takes, whether it changes anything, and rules across its parameters."""

    name: str
    parameters: tuple[Parameter, ...]
    writes: bool = False
    rule: Callable[[Mapping[str, Any], int], None] | None = None  # (parameters, now)


def check(action: str, parameters: Mapping[str, Any], now: int) -> None:
    """
    Raises the documented ApiError if *parameters* break a limit of *action*; *now* is epoch seconds.

    The error's `parameter` names the culprit. Null counts as absent, as it does for Tencent's SDKs.
    """
    found = ACTIONS.get(action)
    if found is None:
        raise InvalidAction(f"CloudAudit 2019-03-19 has no action {action!r}", action=action)
    given = {name: value for name, value in parameters.items() if value is not None}
    try:
        _check_fields(found.parameters, given, "")
        if found.rule is not None:
            found.rule(given, now)
    except ApiError as error:
        # The rules do not know whose they are; say it once, here.
        raise type(error)(error.message, code=error.code, action=action, parameter=error.parameter) from None


def _check_fields(known: tuple[Parameter, ...], given: Mapping[str, Any], within: str) -> None:
    names = {parameter.name for parameter in known}
    for name in given:
        if name not in names:
            raise UnknownParameter(f"there is no parameter {within}{name}", parameter=within + name)
    for parameter in known:
        value = given.get(parameter.name)
        if value is not None:
            _check_value(parameter, value, within + parameter.name)
        elif parameter.required:
            raise parameter.missing(f"{within}{parameter.name} is required", parameter=within + parameter.name)


def _check_value(parameter: Parameter, value: Any, name: str) -> None:
    if not _is_of_type(parameter.shape, value):
        wanted = {"integer": "a whole number", "string": "a string", "strings": "a list of strings"}
        want = wanted.get(parameter.shape, "a list of structures" if parameter.shape == "attributes" else "a structure")
        raise parameter.mistyped(f"{name} must be {want}", parameter=name)
    allowed = (
        (not parameter.values or value in parameter.values)
        and (parameter.between is None or parameter.between[0] <= value <= parameter.between[1])
        and (parameter.pattern is None or re.fullmatch(parameter.pattern, value) is not None)
    )
    if not allowed:
        raise parameter.broken(f"{name} must be {parameter.limit or _limit(parameter)}", parameter=name)
    if parameter.shape == "storage":
        _check_storage(value, name)
    elif parameter.shape == "attributes":
        _check_attributes(value, name)


def _limit(parameter: Parameter) -> str:
    if parameter.values:
        return " or ".join(str(value) for value in parameter.values)
    low, high = parameter.between or (0, 0)
    return f"from {low} to {high}" if high < LARGEST_UINT64 else f"a whole number from {low}"


def _is_of_type(wanted: Shape, value: Any) -> bool:
    match wanted:
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "strings":
            return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        case "attributes":
            return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)
        case "storage":
            return isinstance(value, Mapping)


# Structures


_STORAGE = (
    Parameter("StorageType", "string", required=True, values=("cos", "cls", "ckafka")),
    Parameter(
        "StorageRegion",
        "string",
        required=True,
        pattern=_REGION,
        limit="a region, such as ap-guangzhou",
        broken=InvalidParameterValueCosRegionError,
    ),
    Parameter("StorageName", "string", required=True),
    Parameter("StoragePrefix", "string", required=True, pattern=_PREFIX, limit="3 to 40 letters and digits"),
    Parameter("StorageAccountId", "string"),
    Parameter("StorageAppId", "string"),
    Parameter("Compress", "integer", values=(1, 2), limit="1 (compress) or 2 (do not)"),
)
_STORAGE_NAMES = {
    "cos": (_BUCKET % 48, "a bucket's name without -APPID: at most 50 lower-case letters, digits and -"),
    "cls": (r".{1,50}", "a CLS topic's id: 1 to 50 characters"),
    "ckafka": (r"ckafka-[^/\s]+/[^/\s]+", "an instance and a topic: ckafka-xxxxxx/topic"),
}

_ATTRIBUTE = (
    Parameter(
        "AttributeKey",
        "string",
        required=True,
        values=ATTRIBUTE_KEYS,
        limit=f"one of {', '.join(ATTRIBUTE_KEYS)}",
        broken=InvalidParameterValueAttributeKey,
    ),
    Parameter("AttributeValue", "string"),
)


def _check_storage(storage: Mapping[str, Any], name: str) -> None:
    given = {key: value for key, value in storage.items() if value is not None}
    _check_fields(_STORAGE, given, f"{name}.")
    pattern, limit = _STORAGE_NAMES[given["StorageType"]]
    if re.fullmatch(pattern, given["StorageName"]) is None:
        message = f"{name}.StorageName must be {limit}"
        raise InvalidParameterValue(message, parameter=f"{name}.StorageName")


def _check_attributes(attributes: list[Mapping[str, Any]], name: str) -> None:
    for index, attribute in enumerate(attributes):
        given = {key: value for key, value in attribute.items() if value is not None}
        _check_fields(_ATTRIBUTE, given, f"{name}.{index}.")


# Rules across parameters


def _check_window(given: Mapping[str, Any], now: int) -> None:
    start, end = given["StartTime"], given["EndTime"]
    if start > end:
        raise InvalidParameterValueTime("StartTime is after EndTime", parameter="StartTime")
    if end - start >= LONGEST_SPAN:
        message = "EndTime must be less than 30 days after StartTime"
        raise LimitExceededOverTime(message, parameter="EndTime")
    if start < now - OLDEST_START:
        message = "StartTime is more than 90 days ago: older events are no longer there"
        raise LimitExceededOverTime(message, parameter="StartTime")


def _check_event_names(given: Mapping[str, Any], _now: int) -> None:
    names = given.get("EventNames")
    if names is None:
        return
    if given.get("ResourceType") == "*" and list(names) != ["*"]:
        message = 'EventNames must be ["*"] when ResourceType is "*"'
        raise InvalidParameterValue(message, parameter="EventNames")
    if not names or len(names) > MOST_EVENT_NAMES or not all(names) or ("*" in names and len(names) > 1):
        message = f'EventNames must be ["*"] or 1 to {MOST_EVENT_NAMES} names'
        raise InvalidParameterValue(message, parameter="EventNames")


def _check_audit(given: Mapping[str, Any], _now: int) -> None:
    _check_queue(given)
    if given.get("IsEnableKmsEncry") == 1:
        for name in ("KmsRegion", "KeyId"):
            if not given.get(name):
                raise MissingParameter(f"with IsEnableKmsEncry 1, {name} is required", parameter=name)
    if given.get("KmsRegion") and given["KmsRegion"] != given["CosRegion"]:
        message = "KmsRegion must be the same as CosRegion"
        raise InvalidParameterValueKmsRegionError(message, parameter="KmsRegion")


def _check_queue(given: Mapping[str, Any]) -> None:
    queue = ("IsCreateNewQueue", "CmqQueueName", "CmqRegion")
    if given["IsEnableCmqNotify"] == 1:
        for name in queue:
            if given.get(name) in (None, ""):
                raise MissingParameterCmq(f"with IsEnableCmqNotify 1, {name} is required", parameter=name)
        return
    for name in queue:
        if name in given:
            raise InvalidParameter(f"with IsEnableCmqNotify 0, {name} may not be given", parameter=name)


# Actions


def _time(name: str) -> Parameter:
    # Eleven digits of seconds reach the year 5138: a larger number was meant as milliseconds.
    return Parameter(
        name,
        "integer",
        required=True,
        between=(0, 99_999_999_999),
        limit="whole epoch seconds (not milliseconds)",
        broken=InvalidParameterTime,
        mistyped=InvalidParameterTime,
        missing=InvalidParameterTime,
    )


def _track(*, required: bool) -> tuple[Parameter, ...]:
    return (
        Parameter(
            "Name",
            "string",
            required,
            pattern=r"[A-Za-z0-9_-]{3,48}",
            limit="3 to 48 letters, digits, - and _",
        ),
        Parameter("ActionType", "string", required, values=("Read", "Write", "*")),
        Parameter("ResourceType", "string", required, pattern=r"\*|[A-Za-z0-9_-]+", limit='one product, or "*"'),
        Parameter("Status", "integer", required, values=(0, 1), limit="1 (on) or 0 (off)"),
        Parameter("EventNames", "strings", required),
        Parameter("Storage", "storage", required),
        Parameter("TrackForAllMembers", "integer", values=(0, 1), limit="1 (members too) or 0"),
        Parameter("ExportId", "string"),
    )


def _switch(name: str, *, required: bool = False, broken: type[ApiError] = InvalidParameterValue) -> Parameter:
    return Parameter(name, "integer", required, values=(0, 1), limit="1 (yes) or 0 (no)", broken=broken)


_TRACK_ID = Parameter("TrackId", "integer", required=True, between=(0, LARGEST_UINT64))

_AUDIT = (
    Parameter(
        "AuditName",
        "string",
        required=True,
        pattern=r"[A-Za-z0-9_]{3,128}",
        limit="3 to 128 letters, digits and _",
        broken=InvalidParameterValueAuditNameError,
        missing=MissingParameterMissAuditName,
    ),
    Parameter(
        "CosBucketName",
        "string",
        required=True,
        pattern=_BUCKET % 38,
        limit="1 to 40 lower-case letters, digits and -, not at either end",
        broken=InvalidParameterValueCosNameError,
        missing=MissingParameterMissCosBucketName,
    ),
    Parameter(
        "CosRegion",
        "string",
        required=True,
        pattern=_REGION,
        limit="a region, such as ap-shanghai",
        broken=InvalidParameterValueCosRegionError,
        missing=MissingParameterMissCosRegion,
    ),
    _switch("IsCreateNewBucket", required=True, broken=InvalidParameterValueIsCreateNewBucketError),
    _switch("IsEnableCmqNotify", required=True, broken=InvalidParameterValueIsEnableCmqNotifyError),
    Parameter(
        "ReadWriteAttribute",
        "integer",
        required=True,
        values=(1, 2, 3),
        limit="1 (read), 2 (write) or 3 (both)",
        broken=InvalidParameterValueReadWriteAttributeError,
    ),
    Parameter(
        "LogFilePrefix",
        "string",
        pattern=rf"({_PREFIX})?",  # empty: the account's id is the prefix
        limit="3 to 40 letters and digits",
        broken=InvalidParameterValueLogFilePrefixError,
    ),
    _switch("IsCreateNewQueue", broken=InvalidParameterValueIsCreateNewQueueError),
    Parameter(
        "CmqQueueName",
        "string",
        pattern=r"([A-Za-z][A-Za-z0-9-]{0,63})?",  # the rule across parameters says when empty will not do
        limit="at most 64 letters, digits and -, a letter first",
        broken=InvalidParameterValueQueueNameError,
    ),
    Parameter(
        "CmqRegion",
        "string",
        pattern=rf"({_REGION})?",
        limit="a CMQ region, such as gz",
        broken=InvalidParameterValueCmqRegionError,
    ),
    _switch("IsEnableKmsEncry"),
    Parameter(
        "KmsRegion",
        "string",
        pattern=rf"({_REGION})?",
        limit="a KMS region, the bucket's",
        broken=InvalidParameterValueKmsRegionError,
    ),
    Parameter("KeyId", "string"),
)

_DESCRIBE_EVENTS = (
    _time("StartTime"),
    _time("EndTime"),
    Parameter("NextToken", "integer", between=(0, LARGEST_UINT64)),
    Parameter(
        "MaxResults",
        "integer",
        between=(1, MAX_RESULTS),
        broken=InvalidParameterValueMaxResult,
        mistyped=InvalidParameterValueMaxResult,
    ),
    Parameter("LookupAttributes", "attributes"),
    Parameter("IsReturnLocation", "integer", values=(0, 1), limit="1 (fill Location) or 0"),
)

_PAGE = (
    Parameter("PageNumber", "integer", required=True, between=(1, LARGEST_UINT64)),
    Parameter("PageSize", "integer", required=True, between=(1, LARGEST_UINT64)),
)

ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        Action("DescribeEvents", _DESCRIBE_EVENTS, rule=_check_window),
        Action("CreateAuditTrack", _track(required=True), writes=True, rule=_check_event_names),
        Action("ModifyAuditTrack", (_TRACK_ID, *_track(required=False)), writes=True, rule=_check_event_names),
        Action("DeleteAuditTrack", (_TRACK_ID,), writes=True),
        Action("DescribeAuditTrack", (_TRACK_ID,)),
        Action("DescribeAuditTracks", _PAGE),
        Action("CreateAudit", _AUDIT, writes=True, rule=_check_audit),
    )
}
