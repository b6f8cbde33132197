"""
The canary: a test event that goes the whole way (decode, evaluate, route, queue, send) to a destination of its own.

When it arrives, the path works; when it does not, that is told by a second way (`engine.vigil`). Its records come from
no cloud: they are put into the path where a source's page would come in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from engine.errors import Place
from engine.event import Event, Fields, Identity, Page, Quarantined, Record
from engine.expression import parse, parse_template
from engine.kinds import Decoded, Field
from engine.pipeline import Policy, Tally, ingest
from engine.route import Route
from engine.rule import Rule, RuleSet, Severity, Status
from engine.store import Store

SOURCE: Final = "tocsin-canary"
KIND: Final = "tocsin.canary"
RULE_ID: Final = "tocsin.canary"
NAME: Final = "TocsinCanary"


class CanaryKind:
    """How a canary's record is read: `{"eventID", "eventTime", "eventName"}`."""

    name = KIND
    fields: tuple[Field, ...] = ()

    def decode(self, record: Record) -> Decoded:
        try:
            fields = self.view(json.loads(record.raw))
            identity = Identity(KIND, "", str(fields["eventID"]))
            event = Event(identity, time=int(fields["eventTime"]), name=NAME, raw=record.raw, decode=self._decoded)
        except (ValueError, KeyError, TypeError) as error:
            return Decoded(None, Quarantined(KIND, f"no canary: {type(error).__name__}", record.raw, record.place))
        return Decoded(event)

    def view(self, sample: Mapping[str, Any]) -> Fields:
        norm = {
            "action": sample.get("eventName"),
            "service": "tocsin",
            "outcome": "ok",
            "time": sample.get("eventTime"),
        }
        return {**sample, "norm": norm}

    def evidence(self, raw: bytes) -> str:
        return raw.decode("utf-8", "replace")

    def _decoded(self, raw: bytes) -> Fields:
        return self.view(json.loads(raw))


def _rule() -> Rule:
    place = Place("(built in)")
    return Rule(
        id=RULE_ID,
        title=parse_template("Canary: the whole way from event to alert works", lists={}),
        severity=Severity.INFO,
        status=Status.STABLE,
        kind=KIND,
        description="Sent by Tocsin itself. Nothing has happened; when it stops coming, something has.",
        match=parse(f"eventName == '{NAME}'", place=place, lists={}),
        place=place,
        version="builtin",
    )


@dataclass(frozen=True, slots=True)
class Canary:
    """Where the canary flies to, and how often."""

    to: str
    every: timedelta
    policy: Policy = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy", Policy(RuleSet((_rule(),)), (Route((self.to,)),)))

    def due(self, store: Store, now: float) -> bool:
        """Whether it is time for the next one. A last one in the future was sent before the clock was set back."""
        last = store.last_raised(RULE_ID)
        return last is None or last > now + 1 or now - last >= self.every.total_seconds()

    def fly(self, store: Store, now: float) -> Tally:
        """One canary into the path. Raises StoreError."""
        record = {"eventID": f"canary-{int(now)}", "eventTime": int(now), "eventName": NAME}
        page = Page((Record(json.dumps(record).encode(), SOURCE),))
        return ingest(page, SOURCE, CanaryKind(), self.policy, store, now=now)

    def missing(self, store: Store, now: float, since: float) -> float:
        """Seconds since one last arrived (or *since*, the start) when that is more than two flights ago, else 0."""
        age = self.age(store, now, since)
        return age if age > 2 * self.every.total_seconds() else 0.0

    def age(self, store: Store, now: float, since: float) -> float:
        """Seconds since one last arrived, or since the start."""
        return max(0.0, now - max(min(store.last_delivered(RULE_ID) or 0.0, now), since))
