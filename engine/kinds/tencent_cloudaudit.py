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
from functools import lru_cache
from typing import Any, Final

from engine.errors import DecodeError
from engine.event import SEPARATOR, Event, Fields, Identity, Record, UniformView, View
from engine.kinds import NORM_FIELDS, Decoded, Field, Schema, Token
from engine.kinds.decoder import UNREADABLE, check_size_and_depth, is_shallow, is_utf8, loads, without_bom
from engine.kinds.nested import OF_UUIDS, Nested, container
from engine.kinds.projection import (
    NOT_PROJECTED,
    OPENERS,
    UNSET,
    At,
    LazyView,
    Lean,
    NotLean,
    Plan,
    Projection,
    attribute,
    from_field,
    from_path,
    from_whole,
    opened_member,
    plainly_named,
    remember,
    stored,
)
from engine.kinds.redaction import TENCENT_ACCESS_KEY_IDS, Redactor
from engine.kinds.uniform import (
    ACCESS_KEY_ID,
    CODE,
    FLAG,
    INTEGER,
    KNOWN_FLAG,
    MAX_TIME,
    OBJECT,
    OPEN,
    OPEN_LIST,
    SECRET_TEXT,
    TEXT,
    TEXTS,
    TIME,
    TIME_UTC,
    ObjectReader,
    Read,
    Reader,
    Row,
    epoch,
    readers,
)

NAME: Final = "tencent.cloudaudit"

_OPENED: Final = ("requestParameters", "responseElements", "additionalEventData")  # read by OPEN

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
_OUTER_TWINS: Final = {inner: outer for outer, inner in _PLAIN_TWINS.items()}
_OUTER_MARKS: Final = frozenset({"EventName", "EventId", "EventTime"})

# What differs between two readings of one event that has no id: stages of CloudAudit's own pipeline.
_NOT_BODY: Final = ("@timestamp", "updateEsTime")

_ROW_TYPES: Final = {row.path: row.reader.type for row in ROWS if row.reader.type != "any"}
_ROW_TYPES_BY_PATH: Final = {row.path.replace(".", SEPARATOR): row.reader.type for row in ROWS}
_HIDDEN: Final = frozenset(
    row.path.replace(".", SEPARATOR) for row in ROWS if row.reader in (ACCESS_KEY_ID, SECRET_TEXT)
)  # what is made of these depends on the redaction key
_OBJECTS: Final = frozenset(path for path, kind in _ROW_TYPES_BY_PATH.items() if kind == "object")


def _peeked(written: Any, key: str) -> Any:
    """
    What stands under *key*, a plain name in quotes, in an object that is *written* as JSON, by a quick look.

    None: nothing. The class `list`: a list or nothing, since what the key stands in may lie deeper. True: who knows.
    """
    if written.__class__ is not str or written[:1] not in ("{", "") or "\\" in written:
        return True
    place = written.find(key)
    if place < 0:
        return None
    place += len(key)
    begins = written[place : place + 3].removeprefix(":").removeprefix(" ")
    return list if begins[:1] == "[" and written.find(key, place) < 0 else True


SCHEMA: Final = Schema(
    types={path.replace(".", SEPARATOR): kind for path, kind in {**_ROW_TYPES, **NORM_FIELDS}.items()},
    name_path="eventName",
    aliases={f"norm{SEPARATOR}action": "eventName"},
    costs={
        **{row.path: 1 for row in ROWS},
        "errorCode": 0, "eventName": 0, "eventRegion": 0, "userIdentity": 3, "norm": 4,
        f"norm{SEPARATOR}outcome": 1, f"norm{SEPARATOR}service": 2, f"userIdentity{SEPARATOR}sessionContext": 6,
        "requestParameters": 7, "responseElements": 8, "additionalEventData": 7,
    },
    token=lambda path: _token(path),  # noqa: PLW0108 it stands further down
    lean="v.inner",
    holders={
        "inner": "v.inner",
        "identity": "inner.f_userIdentity",
    },
    helpers={"peeked": _peeked},
)  # fmt: skip

# Error codes of a service that mean "you may not": the common codes of API 3.0 (tencentcloud.com 213/33281) and
# their sub-codes. Compared in lower case.
_DENIED: Final = ("unauthorizedoperation", "authfailure", "accessdenied", "unauthorized", "forbidden", "nopermission")
_SERVICE_NETWORKS: Final = ("9.", "10.", "127.", "169.254.", "192.168.", *(f"172.{n}." for n in range(16, 32)))


