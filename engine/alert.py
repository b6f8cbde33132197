"""Nouns: a rule met an event (Match), a rule broke on an event (Fault), and what a person is told (Alert)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.event import Event, Identity
from engine.rule import Rule, Severity


@dataclass(frozen=True, slots=True)
class Match:
    """*rule* is true of *event*; *excepted* is the exception that hides it, by its index in `rule.unless`."""

    rule: Rule
    event: Event
    excepted: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule could not be decided on an event: stored, counted, told. The event's other rules go on."""

    rule_id: str
    event: Identity
    message: str


@dataclass(frozen=True, slots=True)
class Alert:
    """
    What a person is told: one story of one rule. All texts that come from events are untrusted.

    Times are epoch seconds, UTC. *event_ids* are oldest first and at most EVENT_IDS_KEPT; *count* is exact.
    *fields* is the (redacted) event that raised it, as rules see it; *evidence* its raw record, redacted.
    """

    id: str  # "A-7F3KQ2M4XA": derived from fingerprint and first event, so the same story has the same id
    rule_id: str
    rule_version: str
    severity: Severity
    title: str
    kind: str
    account: str
    group: Mapping[str, Any]  # the text of each group_by expression -> its value
    fingerprint: str
    first_seen: int
    last_seen: int
    count: int
    event_ids: tuple[str, ...]
    created: int
    fields: Mapping[str, Any] = field(default_factory=dict)
    evidence: str = ""
    description: str = ""
    runbook: str = ""
    references: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    matched: str = ""  # the text of the rule's condition
    reasons: tuple[str, ...] = ()  # the parts of the condition that decided, with the values that they saw
    notes: tuple[str, ...] = ()  # what else a person should know: an exception of the rule that has expired
    late_by: int = 0  # seconds between the event that completed it and its arrival, where it came behind the watermark
    retracts: str = ""  # the id of the alert that this one takes back
    test: bool = False  # sent by a person to try a destination; shown as TEST

    def norm(self, name: str) -> str:
        """`norm.<name>` of the event as text, "" when absent: what layouts show."""
        norm = self.fields.get("norm")
        value = norm.get(name) if isinstance(norm, Mapping) else None
        return "" if value is None else str(value)


EVENT_IDS_KEPT = 100


def canonical(value: Any) -> str:
    """One text for equal JSON values, whatever the order of keys; true and 1 differ."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)


def fingerprint(rule_id: str, kind: str, parts: Mapping[str, Any]) -> str:
    """What makes two matches one story: 32 hex digits over rule, kind and group (or, without one, the event)."""
    return hashlib.blake2b(canonical([rule_id, kind, parts]).encode(), digest_size=16).hexdigest()


def alert_id(story: str, first_event: Identity) -> str:
    """Ten base-32 characters that are the same whenever the same event opens the same story."""
    digest = hashlib.blake2b(canonical([story, *first_event]).encode(), digest_size=8).digest()
    return "A-" + base64.b32encode(digest).decode()[:10]


def encode(alert: Alert) -> bytes:
    """The alert as JSON, to be read back by `decode`."""
    return msgspec.json.encode(alert)


def decode(body: bytes) -> Alert:
    """The alert that `encode` wrote. Raises msgspec.DecodeError when it is something else."""
    return msgspec.json.decode(body, type=Alert)
