"""
`tencent.cloudaudit`: Tencent Cloud CloudAudit events of every vintage, 2017 to today.

A record is the outer Event of DescribeEvents or LookUpEvents, whose CloudAuditEvent is the real event as JSON in a
string, or that inner event alone (deliveries to COS, CLS, CKafka). Rules see the inner event's fields at the top level,
plus the outer ones that have no inner twin. Where the inner event is unreadable, the outer fields stand in for it, and
the record is quarantined as well.

Sources of the facts: API documents cloud.tencent.com 629/54488 (DescribeEvents), 629/35340, tencentcloud.com 1021/40499
(event fields); tencentcloud-sdk-python-cloudaudit 3.1 models.Event; the examples in tccli 3.1 and tccli-intl-en 3.1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from engine.errors import DecodeError
from engine.event import Event, Fields, Identity, Record
from engine.kinds import Decoded, Field
from engine.kinds.decoder import check_size_and_depth, is_utf8, loads, without_bom
from engine.kinds.nested import Nested, container
from engine.kinds.redaction import TENCENT_ACCESS_KEY_IDS, Redactor
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
    epoch,
    readers,
)

NAME: Final = "tencent.cloudaudit"

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
_PLAIN_TWINS: Final = {outer: inner for outer, inner in TWINS.items() if inner.isalnum()}
_IDENTITY_TWINS: Final = {"Username": "userName", "AccountID": "accountId", "SecretId": "secretId"}
_OUTER_MARKS: Final = frozenset({"EventName", "EventId", "EventTime"})

# What differs between two readings of one event that has no id: stages of CloudAudit's own pipeline.
_NOT_BODY: Final = ("@timestamp", "updateEsTime")

# Error codes of a service that mean "you may not": the common codes of API 3.0 (tencentcloud.com 213/33281) and
# their sub-codes. Compared in lower case.
_DENIED: Final = ("unauthorizedoperation", "authfailure", "accessdenied", "unauthorized", "forbidden", "nopermission")
_SERVICE_NETWORKS: Final = ("9.", "10.", "127.", "169.254.", "192.168.", *(f"172.{n}." for n in range(16, 32)))


class _OuterHead(msgspec.Struct):
    EventId: Any = None
    EventName: Any = None
    EventTime: Any = None
    AccountID: Any = None
    CloudAuditEvent: str | None = None


class _IdentityHead(msgspec.Struct):
    accountId: Any = None  # noqa: N815 CloudAudit's name


class _InnerHead(msgspec.Struct):
    eventID: Any = None  # noqa: N815
    eventTime: Any = None  # noqa: N815
    eventName: Any = None  # noqa: N815
    userIdentity: _IdentityHead | None = None  # noqa: N815


_outer_head: Final = msgspec.json.Decoder(_OuterHead).decode
_inner_head: Final = msgspec.json.Decoder(_InnerHead).decode
_TEXTUAL: Final = (str, int)


class TencentCloudAudit:
    """The kind `tencent.cloudaudit`; see `engine.kinds.Kind`."""

    name: Final = NAME
    fields: Final[tuple[Field, ...]] = tuple(row.field for row in ROWS)

    def __init__(self, redaction_key: bytes) -> None:
        self._nested = Nested(Redactor(redaction_key, access_key_ids=TENCENT_ACCESS_KEY_IDS))
        self._text = TEXT.read(self._nested)
        self.readers: Mapping[str, Callable[[Any], Any]] = readers(ROWS, self._nested)
        """Each documented top-level field's way to its one type: what a projection applies to the fields it decodes."""

    def decode(self, record: Record) -> Decoded:
        """The identity of *record* now, its fields later. Never raises: what cannot be read is quarantined."""
        raw = without_bom(record.raw)
        try:
            check_size_and_depth(raw)
            if is_utf8(raw):
                event = self._fast(raw)
                if event is not None:
                    return Decoded(event)
            return self._slow(raw, record)
        except DecodeError as error:
            return Decoded(None, self._nested.quarantined(NAME, record, str(error)))

    def view(self, sample: Mapping[str, Any]) -> Fields:
        """The fields of a hand-written, possibly partial event, inner or outer, through the same decode."""
        value = loads(json.dumps(sample, default=str))
        outer, inner, _ = _apart(value)
        return self._fields(outer, inner)

    def evidence(self, raw: bytes) -> str:
        """The raw record as text for people: valid JSON where it was, secrets replaced."""
        return self._nested.raw(without_bom(raw))

    def field(self, name: str, value: Any) -> Any:
        """One top-level field of an inner event by itself, as `decode` would give it; None where it is absent."""
        read = self.readers.get(name)
        if read is not None:
            return read(value)
        return None if value is None else next(iter(self._nested.opened({name: value}).values()))

    def norm(self, fields: Fields) -> dict[str, Any]:
        """The `norm` object of *fields*, which need to hold no more than the fields named in NORM_READS."""
        identity = fields.get("userIdentity") or {}
        session = identity.get("sessionContext") or {}
        norm = (
            ("action", fields.get("eventName")),
            ("service", _service(fields)),
            ("outcome", _outcome(fields)),
            ("actor", _actor(identity)),
            ("actor_type", _actor_type(fields, identity)),
            ("account", identity.get("accountId") or session.get("ownerUin")),
            ("region", fields.get("eventRegion")),
            ("ip", _ip(fields, session)),
            ("time", fields.get("eventTime")),
            ("mfa", session.get("mfa")),
        )
        return {name: value for name, value in norm if value is not None and value != ""}

    def _fast(self, raw: bytes) -> Event | None:
        """The event, where its identity has the usual types; None where somebody must look closer."""
        try:
            outer = _outer_head(raw)
            text = outer.CloudAuditEvent
            if text is None:
                inner = _inner_head(raw)
            else:
                check_size_and_depth(text)
                inner = _inner_head(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None
        name = inner.eventName or outer.EventName
        event_id = outer.EventId or inner.eventID
        account = outer.AccountID or (inner.userIdentity and inner.userIdentity.accountId)
        time = epoch(outer.EventTime if inner.eventTime in (None, "") else inner.eventTime)
        if (
            name.__class__ is not str
            or event_id.__class__ is not str
            or account.__class__ not in _TEXTUAL
            or not account
            or time is None
            or b"u0000" in raw
            or (text is None and (outer.EventName, outer.EventId, outer.EventTime) != (None, None, None))
        ):
            return None
        redacted = self._nested.text  # these are shown; somebody may have called an API named like a key
        identity = Identity(NAME, redacted(str(account)), redacted(event_id))
        return Event(identity, time=time, name=redacted(name), raw=raw, decode=self._decode)

    def _slow(self, raw: bytes, record: Record) -> Decoded:
        value = loads(raw)
        outer, inner, reason = _apart(value)
        fields = self._fields(outer, inner)
        if not any(fields.get(name) for name in ("eventName", "eventID", "userIdentity")):
            raise DecodeError("no CloudAudit event: it has no eventName, no eventID and no userIdentity")
        outer_id = (outer or {}).get("EventId")
        event_id = self._text(outer_id) or fields.get("eventID") or _body_id(outer, inner)
        time = fields.get("eventTime")
        reasons = [reason] if reason else []
        if not is_utf8(raw):
            reasons.append("not UTF-8: the bytes that are none were replaced")
        if not fields.get("eventName"):
            reasons.append("it has no eventName")
        if time is None:
            reasons.append("it has no eventTime that can be read")
            time = fields.get("@timestamp") or (fields.get("updateEsTime") or 0) // 10**7
        event = Event(
            Identity(NAME, fields["norm"].get("account", ""), event_id),
            time=time,
            name=fields.get("eventName") or "",
            raw=raw,
            decode=self._decode,
        )
        quarantined = self._nested.quarantined(NAME, record, "; ".join(reasons)) if reasons else None
        return Decoded(event, quarantined)

    def _decode(self, raw: bytes) -> Fields:
        outer, inner, _ = _apart(loads(raw))
        return self._fields(outer, inner)

    def _fields(self, outer: dict[str, Any] | None, inner: dict[str, Any] | None) -> Fields:
        inner = _joined(outer, inner)
        known = self.readers
        fields: Fields = {"errorCode": "0", "apiErrorCode": "0"}
        others = None
        for name, value in inner.items():
            if value is None:
                continue
            read = known.get(name)
            if read is not None:
                uniform = read(value)
                if uniform is not None:
                    fields[name] = uniform
            else:
                if others is None:
                    others = {}
                others[name] = value
        if others is not None:
            for name, value in self._nested.opened(others).items():
                fields.setdefault(name, value)
        norm = fields["norm"] = self.norm(fields)
        account = self._text(outer.get("AccountID")) if outer is not None else None
        if account:
            norm["account"] = account  # as in the event's identity
        return fields


NORM_READS: Final = (
    "eventName", "resourceType", "eventSource", "errorCode", "apiErrorCode", "userIdentity", "eventPlatform",
    "eventRegion", "sourceIPAddress", "cliIp", "eventTime",
)  # fmt: skip


def build(redaction_key: bytes) -> TencentCloudAudit:
    return TencentCloudAudit(redaction_key)


def _apart(value: Any) -> tuple[dict[str, Any] | None, dict[str, Any] | None, str | None]:
    """The outer and the inner event of a record, and why there is no inner one where there should be."""
    if not isinstance(value, dict):
        raise DecodeError("not a JSON object")
    inner = value.get("CloudAuditEvent")
    if inner is None:
        if all(value.get(name) is None for name in _OUTER_MARKS):
            return None, value, None
        return value, None, "it has no CloudAuditEvent; the outer fields are used"
    if isinstance(inner, str):
        if not inner.strip():
            return value, None, "CloudAuditEvent is empty; the outer fields are used"
        try:
            inner = loads(inner)
        except DecodeError as error:
            return value, None, f"CloudAuditEvent is {error}; the outer fields are used"
        if isinstance(inner, str):
            inner = container(inner)
    if not isinstance(inner, dict):
        return value, None, "CloudAuditEvent is not a JSON object; the outer fields are used"
    return value, inner, None


def _joined(outer: dict[str, Any] | None, inner: dict[str, Any] | None) -> dict[str, Any]:
    """The inner event with what the outer one adds: fields without a twin, and twins that the inner one lacks."""
    if outer is None:
        return inner or {}
    joined = dict(inner or {})
    for name, value in outer.items():
        if name not in TWINS:
            joined.setdefault(name, value)
        elif name in _PLAIN_TWINS and joined.get(_PLAIN_TWINS[name]) in (None, ""):
            joined[_PLAIN_TWINS[name]] = value
    resource = outer.get("Resources")
    if isinstance(resource, str):
        resource = container(resource)
    if isinstance(resource, list):
        resource = resource[0] if resource else None
    if isinstance(resource, dict):
        for outer_name, name in (("ResourceType", "resourceType"), ("ResourceName", "resourceName")):
            if joined.get(name) is None and outer_name in resource:
                joined[name] = resource[outer_name]
    identity = joined.get("userIdentity")
    if isinstance(identity, str):
        identity = container(identity)
    if identity is None or isinstance(identity, dict):
        missing = {
            name: outer[outer_name]
            for outer_name, name in _IDENTITY_TWINS.items()
            if outer.get(outer_name) is not None and (identity is None or identity.get(name) in (None, ""))
        }
        if missing:
            joined["userIdentity"] = {**(identity or {}), **missing}
    return joined


def _body_id(outer: dict[str, Any] | None, inner: dict[str, Any] | None) -> str:
    """A stand-in for a missing eventID: the digest of what happened, the same wherever the event was read."""
    body = inner if inner is not None else outer or {}
    body = {name: value for name, value in body.items() if name not in _NOT_BODY}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return "body-" + hashlib.sha256(text.encode()).hexdigest()[:32]


def _service(fields: Fields) -> str | None:
    service = fields.get("resourceType") or fields.get("eventSource", "").partition(".")[0]
    return service.lower() if service else None


def _outcome(fields: Fields) -> str:
    if fields.get("errorCode", "0") != "0":
        return "denied"
    api_error = fields.get("apiErrorCode", "0")
    if api_error == "0":
        return "ok"
    lower = api_error.lower()
    return "denied" if any(mark in lower for mark in _DENIED) else "failed"


def _actor(identity: Mapping[str, Any]) -> str | None:
    if identity.get("type") == "Root":
        return "root"
    return identity.get("userName") or identity.get("principalId")


def _actor_type(fields: Fields, identity: Mapping[str, Any]) -> str:
    if fields.get("eventPlatform"):
        return "service"
    kind = identity.get("type", "").lower()
    if kind == "root":
        return "root"
    if kind in ("assumedrole", "role"):
        return "role"
    principal = identity.get("principalId")
    if principal and principal == identity.get("accountId"):
        return "root"  # a sub-user or a role has an id of its own
    if kind in ("camuser", "user", "subuser", "collaborator"):
        return "user"
    # Only where no type contradicts it: nothing keeps a sub-user from being called root.
    return "root" if not kind and identity.get("userName") == "root" else "unknown"


def _ip(fields: Fields, session: Mapping[str, Any]) -> str | None:
    """The caller's address: the first that is public, else the first that is an address at all."""
    first = None
    for text in (fields.get("sourceIPAddress"), fields.get("cliIp"), session.get("userIp")):
        if not text:
            continue
        address = text.partition(",")[0].strip()
        if not address or not _ADDRESS.issuperset(address):
            continue
        if not address.startswith(_SERVICE_NETWORKS):
            return str(address)
        first = first or address
    return first


_ADDRESS: Final = frozenset("0123456789abcdefABCDEF.:")