# What every event is asked for: its identity. `Projection` adds what rules read.
_OUTER_HEAD: Final = {
    "EventId": Any, "EventName": Any, "EventTime": Any, "AccountID": Any, "CloudAuditEvent": str | None,
}  # fmt: skip
_INNER_HEAD: Final = {"eventID": Any, "eventTime": Any, "eventName": Any}
_IDENTITY_HEAD: Final = {"userIdentity": {"accountId": Any}}
_identity_of: Final = tuple.__new__  # of a NamedTuple, in half the time of its own
_ABSENT: Final = (None, UNSET)
_BLANK: Final = (None, "", UNSET)
_LIKELY: Final = 10**11  # epoch seconds; larger numbers are milliseconds
_SHORT: Final = 128  # characters of a text that is remembered with what it is read as


class TencentCloudAudit:
    """The kind `tencent.cloudaudit`; see `engine.kinds.Kind`."""

    name: Final = NAME
    fields: Final[tuple[Field, ...]] = tuple(row.field for row in ROWS)

    def __init__(self, redaction_key: bytes) -> None:
        self._nested = Nested(Redactor(redaction_key, access_key_ids=TENCENT_ACCESS_KEY_IDS))
        self.text = TEXT.read(self._nested)
        self.readers: Mapping[str, Callable[[Any], Any]] = readers(ROWS, self._nested)
        """Each documented top-level field's way to its one type: what a view applies to the fields it decodes."""
        self.outer = Projection(_OUTER_HEAD)
        self.outer_more = Projection({})
        self.lean = Projection(_INNER_HEAD, _IDENTITY_HEAD)
        self.more = Projection({}, _IDENTITY_HEAD)
        self.identity = Projection({"userIdentity": Any})
        self.inside = {name: Projection({}) for name in (*_OPENED, "sessionContext")}
        """Of the objects that are JSON in texts of the inner event, what rules read of them."""
        self.plans: dict[str, Plan] = {}
        self._shown: dict[str, str] = {}  # names and accounts as they may be shown; bounded: callers choose them

    def decode(self, record: Record) -> Decoded:
        """The identity of *record* now, its fields later. Never raises: what cannot be read is quarantined."""
        raw = record.raw
        event = self._fast(raw)
        if event is not None:
            return Decoded(event)
        try:
            raw = without_bom(raw)
            check_size_and_depth(raw)
            return self._slow(raw, record)
        except DecodeError as error:
            return Decoded(None, self._nested.quarantined(NAME, record, str(error)))

    def view(self, sample: Mapping[str, Any]) -> Fields:
        """The fields of a hand-written, possibly partial event, inner or outer, through the same decode."""
        value = loads(json.dumps(sample, default=str))
        outer, inner, _ = _apart(value)
        return self.fields_of(outer, inner)

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
        norm = ((name, read(fields, identity, session)) for name, read in _NORM.items())
        return {name: value for name, value in norm if value is not None and value != ""}

    def plan(self, path: str) -> Plan:
        """How a view of an event reads *path*: the same value as the full decode has there."""
        names = path.split(SEPARATOR)
        top, below = names[0], names[1:]
        if any("\ufffd" in name for name in names):
            return from_whole(names)  # a NUL in the record may have become that
        if top == "norm":
            return _norm_plan(below[0]) if len(below) == 1 else from_whole(names)
        read = self.readers.get(top)
        if read is None:
            return from_whole(names)  # not documented: others beside it can say that it is a secret
        if not below:
            return _field_plan(top, read)
        if isinstance(read, ObjectReader):
            return _member_plan(read, below) or from_field(names)
        if top in _OPENED and plainly_named(below, self._nested):
            return _opened_plan(top, below, self._nested)
        return from_field(names)

    def _fast(self, raw: bytes) -> Event | None:
        """The event, where its identity has the usual types; None where somebody must look closer."""
        if not is_shallow(raw):
            return None
        try:
            outer = self.outer.decode(raw)
            text = outer.f_CloudAuditEvent
            if text.__class__ is not str:
                if (outer.f_EventName, outer.f_EventId, outer.f_EventTime) != (UNSET, UNSET, UNSET):
                    return None
                raw.decode()  # what is skipped is not looked at; of the outer event that is translations
                outer, text = None, raw
            inner = self.lean.decode(text)
        except UNREADABLE:
            return None
        name, time, event_id = inner.f_eventName, inner.f_eventTime, inner.f_eventID
        account: Any = None
        if outer is not None:
            event_id, account = outer.f_EventId or event_id, outer.f_AccountID
            if name in _BLANK:
                name = outer.f_EventName
            if time.__class__ is not int and time in _BLANK:
                time = outer.f_EventTime
        if not account or account is UNSET:
            account = getattr(inner.f_userIdentity, "f_accountId", None)
        if time.__class__ is not int or not 0 <= time < _LIKELY:
            time = epoch(time)
            if time is None:
                return None
        if event_id.__class__ is not str or not event_id or name.__class__ is not str:
            return None
        if event_id.strip(OF_UUIDS):  # somebody may have called an API named like a key, and all this is shown
            if "\x00" in event_id:
                return None
            event_id = self._nested.text(event_id)
        if account.__class__ is int:
            account = str(account)
        try:
            shown, shown_account = self._shown[name], self._shown[account]
        except (KeyError, TypeError):
            shown, shown_account = self._plain(name), self._plain(account)
            if not shown or not shown_account:
                return None
        identity = _identity_of(Identity, (NAME, shown_account, event_id))
        return Event(identity, time, shown, raw, self.whole, _Lean(self, raw, text, None, outer, inner))

    def _plain(self, text: Any) -> str:
        """How the name of an event, or an account, is shown; empty for what takes a closer look."""
        if text.__class__ is not str or not text or "\x00" in text:
            return ""
        shown = self._nested.text(text)
        if len(text) <= _SHORT:
            remember(self._shown, text, shown)
        return shown

    def _slow(self, raw: bytes, record: Record) -> Decoded:
        value = loads(raw)
        outer, inner, reason = _apart(value)
        fields = self.fields_of(outer, inner)
        if not any(fields.get(name) for name in ("eventName", "eventID", "userIdentity")):
            raise DecodeError("no CloudAudit event: it has no eventName, no eventID and no userIdentity")
        outer_id = (outer or {}).get("EventId")
        event_id = self.text(outer_id) or fields.get("eventID") or _body_id(outer, inner)
        time = fields.get("eventTime")
        reasons = [reason] if reason else []
        if not is_utf8(raw):
            reasons.append("not UTF-8: the bytes that are none were replaced")
        if not fields.get("eventName"):
            reasons.append("it has no eventName")
        if time is None:
            reasons.append("it has no eventTime that can be read")
            seen = (fields.get("updateEsTime") or 0) // 10**7
            time = fields.get("@timestamp") or min(max(seen, 0), MAX_TIME)
        event = Event(
            Identity(NAME, fields["norm"].get("account", ""), event_id),
            time=time,
            name=fields.get("eventName") or "",
            raw=raw,
            decode=self.whole,
            seen=UniformView(fields),
        )
        quarantined = self._nested.quarantined(NAME, record, "; ".join(reasons)) if reasons else None
        return Decoded(event, quarantined)

    def whole(self, raw: bytes) -> Fields:
        """All fields of a record. Raises DecodeError if it is none."""
        outer, inner, _ = _apart(loads(raw))
        return self.fields_of(outer, inner)

    def fields_of(self, outer: dict[str, Any] | None, inner: dict[str, Any] | None) -> Fields:
        """All fields of an event in its two parts, of which one may be missing."""
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
        account = self.text(outer.get("AccountID")) if outer is not None else None
        if account:
            norm["account"] = account  # as in the event's identity
        return fields


