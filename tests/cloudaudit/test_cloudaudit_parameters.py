"""The documented limits, each with the documented error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cloudaudit.errors import ApiError
from engine.cloudaudit.parameters import ACTIONS, ATTRIBUTE_KEYS, check

NOW = 1_700_000_000
DAY = 86_400
WINDOW = {"StartTime": NOW - 3600, "EndTime": NOW}
STORAGE = {"StorageType": "cls", "StorageRegion": "ap-guangzhou", "StorageName": "topic-id", "StoragePrefix": "audit"}
TRACK = {
    "Name": "all-writes",
    "ActionType": "Write",
    "ResourceType": "*",
    "Status": 1,
    "EventNames": ["*"],
    "Storage": STORAGE,
}
AUDIT = {
    "AuditName": "auditTest_1",
    "CosBucketName": "cos-01",
    "CosRegion": "ap-shanghai",
    "IsCreateNewBucket": 1,
    "IsEnableCmqNotify": 0,
    "ReadWriteAttribute": 2,
}
CMQ = {"IsEnableCmqNotify": 1, "IsCreateNewQueue": 1, "CmqQueueName": "cmq-01", "CmqRegion": "sh"}


def refusal(action: str, parameters: dict[str, Any]) -> tuple[str, str]:
    """The code and the parameter that *parameters* are refused with; ("", "") if they are not."""
    try:
        check(action, parameters, NOW)
    except ApiError as error:
        return error.code, error.parameter
    return "", ""


@pytest.mark.parametrize(
    ("change", "code", "parameter"),
    [
        ({"StartTime": None}, "InvalidParameter.Time", "StartTime"),
        ({"EndTime": None}, "InvalidParameter.Time", "EndTime"),
        ({"StartTime": str(NOW)}, "InvalidParameter.Time", "StartTime"),
        ({"StartTime": float(NOW - 60)}, "InvalidParameter.Time", "StartTime"),
        ({"StartTime": True}, "InvalidParameter.Time", "StartTime"),
        ({"StartTime": -1}, "InvalidParameter.Time", "StartTime"),
        ({"EndTime": NOW * 1000}, "InvalidParameter.Time", "EndTime"),
        ({"StartTime": NOW + 1}, "InvalidParameterValue.Time", "StartTime"),
        ({"StartTime": NOW - 30 * DAY}, "LimitExceeded.OverTime", "EndTime"),
        ({"StartTime": NOW - 90 * DAY - 1, "EndTime": NOW - 80 * DAY}, "LimitExceeded.OverTime", "StartTime"),
        ({"MaxResults": 0}, "InvalidParameterValue.MaxResult", "MaxResults"),
        ({"MaxResults": 51}, "InvalidParameterValue.MaxResult", "MaxResults"),
        ({"MaxResults": "50"}, "InvalidParameterValue.MaxResult", "MaxResults"),
        ({"NextToken": 2**64}, "InvalidParameterValue", "NextToken"),
        ({"NextToken": 1.6e16}, "InvalidParameter", "NextToken"),
        ({"IsReturnLocation": 2}, "InvalidParameterValue", "IsReturnLocation"),
        ({"LookupAttributes": {"AttributeKey": "EventName"}}, "InvalidParameter", "LookupAttributes"),
        (
            {"LookupAttributes": [{"AttributeKey": "eventName", "AttributeValue": "x"}]},
            "InvalidParameterValue.attributeKey",
            "LookupAttributes.0.AttributeKey",
        ),
        ({"LookupAttributes": [{"AttributeValue": "x"}]}, "MissingParameter", "LookupAttributes.0.AttributeKey"),
        (
            {
                "LookupAttributes": [
                    {"AttributeKey": "EventName"},
                    {"AttributeKey": "ApiErrorCode", "AttributeValue": 0},
                ]
            },
            "InvalidParameter",
            "LookupAttributes.1.AttributeValue",
        ),
        ({"Limit": 5}, "UnknownParameter", "Limit"),
    ],
)
def test_a_search_beyond_the_limits_is_refused_with_the_documented_code(
    change: dict[str, Any], code: str, parameter: str
) -> None:
    assert refusal("DescribeEvents", WINDOW | change) == (code, parameter)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"StartTime": NOW},
        {"StartTime": NOW - 30 * DAY + 1},
        {"StartTime": NOW - 90 * DAY, "EndTime": NOW - 61 * DAY},
        {"EndTime": NOW + 60},
        {"MaxResults": 1},
        {"MaxResults": 50},
        {"NextToken": 16106961641644206},
        {"NextToken": 2**64 - 1},
        {"NextToken": None},
        {"IsReturnLocation": 1},
        {"LookupAttributes": []},
        {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": "1"} for key in ATTRIBUTE_KEYS]},
        {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": None}]},
    ],
)
def test_a_search_within_the_limits_is_not_refused(change: dict[str, Any]) -> None:
    assert refusal("DescribeEvents", WINDOW | change) == ("", "")


@pytest.mark.parametrize(
    ("change", "code", "parameter"),
    [
        ({"Name": "ab"}, "InvalidParameterValue", "Name"),
        ({"Name": "a" * 49}, "InvalidParameterValue", "Name"),
        ({"Name": "with space"}, "InvalidParameterValue", "Name"),
        ({"Name": "newline\n"}, "InvalidParameterValue", "Name"),
        ({"Name": None}, "MissingParameter", "Name"),
        ({"ActionType": "write"}, "InvalidParameterValue", "ActionType"),
        ({"ResourceType": ""}, "InvalidParameterValue", "ResourceType"),
        ({"Status": 2}, "InvalidParameterValue", "Status"),
        ({"Status": True}, "InvalidParameter", "Status"),
        ({"EventNames": []}, "InvalidParameterValue", "EventNames"),
        ({"EventNames": ["RunInstances"]}, "InvalidParameterValue", "EventNames"),
        ({"ResourceType": "cvm", "EventNames": ["*", "RunInstances"]}, "InvalidParameterValue", "EventNames"),
        ({"ResourceType": "cvm", "EventNames": [f"E{i}" for i in range(11)]}, "InvalidParameterValue", "EventNames"),
        ({"EventNames": "*"}, "InvalidParameter", "EventNames"),
        ({"Storage": "cls"}, "InvalidParameter", "Storage"),
        ({"Storage": None}, "MissingParameter", "Storage"),
        ({"Storage": STORAGE | {"StorageType": "s3"}}, "InvalidParameterValue", "Storage.StorageType"),
        ({"Storage": STORAGE | {"StoragePrefix": "ab"}}, "InvalidParameterValue", "Storage.StoragePrefix"),
        ({"Storage": STORAGE | {"StoragePrefix": "cloud-audit"}}, "InvalidParameterValue", "Storage.StoragePrefix"),
        ({"Storage": STORAGE | {"StorageName": ""}}, "InvalidParameterValue", "Storage.StorageName"),
        ({"Storage": STORAGE | {"StorageName": None}}, "MissingParameter", "Storage.StorageName"),
        ({"Storage": STORAGE | {"Compress": 0}}, "InvalidParameterValue", "Storage.Compress"),
        (
            {"Storage": STORAGE | {"StorageRegion": "Guangzhou"}},
            "InvalidParameterValue.CosRegionError",
            "Storage.StorageRegion",
        ),
        (
            {"Storage": STORAGE | {"StorageType": "cos", "StorageName": "Bucket"}},
            "InvalidParameterValue",
            "Storage.StorageName",
        ),
        (
            {"Storage": STORAGE | {"StorageType": "ckafka", "StorageName": "topic"}},
            "InvalidParameterValue",
            "Storage.StorageName",
        ),
        ({"Storage": STORAGE | {"Bucket": "b"}}, "UnknownParameter", "Storage.Bucket"),
        ({"TrackForAllMembers": 2}, "InvalidParameterValue", "TrackForAllMembers"),
    ],
)
def test_a_tracking_set_beyond_the_limits_is_refused(change: dict[str, Any], code: str, parameter: str) -> None:
    assert refusal("CreateAuditTrack", TRACK | change) == (code, parameter)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"Name": "a-_" + "9" * 45},
        {"ActionType": "*", "TrackForAllMembers": 1, "ExportId": "20250707_163212_1hxW"},
        {"ResourceType": "cam", "EventNames": [f"Event{i}" for i in range(10)]},
        {"Storage": STORAGE | {"StorageType": "cos", "StorageName": "a-bucket", "Compress": 1}},
        {"Storage": STORAGE | {"StorageType": "ckafka", "StorageName": "ckafka-abc123/topic"}},
        {"Storage": STORAGE | {"StorageAccountId": "100000000001", "StorageAppId": "1250000000", "Compress": 2}},
    ],
)
def test_a_tracking_set_within_the_limits_is_not_refused(change: dict[str, Any]) -> None:
    assert refusal("CreateAuditTrack", TRACK | change) == ("", "")


@pytest.mark.parametrize(
    ("change", "code", "parameter"),
    [
        ({"AuditName": None}, "MissingParameter.MissAuditName", "AuditName"),
        ({"AuditName": "audit-1"}, "InvalidParameterValue.AuditNameError", "AuditName"),
        ({"AuditName": "a" * 129}, "InvalidParameterValue.AuditNameError", "AuditName"),
        ({"CosBucketName": None}, "MissingParameter.MissCosBucketName", "CosBucketName"),
        ({"CosBucketName": "-cos"}, "InvalidParameterValue.CosNameError", "CosBucketName"),
        ({"CosBucketName": "Cos"}, "InvalidParameterValue.CosNameError", "CosBucketName"),
        ({"CosBucketName": "c" * 41}, "InvalidParameterValue.CosNameError", "CosBucketName"),
        ({"CosRegion": None}, "MissingParameter.MissCosRegion", "CosRegion"),
        ({"CosRegion": "上海"}, "InvalidParameterValue.CosRegionError", "CosRegion"),
        ({"IsCreateNewBucket": None}, "MissingParameter", "IsCreateNewBucket"),
        ({"IsCreateNewBucket": 2}, "InvalidParameterValue.IsCreateNewBucketError", "IsCreateNewBucket"),
        ({"IsEnableCmqNotify": 2}, "InvalidParameterValue.IsEnableCmqNotifyError", "IsEnableCmqNotify"),
        ({"ReadWriteAttribute": 0}, "InvalidParameterValue.ReadWriteAttributeError", "ReadWriteAttribute"),
        ({"LogFilePrefix": "ab"}, "InvalidParameterValue.LogFilePrefixError", "LogFilePrefix"),
        ({"LogFilePrefix": "a_b_c"}, "InvalidParameterValue.LogFilePrefixError", "LogFilePrefix"),
        ({"CmqQueueName": "cmq-01"}, "InvalidParameter", "CmqQueueName"),
        ({"IsCreateNewQueue": 0}, "InvalidParameter", "IsCreateNewQueue"),
        (CMQ | {"IsCreateNewQueue": None}, "MissingParameter.cmq", "IsCreateNewQueue"),
        (CMQ | {"CmqQueueName": ""}, "MissingParameter.cmq", "CmqQueueName"),
        (CMQ | {"CmqRegion": None}, "MissingParameter.cmq", "CmqRegion"),
        (CMQ | {"CmqQueueName": "1st"}, "InvalidParameterValue.QueueNameError", "CmqQueueName"),
        (CMQ | {"CmqQueueName": "q" * 65}, "InvalidParameterValue.QueueNameError", "CmqQueueName"),
        (CMQ | {"CmqRegion": "!"}, "InvalidParameterValue.CmqRegionError", "CmqRegion"),
        (CMQ | {"IsCreateNewQueue": 3}, "InvalidParameterValue.IsCreateNewQueueError", "IsCreateNewQueue"),
        ({"IsEnableKmsEncry": 1}, "MissingParameter", "KmsRegion"),
        ({"IsEnableKmsEncry": 1, "KmsRegion": "ap-shanghai"}, "MissingParameter", "KeyId"),
        (
            {"IsEnableKmsEncry": 1, "KmsRegion": "ap-beijing", "KeyId": "k"},
            "InvalidParameterValue.KmsRegionError",
            "KmsRegion",
        ),
        ({"IsEnableKmsEncry": 7}, "InvalidParameterValue", "IsEnableKmsEncry"),
    ],
)
def test_a_legacy_tracking_set_beyond_the_limits_is_refused(change: dict[str, Any], code: str, parameter: str) -> None:
    assert refusal("CreateAudit", AUDIT | change) == (code, parameter)


@pytest.mark.parametrize(
    "change",
    [
        {},
        CMQ,
        {"LogFilePrefix": ""},
        {"LogFilePrefix": "akshsb1j"},
        {"IsEnableKmsEncry": 1, "KmsRegion": "ap-shanghai", "KeyId": "a-key"},
        {"IsEnableKmsEncry": 0},
    ],
)
def test_a_legacy_tracking_set_within_the_limits_is_not_refused(change: dict[str, Any]) -> None:
    assert refusal("CreateAudit", AUDIT | change) == ("", "")


def test_modifying_checks_what_is_given_and_asks_for_nothing_else() -> None:
    assert refusal("ModifyAuditTrack", {"TrackId": 21915, "Status": 0}) == ("", "")
    assert refusal("ModifyAuditTrack", {"Status": 0}) == ("MissingParameter", "TrackId")
    assert refusal("ModifyAuditTrack", {"TrackId": 1, "Name": "x"}) == ("InvalidParameterValue", "Name")


def test_an_action_that_the_api_does_not_have_is_refused() -> None:
    assert refusal("DropAllTables", {}) == ("InvalidAction", "")


def test_pages_of_tracking_sets_begin_with_one() -> None:
    assert refusal("DescribeAuditTracks", {"PageNumber": 0, "PageSize": 10}) == ("InvalidParameterValue", "PageNumber")


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = sorted({parameter.name for action in ACTIONS.values() for parameter in action.parameters})


@given(action=st.sampled_from(sorted(ACTIONS)), parameters=st.dictionaries(st.sampled_from(names), json, max_size=8))
def test_whatever_is_given_is_taken_or_refused_with_a_code(action: str, parameters: dict[str, Any]) -> None:
    code, parameter = refusal(action, parameters)

    assert bool(code) == bool(parameter)
