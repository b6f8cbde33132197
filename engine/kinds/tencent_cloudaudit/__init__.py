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

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.errors import DecodeError
from engine.event import Event, Fields, Identity, Record, UniformView
from engine.kinds import Decoded, Field
from engine.kinds.decoder import UNREADABLE, is_shallow, is_utf8, loads
from engine.kinds.decoding import Decoding, new_identity
from engine.kinds.nested import Nested, Shown
from engine.kinds.projection import UNSET, Plan, Projection
from engine.kinds.redaction import TENCENT_ACCESS_KEY_IDS, Redactor
from engine.kinds.tencent_cloudaudit.fields import OPENED, ROWS, TWINS
from engine.kinds.tencent_cloudaudit.joining import apart, body_id, joined
from engine.kinds.tencent_cloudaudit.norm import NORM, NORM_FROM, NORM_READS
from engine.kinds.tencent_cloudaudit.tokens import BLANK, SCHEMA
from engine.kinds.tencent_cloudaudit.view import LeanCloudAudit, plan_of
from engine.kinds.uniform import MAX_TIME, TEXT, epoch, readers

__all__ = ["NAME", "NORM_FROM", "NORM_READS", "ROWS", "SCHEMA", "TWINS", "LeanCloudAudit", "TencentCloudAudit", "build"]

NAME: Final = "tencent.cloudaudit"

# What every event is asked for: its identity. `Projection` adds what rules read.
_OUTER_HEAD: Final = {
    "EventId": Any, "EventName": Any, "EventTime": Any, "AccountID": Any, "CloudAuditEvent": str | None,
}  # fmt: skip
_INNER_HEAD: Final = {"eventID": Any, "eventTime": Any, "eventName": Any}
_IDENTITY_HEAD: Final = {"userIdentity": {"accountId": Any}}
_LIKELY: Final = 10**11  # epoch seconds; larger numbers are milliseconds


class TencentCloudAudit(Decoding):
    """The kind `tencent.cloudaudit`; see `engine.kinds.Kind`."""

    name = NAME
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
        self.inside = {name: Projection({}) for name in (*OPENED, "sessionContext")}
        """Of the objects that are JSON in texts of the inner event, what rules read of them."""
        self.plans: dict[str, Plan] = {}
        self._shown = Shown(self._nested)

    def view(self, sample: Mapping[str, Any]) -> Fields:
        """The fields of a hand-written, possibly partial event, inner or outer, through the same decode."""
        value = loads(json.dumps(sample, default=str))
        outer, inner, _ = apart(value)
        return self.fields_of(outer, inner)

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
        norm = ((name, read(fields, identity, session)) for name, read in NORM.items())
        return {name: value for name, value in norm if value is not None and value != ""}

    def plan(self, path: str) -> Plan:
        """How a view of an event reads *path*: the same value as the full decode has there."""
        return plan_of(path, self.readers, self._nested)

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
            if name in BLANK:
                name = outer.f_EventName
            if time.__class__ is not int and time in BLANK:
                time = outer.f_EventTime
        if not account or account is UNSET:
            account = getattr(inner.f_userIdentity, "f_accountId", None)
        if time.__class__ is not int or not 0 <= time < _LIKELY:
            time = epoch(time)
            if time is None:
                return None
        if event_id.__class__ is not str or name.__class__ is not str:
            return None
        account = str(account) if account.__class__ is int else account
        shown = self._shown
        try:
            name, account, event_id = shown[name], shown[account], shown.id(event_id)
        except TypeError:  # an account that is no key
            return None
        if not (name and account and event_id):
            return None
        identity = new_identity(Identity, (NAME, account, event_id))
        return Event(identity, time, name, raw, self.whole, LeanCloudAudit(self, raw, text, None, outer, inner))

    def _slow(self, raw: bytes, record: Record) -> Decoded:
        value = loads(raw)
        outer, inner, reason = apart(value)
        fields = self.fields_of(outer, inner)
        if not any(fields.get(name) for name in ("eventName", "eventID", "userIdentity")):
            raise DecodeError("no CloudAudit event: it has no eventName, no eventID and no userIdentity")
        outer_id = (outer or {}).get("EventId")
        event_id = self.text(outer_id) or fields.get("eventID") or body_id(outer, inner)
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
        outer, inner, _ = apart(loads(raw))
        return self.fields_of(outer, inner)

    def fields_of(self, outer: dict[str, Any] | None, inner: dict[str, Any] | None) -> Fields:
        """All fields of an event in its two parts, of which one may be missing."""
        inner = joined(outer, inner)
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


def build(redaction_key: bytes) -> TencentCloudAudit:
    return TencentCloudAudit(redaction_key)