NORM_READS: Final = (
    "eventName", "resourceType", "eventSource", "errorCode", "apiErrorCode", "userIdentity", "eventPlatform",
    "eventRegion", "sourceIPAddress", "cliIp", "eventTime",
)  # fmt: skip

NORM_FROM: Final[Mapping[str, tuple[str, ...]]] = {  # field of `norm` -> those of a record that it is made of
    "action": ("eventName",),
    "service": ("resourceType", "eventSource"),
    "outcome": ("errorCode", "apiErrorCode"),
    "actor": ("userIdentity.type", "userIdentity.userName", "userIdentity.principalId"),
    "actor_type": (
        "eventPlatform", "userIdentity.type", "userIdentity.principalId", "userIdentity.accountId",
        "userIdentity.userName",
    ),
    "account": ("AccountID", "userIdentity.accountId", "userIdentity.sessionContext.ownerUin"),
    "region": ("eventRegion",),
    "ip": ("sourceIPAddress", "cliIp", "userIdentity.sessionContext.userIp"),
    "time": ("eventTime",),
    "mfa": ("userIdentity.sessionContext.mfa",),
}  # fmt: skip


_SHARED: Final = ("identity", "session", "opened")  # what several paths begin with, once it has been looked at


class _Lean(Lean, gc=False):
    """*outer* is None where the record is an inner event alone."""

    outer: Any
    inner: Any

    def _make(self) -> View:
        return _View(self.kind, self.raw, self.outer, self.inner, self.text)


