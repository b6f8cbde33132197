"""The fields that CloudAudit events have, and how each is read: the tables from which docs/events.md is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.event import SEPARATOR
from engine.kinds.nested import Nested
from engine.kinds.uniform import (
    ACCESS_KEY_ID,
    CODE,
    FLAG,
    INTEGER,
    KNOWN_FLAG,
    OBJECT,
    OPEN,
    OPEN_LIST,
    SECRET_TEXT,
    TEXT,
    TEXTS,
    TIME,
    TIME_UTC,
    Read,
    Reader,
    Row,
)

OPENED: Final = ("requestParameters", "responseElements", "additionalEventData")  # read by OPEN

_IDENTITY_TYPES: Final = {
    "root": "Root",
    "user": "CAMUser",
    "camuser": "CAMUser",
    "assumedrole": "AssumedRole",
}


def _read_identity_type(nested: Nested) -> Read:
    read = TEXT.read(nested)

    def identity_type(value: Any) -> str | None:
        text = read(value)
        return None if text is None else _IDENTITY_TYPES.get(text.lower(), text)

    return identity_type


IDENTITY_TYPE: Final = Reader("string", _read_identity_type, "text; root, user and camuser in the spelling given here")

_VIEW = "tencentcloud.com/document/product/1021/40499"
_EVENTS = "cloud.tencent.com/document/api/629/54488"
_SEEN = "example events"

ROWS: Final[tuple[Row, ...]] = (
    Row("eventID", TEXT, "id of the event, given by CloudAudit: what makes two records the same event", source=_VIEW),
    Row("eventName", TEXT, "the API action, or a name of the console: `ConsoleLogin`, `RunInstances`", source=_VIEW),
    Row("eventTime", TIME, "when it happened", seen='1680513809, "1680513809", "2019-03-20 12:36:27"', source=_VIEW),
    Row(
        "eventSource",
        TEXT,
        "host that was called: `cvm.tencentcloudapi.com`; ConsoleCall: `….api.tencentyun.com`",
        source=_VIEW,
    ),
    Row("eventRegion", TEXT, "region, `ap-guangzhou`; short names such as `gz` in 2017", source=_VIEW),
    Row(
        "eventType",
        TEXT,
        "where the call came from",
        values=("ApiCall", "ConsoleCall", "MiniProgramCall"),
        source=_VIEW,
    ),
    Row("eventVersion", TEXT, "format of the event: `2`; `1.0` in 2017", seen='2, "1.0"', source=_VIEW),
    Row("actionType", TEXT, "whether it changes something; absent in 2017", values=("Read", "Write"), source=_VIEW),
    Row("resourceType", TEXT, "short name of the product: `cvm`, `cam`", source=_VIEW),
    Row("resourceName", TEXT, "resources by id, joined by `|`: `volume/*|snapshot/snap-1`", source=_VIEW),
    Row("resources", TEXTS, "resources as QCS names, or `*`", seen='"[\\"*\\"]", "*", ""', source=_VIEW),
    Row("resourceSet", OPEN_LIST, "resources as objects; empty in all examples", source=_SEEN),
    Row("requestID", TEXT, "id of the request; equals eventID today", seen="uuid, integer in 2017", source=_VIEW),
    Row(
        "requestParameters",
        OPEN,
        "what was asked: the API's own parameters",
        seen='JSON text, object in 2017, ""',
        source=_VIEW,
    ),
    Row("responseElements", OPEN, "what was answered; 2023 and later", seen="JSON text, absent", source=_VIEW),
    Row("additionalEventData", OPEN, "more about the event", source=_SEEN),
    Row(
        "errorCode",
        CODE,
        "error of the signature or of the authorisation (CAM); `'0'` is success, also where it is absent",
        seen='0, "0"',
        source=_VIEW,
        always=True,
    ),
    Row("errorMessage", TEXT, "its text; `permission verify` stands there on success too", source=_VIEW),
    Row(
        "apiErrorCode",
        CODE,
        "error of the called service; `'0'` is success, also where it is absent",
        seen='0, "0", ""',
        source=_VIEW,
        always=True,
    ),
    Row("apiErrorMessage", TEXT, "its text", source=_VIEW),
    Row("apiVersion", TEXT, "version of the cloud API: `3.0`, `2.0`", source=_VIEW),
    Row("httpMethod", TEXT, "method of the request", source=_VIEW),
    Row("userAgent", TEXT, "client: `SDK_GO_1.0.374`; `SDK_NODEJS_0.2.1` is the console", source=_VIEW),
    Row(
        "sourceIPAddress",
        TEXT,
        "address of the caller; a `9.…` one is the console's back end; may be empty",
        source=_VIEW,
    ),
    Row("cliIp", TEXT, "address of the client; 2021 and later", source=_SEEN),
    Row("sensitiveAction", FLAG, "on Tencent Cloud's list of sensitive operations", seen='"1", "", 1, 0', source=_VIEW),
    Row("eventPlatform", FLAG, "done by Tencent Cloud itself", seen='"0"', source=_VIEW),
    Row("isRisk", FLAG, "risk control; its meaning is not documented", seen='"0"', source=_SEEN),
    Row("ruleId", TEXT, "risk control; its meaning is not documented", seen='"0"', source=_SEEN),
    Row("onlyRecordNotSeen", FLAG, "not documented", seen='"0"', source=_SEEN),
    Row("authMode", TEXT, "`0` in console events, `2` in API events; not documented", source=_SEEN),
    Row("cloudapi", FLAG, "internal", seen="0, 1", source=_SEEN),
    Row("auth", FLAG, "internal", seen="0, 1", source=_SEEN),
    Row("signature", FLAG, "internal", seen="0, 1", source=_SEEN),
    Row("region", TEXT, "internal; empty in 2019", source=_SEEN),
    Row("tags", OPEN_LIST, "tags of the resources, objects of key and value", seen='[""], JSON text', source=_VIEW),
    Row(
        "@timestamp",
        TIME_UTC,
        "when CloudAudit took it in; absent in 2023",
        seen='"2021-01-15T07:35:59.115042"',
        source=_SEEN,
    ),
    Row("updateEsTime", INTEGER, "when it became visible, epoch × 10⁷, exact; absent in 2023", source=_SEEN),
    Row("userIdentity", OBJECT, "who did it", source=_VIEW),
    Row(
        "userIdentity.type",
        IDENTITY_TYPE,
        "what the caller is; other spellings stay as they are",
        values=(),
        seen="Root, root, CAMUser, user, AssumedRole",
        source=_VIEW,
    ),
    Row(
        "userIdentity.principalId",
        TEXT,
        "uin of the account or of the sub-user, or the role's id",
        seen="text, integer in 2019",
        source=_VIEW,
    ),
    Row("userIdentity.accountId", TEXT, "uin of the account", seen="text, integer in 2019", source=_VIEW),
    Row("userIdentity.userName", TEXT, "`root`; name or uin of the sub-user; name of the role", source=_VIEW),
    Row("userIdentity.secretId", ACCESS_KEY_ID, "key that signed: `AKID…`; empty for service calls", source=_VIEW),
    Row(
        "userIdentity.sessionContext",
        OBJECT,
        "the session of a console call",
        seen='JSON text, object until 2019, ""',
        source=_VIEW,
    ),
    Row("userIdentity.sessionContext.token", SECRET_TEXT, "session token", source=_SEEN),
    Row("userIdentity.sessionContext.ua", TEXT, "digest of the browser", source=_SEEN),
    Row("userIdentity.sessionContext.userIp", TEXT, "address of the person", source=_SEEN),
    Row("userIdentity.sessionContext.uin", TEXT, "uin of the person", seen="integer, text in 2017", source=_SEEN),
    Row("userIdentity.sessionContext.ownerUin", TEXT, "uin of the account", seen="integer, text in 2017", source=_SEEN),
    Row("userIdentity.sessionContext.appId", TEXT, "APPID of the account", seen="integer, text in 2017", source=_SEEN),
    Row("userIdentity.sessionContext.expireTime", TIME, "when the session ends", source=_SEEN),
    Row(
        "userIdentity.sessionContext.mfa",
        KNOWN_FLAG,
        "a second factor was verified in this session",
        seen='0, 1, "0"',
        source=_SEEN,
    ),
    Row(
        "userIdentity.sessionContext.mfaExpireTime", TIME, "until when; absent for `0000-00-00 00:00:00`", source=_SEEN
    ),
    Row("userIdentity.sessionContext.interfaceName", TEXT, "internal", source=_SEEN),
    Row(
        "userIdentity.sessionContext.hasPolicyFilter",
        FLAG,
        "the session is limited by a policy",
        seen='0, "0"',
        source=_SEEN,
    ),
    Row("userIdentity.sessionContext.policyFilter", OPEN, "that policy", source=_SEEN),
    Row("userIdentity.sessionContext.extraInfo", OBJECT, "more about the session", seen='JSON text, ""', source=_SEEN),
    Row("userIdentity.sessionContext.extraInfo.dictId", TEXT, "internal", source=_SEEN),
    Row(
        "userIdentity.sessionContext.extraInfo.mfaExpireTime", TIME, "until when the second factor holds", source=_SEEN
    ),
    Row("userIdentity.sessionContext.extraInfo.sessionUin", TEXT, "internal", source=_SEEN),
    Row("Location", TEXT, "place of the address, in words; only when asked for", source=_EVENTS),
    Row("ResourceRegion", TEXT, "region of the resource", source=_EVENTS),
    Row("ResourceTypeCn", TEXT, "name of the product, in the site's language", source=_EVENTS),
    Row("EventNameCn", TEXT, "name of the action, in the site's language", source=_EVENTS),
)

# Outer field -> where its inner twin stands. An outer value is used only where the inner one is absent.
TWINS: Final[Mapping[str, str]] = {
    "EventId": "eventID",
    "EventName": "eventName",
    "EventTime": "eventTime",
    "ErrorCode": "errorCode",
    "RequestID": "requestID",
    "SourceIPAddress": "sourceIPAddress",
    "EventSource": "eventSource",
    "EventRegion": "eventRegion",
    "Username": "userIdentity.userName",
    "AccountID": "userIdentity.accountId",
    "SecretId": "userIdentity.secretId",
    "Resources": "resourceType, resourceName",
    "CloudAuditEvent": "the whole inner event",
}
PLAIN_TWINS: Final = {outer: inner for outer, inner in TWINS.items() if inner.isalnum()}
IDENTITY_TWINS: Final = {"Username": "userName", "AccountID": "accountId", "SecretId": "secretId"}
IDENTITY_OUTER: Final = {name: outer for outer, name in IDENTITY_TWINS.items()}
OUTER_TWINS: Final = {inner: outer for outer, inner in PLAIN_TWINS.items()}
OUTER_MARKS: Final = frozenset({"EventName", "EventId", "EventTime"})

TYPES: Final = {row.path: row.reader.type for row in ROWS if row.reader.type != "any"}
TYPES_BY_PATH: Final = {row.path.replace(".", SEPARATOR): row.reader.type for row in ROWS}
HIDDEN: Final = frozenset(
    row.path.replace(".", SEPARATOR) for row in ROWS if row.reader in (ACCESS_KEY_ID, SECRET_TEXT)
)  # what is made of these depends on the redaction key
OBJECTS: Final = frozenset(path for path, kind in TYPES_BY_PATH.items() if kind == "object")