class _View(LazyView):
    """
    A record of CloudAudit by path. *outer* is None where the record is an inner event alone.

    The slots of _OPENED and sessionContext are structs of `kind.inside`, once something has been read of them.
    """

    __slots__ = (
        "additionalEventData", "identity", "inner", "opened", "outer", "outer_more", "requestParameters",
        "responseElements", "session", "sessionContext",
    )  # fmt: skip

    identity: Any
    session: Any
    opened: Any

    def __init__(self, kind: TencentCloudAudit, raw: bytes, outer: Any, inner: Any, text: str | bytes) -> None:
        self.kind = kind
        self.raw = raw
        self.outer = outer
        self.inner = inner
        self.text = text

    def __getattr__(self, slot: str) -> Any:
        """Slots that are filled when something is read; made for every event, a view sets no more than it must."""
        value = UNSET if slot in _SHARED else None
        setattr(self, slot, value)
        return value

    @property
    def whole(self) -> Fields:
        """All fields. Raises DecodeError if the bytes turn out not to be an event."""
        if self._whole is None:
            outer, inner, reason = _apart(loads(self.raw))
            if reason is not None:  # such as depth that only escapes hid from the quick look
                raise DecodeError(reason)
            self._whole = self.kind.fields_of(outer, inner)
        return self._whole

    def shape(self, path: str) -> Any:
        """As `view[path]`, but that the items of a list are as they came."""
        top, _, name = path.partition(SEPARATOR)
        if path not in self and top in _OPENED and SEPARATOR not in name and _plainly(name):
            try:
                text = _written(self, attribute(top), top)
            except UNREADABLE:
                return self[path]
            if text.__class__ is str and text != "":
                value = _inside(self, top, text, name)
                if value.__class__ is list:
                    return value
        return self[path]


def _written(view: _View, slot: str, name: str) -> Any:
    """The field *name* as it stands in the inner event; UNSET where it does not."""
    value = getattr(view.inner, slot, NOT_PROJECTED)
    return view.kind.more.get(view, "more", view.text, name) if value is NOT_PROJECTED else value


def _of_outer(view: _View, name: str) -> Any:
    """A field of the outer event; UNSET where there is none."""
    return UNSET if view.outer is None else view.kind.outer_more.get(view, "outer_more", view.raw, name)


def _field_of(name: str) -> Callable[[_View], Any]:
    """The field *name* before it is read, with what the outer event says where the inner one does not; see _joined."""
    slot, twin = attribute(name), _OUTER_TWINS.get(name)

    def field(view: _View) -> Any:
        value = _written(view, slot, name)
        if value in _BLANK and view.outer is not None:
            if value is UNSET:
                value = _of_outer(view, name)
            if twin is not None and value in _BLANK:
                other = _of_outer(view, twin)
                value = value if other is UNSET else other
        return stored(view, value)

    return field


def _field_plan(name: str, read: Read) -> Plan:
    if name == "userIdentity":
        return lambda view: read(_identity(view))
    field = _field_of(name)
    if name in ("errorCode", "apiErrorCode"):
        return lambda view: "0" if (value := field(view)) in _ABSENT else read(value)
    if name in ("resourceType", "resourceName"):
        return _resource_plan(name, read)

    slot = attribute(name)
    known: dict[str, Any] = {}  # what texts are read as: most come again and again

    def plan(view: _View) -> Any:
        raw = getattr(view.inner, slot, NOT_PROJECTED)
        if raw is NOT_PROJECTED:
            raw = _written(view, slot, name)
        if raw.__class__ is str and (found := known.get(raw, UNSET)) is not UNSET:
            return found
        value = field(view)
        value = None if value is UNSET else read(value)
        # An empty text may stand for what the outer event says.
        if raw.__class__ is str and raw != "" and len(raw) <= _SHORT:
            remember(known, raw, value)
        return value

    return plan


def _resource_plan(name: str, read: Read) -> Plan:
    """The outer event's Resources can stand in for these two: rare, so left to the full decode."""

    field = _field_of(name)

    def plan(view: _View) -> Any:
        value = field(view)
        if value is None or value is UNSET:
            return view.whole.get(name) if _of_outer(view, "Resources") not in _BLANK else None
        return read(value)

    return plan


_IDENTITY_OUTER: Final = {name: outer for outer, name in _IDENTITY_TWINS.items()}


def _identity(view: _View) -> Any:
    """`userIdentity` before it is read, with the outer event's twins of its members."""
    if view.identity is UNSET:
        value = _raw_identity(view)
        value = None if value is UNSET else value
        outer = view.outer
        if outer is not None:
            opened = container(value) if isinstance(value, str) else value
            if opened is None or isinstance(opened, dict):
                missing = {}
                for twin, name in _IDENTITY_TWINS.items():
                    if opened is None or opened.get(name) in (None, ""):
                        other = _of_outer(view, twin)
                        if other is not UNSET and other is not None:
                            missing[name] = stored(view, other)
                if missing:
                    value = {**(opened or {}), **missing}
        view.identity = value
    return view.identity


def _raw_identity(view: _View) -> Any:
    return stored(view, view.kind.identity.decode(view.text).f_userIdentity)


def _identity_member(view: _View, name: str, slot: str, twin: str | None) -> Any:
    """A member of `userIdentity` before it is read, or the outer event's twin of it; None where there is none."""
    value = getattr(view.inner.f_userIdentity, slot, NOT_PROJECTED)
    if value is NOT_PROJECTED:
        value = view.kind.more.get_member(view, "more", view.text, "userIdentity", name)
    if value in _BLANK:
        if twin is not None and view.outer is not None:
            other = _of_outer(view, twin)
            if other is not UNSET and other is not None:
                return stored(view, other)
        return None if value is UNSET else value
    return stored(view, value)


def _member_plan(read: ObjectReader, names: list[str]) -> Plan | None:
    """A documented member of userIdentity, or of the session in it; None for what only the whole object tells."""
    member = read.members.get(names[0])
    if member is None:
        return None
    if len(names) == 1:
        known: dict[str, Any] = {}
        name, slot, twin = names[0], attribute(names[0]), _IDENTITY_OUTER.get(names[0])

        def plan(view: _View) -> Any:
            raw = _identity_member(view, name, slot, twin)
            if raw.__class__ is not str:
                return member(raw)
            found = known.get(raw, UNSET)
            if found is not UNSET:
                return found
            value = member(raw)
            if len(raw) <= _SHORT:
                remember(known, raw, value)
            return value

        return plan
    if names[0] != "sessionContext" or len(names) != 2 or not isinstance(member, ObjectReader):
        return None
    detail = member.members.get(names[1])
    if detail is None:
        return None

    name = names[1]

    def session_plan(view: _View) -> Any:
        raw = _session_member(view, name)
        if raw is not UNSET:
            return detail(raw)
        if view.session is UNSET:
            raw = read.raw(_identity(view))
            view.session = None if raw is None else member.raw(raw.get("sessionContext"))
        return None if view.session is None else detail(view.session.get(name))

    return session_plan


def _session_member(view: _View, name: str) -> Any:
    """A member of the session as it is written, None where there is none; UNSET where that cannot be told from here."""
    text = getattr(view.inner.f_userIdentity, "f_sessionContext", NOT_PROJECTED)
    if text is NOT_PROJECTED:
        text = _identity_member(view, "sessionContext", "f_sessionContext", None)
    if text is None or text == "" or text is UNSET:
        return None
    return UNSET if text.__class__ is not str else _inside(view, "sessionContext", text, name)


def _inside(view: _View, field: str, text: str, name: str) -> Any:
    """What the object that *text* is has under *name*: None where it has nothing, UNSET where that cannot be told."""
    try:
        value = view.kind.inside[field].member(view, field, text, name)
    except NotLean:
        return UNSET
    return None if value is UNSET else value


def _opened_plan(top: str, names: list[str], nested: Nested) -> Plan:
    """A member of a field that is JSON in a text, such as requestParameters; the text is opened once per event."""
    field = _field_of(top)
    first, rest, plain = names[0], names[1:], _is_plain(names[0])
    slot = attribute(top)
    known: dict[str, Any] = {}

    def plan(view: _View) -> Any:
        text = _written(view, slot, top)
        if text.__class__ is str and text != "":
            # A name that does not occur in the text is not in the object: escapes and percent-encoding aside.
            if plain and first not in text and text[0] == "{" and not ("\\" in text and "\\u" in text):
                return None
            value = _inside(view, top, text, first)
            if value is not UNSET:
                if value.__class__ is not str or rest:
                    return opened_member(value, rest, nested, 3)
                found = known.get(value, UNSET)
                if found is UNSET:
                    found = nested.opened(value, 3)
                    if len(value) <= _SHORT:
                        remember(known, value, found)
                return found
        return opened_otherwise(view)

    def opened_otherwise(view: _View) -> Any:
        memo = view.opened
        if memo is UNSET:
            memo = view.opened = {}
        try:
            raw, depth = memo[top]
        except KeyError:
            raw, depth = field(view), 1
            if raw.__class__ is str:
                # A name that does not occur in the text is not in the object: escapes and percent-encoding aside.
                if plain and first not in raw and raw[:1] == "{" and not ("\\" in raw and "\\u" in raw):
                    return None
                inner = container(raw) if raw[:1] in OPENERS else None
                if inner is not None:
                    raw, depth = inner, 2
            memo[top] = raw, depth
        if raw.__class__ is not dict:
            return None
        return opened_member(raw, names, nested, depth)

    return plan


_IDENTITY: Final = f"userIdentity{SEPARATOR}"
_SESSION: Final = f"{_IDENTITY}sessionContext{SEPARATOR}"
_SESSION_NAMES: Final = ["userIdentity", "sessionContext"]
_NORM_SAME: Final = {"action": "eventName", "region": "eventRegion", "time": "eventTime", "mfa": f"{_SESSION}mfa"}


def _token(path: str) -> Token | None:
    """See Schema.token. Of a blank field the outer event may have something to say, so it tells nothing."""
    found = _NORM_TOKENS.get(path)
    if found is not None:
        return found
    path = _NORM_SAME.get(path.removeprefix(_NORM_PREFIX), path) if path.startswith(_NORM_PREFIX) else path
    names = path.split(SEPARATOR)
    if names[0] in _OPENED and len(names) > 1 and _is_plain(names[1]) and plainly_named(names[1:], _ANY_KEY):
        return Token((f"peeked(inner.f_{names[0]}, '\"{names[1]}\"')",), _is_none, (path,))
    if path not in _ROW_TYPES_BY_PATH or path in _HIDDEN:
        return None
    if len(names) == 1 and names[0] not in _OPENED and path not in _OBJECTS:
        return Token((f"inner.{attribute(names[0])}",), _tells if names[0] in _OUTER_TWINS else _is_there, (path,))
    if len(names) == 2 and path not in _OBJECTS:
        return Token(
            (f"identity.{attribute(names[1])}",), _tells if names[1] in _IDENTITY_OUTER else _is_there, (path,)
        )
    return None


def _tells(token: Any) -> bool:
    """Whether the outer event has no say."""
    return token not in _BLANK


def _is_none(token: Any) -> bool:
    return token is None


@lru_cache(maxsize=4096)
def _plainly(name: str) -> bool:
    return plainly_named([name], _ANY_KEY)


def _is_plain(name: str) -> bool:
    """Whether *name* stands in JSON text as it is, if that has no escapes."""
    return name.isascii() and name.replace("_", "").isalnum()


def _is_there(token: Any) -> bool:
    return token is not UNSET and token is not None


def _tells_outcome(error: Any, api_error: Any) -> bool:
    return _tells(error) and _is_there(api_error)


def _tells_actor_type(*values: Any) -> bool:
    """Where all is written as texts, and nothing is left for the outer event to say."""
    return all(value.__class__ is str for value in values) and bool(values[3] and values[4])


_ANY_KEY: Final = Nested(Redactor(b""))  # what is a secret's name does not depend on the key
_NORM_PREFIX: Final = f"norm{SEPARATOR}"
_NORM_TOKENS: Final[Mapping[str, Token]] = {
    f"{_NORM_PREFIX}outcome": Token(
        ("inner.f_errorCode", "inner.f_apiErrorCode"), _tells_outcome, ("errorCode", "apiErrorCode")
    ),
    f"{_NORM_PREFIX}actor_type": Token(
        (
            "inner.f_eventPlatform",
            "identity.f_type",
            "identity.f_principalId",
            "identity.f_accountId",
            "identity.f_userName",
        ),
        _tells_actor_type,
        ("eventPlatform", *(f"{_IDENTITY}{name}" for name in ("type", "principalId", "accountId", "userName"))),
    ),
    f"{_NORM_PREFIX}service": Token(("inner.f_resourceType",), _tells, ("resourceType",)),
}
_NORM_OF_TWO: Final = {"outcome": ("errorCode", "apiErrorCode"), "service": ("resourceType", "eventSource")}


def _plan_of_two(read: Callable[[Members, Members, Members], Any], first: str, second: str) -> Plan:
    """A value that two fields tell, of which the pairs come again and again."""
    known: dict[Any, Any] = {}

    def plan(view: _View) -> Any:
        pair = view[first], view[second]
        found = known.get(pair, UNSET)
        if found is not UNSET:
            return found
        value = read({name: item for name, item in zip((first, second), pair, strict=True) if item is not None}, {}, {})
        value = None if value == "" else value
        if sum(len(item) for item in pair if item is not None) <= _SHORT:
            remember(known, pair, value)
        return value

    return plan


def _plan_of_actor_type(read: Callable[[Members, Members, Members], Any]) -> Plan:
    """The same of a caller, of whom most come again and again."""
    known: dict[Any, str] = {}

    def plan(view: _View) -> Any:
        inner = view.inner
        try:
            who = inner.f_userIdentity
            caller = inner.f_eventPlatform, who.f_type, who.f_principalId, who.f_accountId, who.f_userName
            found = known.get(caller)
        except (AttributeError, TypeError):  # not decoded as usual, or nothing to remember it by
            return read(At(view), At(view, _IDENTITY), At(view, _SESSION))
        if found is None:
            found = read(At(view), At(view, _IDENTITY), At(view, _SESSION))
            if _tells_actor_type(*caller) and sum(map(len, caller)) <= 2 * _SHORT:
                remember(known, caller, found)
        return found

    return plan


def _norm_plan(name: str) -> Plan:
    same = _NORM_SAME.get(name)
    if same is not None:
        return from_path(same)
    read = _NORM.get(name)
    if read is None:
        return lambda _: None
    if name in _NORM_OF_TWO:
        return _plan_of_two(read, *_NORM_OF_TWO[name])
    if name == "actor_type":
        return _plan_of_actor_type(read)

    def plan(view: _View) -> Any:
        if name == "account" and view.outer is not None and view.outer.f_AccountID not in _BLANK:
            account = view.kind.text(stored(view, view.outer.f_AccountID))
            if account:
                return account
        value = read(At(view), At(view, _IDENTITY), At(view, _SESSION))
        return None if value == "" else value

    return plan


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


def _service(fields: Members) -> str | None:
    service = fields.get("resourceType") or fields.get("eventSource", "").partition(".")[0]
    return service.lower() if service else None


def _outcome(fields: Members) -> str:
    if fields.get("errorCode", "0") != "0":
        return "denied"
    api_error = fields.get("apiErrorCode", "0")
    if api_error == "0":
        return "ok"
    lower = api_error.lower()
    return "denied" if any(mark in lower for mark in _DENIED) else "failed"


def _actor(identity: Members) -> str | None:
    if identity.get("type") == "Root":
        return "root"
    return identity.get("userName") or identity.get("principalId")


def _actor_type(fields: Members, identity: Members) -> str:
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


def _ip(fields: Members, session: Members) -> str | None:
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


Members = Mapping[str, Any] | At
_NORM: Final[Mapping[str, Callable[[Members, Members, Members], Any]]] = {
    "action": lambda fields, _identity, _session: fields.get("eventName"),
    "service": lambda fields, _identity, _session: _service(fields),
    "outcome": lambda fields, _identity, _session: _outcome(fields),
    "actor": lambda _fields, identity, _session: _actor(identity),
    "actor_type": lambda fields, identity, _session: _actor_type(fields, identity),
    "account": lambda _fields, identity, session: identity.get("accountId") or session.get("ownerUin"),
    "region": lambda fields, _identity, _session: fields.get("eventRegion"),
    "ip": lambda fields, _identity, session: _ip(fields, session),
    "time": lambda fields, _identity, _session: fields.get("eventTime"),
    "mfa": lambda _fields, _identity, session: session.get("mfa"),
}
