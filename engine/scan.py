"""
The path over files: the same decode, evaluation and grouping as the service, with no state outside the call.

Time is the events' own: a story's quiet period runs over event time, so that a year of history reads as it would have
been told. Memory grows with the stories that are open and sixteen bytes per event, not with the input.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from engine.alert import Alert, Fault, Match
from engine.correlate import raise_alert
from engine.dedup import Told, why
from engine.errors import DecodeError
from engine.evaluate import evaluate
from engine.event import Event, Quarantined, Record
from engine.kinds import Kind
from engine.rule import RuleSet


@dataclass(slots=True)
class Scanned:
    """What a scan has seen so far."""

    records: int = 0
    events: int = 0
    repeated: int = 0
    quarantined: int = 0
    matches: int = 0
    excepted: int = 0
    faults: int = 0
    alerts: int = 0


@dataclass(slots=True)
class _Story:
    """One alert while more events may join it."""

    alert: Alert
    told: Told
    ids: list[str]
    first: int
    last: int

    def grown(self) -> Alert:
        return replace(
            self.alert, event_ids=tuple(self.ids), count=len(self.ids), first_seen=self.first, last_seen=self.last
        )


@dataclass(slots=True)
class Scan:
    """One scan. `alerts` yields each alert when nothing can join it any more, the grouped ones at the end."""

    rules: RuleSet
    kinds: Mapping[str, Kind]
    on_fault: Callable[[Fault], None]
    on_quarantined: Callable[[Quarantined], None]
    seen: Scanned = field(default_factory=Scanned)
    _ids: set[bytes] = field(default_factory=set)
    _stories: dict[str, _Story] = field(default_factory=dict)

    def alerts(self, records: Iterable[tuple[str, Record]]) -> Iterator[Alert]:
        """Alerts of *records*, each with the name of its kind."""
        for kind_name, record in records:
            self.seen.records += 1
            kind = self.kinds[kind_name]
            decoded = kind.decode(record)
            if decoded.quarantined is not None:
                self.seen.quarantined += 1
                self.on_quarantined(decoded.quarantined)
            if decoded.event is not None and self._unseen(decoded.event):
                yield from self._evaluate(decoded.event, kind)
        for story in self._stories.values():
            yield self._out(story.grown())

    def _unseen(self, event: Event) -> bool:
        digest = hashlib.blake2b("\0".join(event.identity).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest in self._ids:
            self.seen.repeated += 1
            return False
        self._ids.add(digest)
        self.seen.events += 1
        return True

    def _evaluate(self, event: Event, kind: Kind) -> Iterator[Alert]:
        today = datetime.fromtimestamp(min(max(event.time, 0), _LAST_SECOND), UTC).date()
        try:
            matches, faults = evaluate(self.rules, event, today)
        except DecodeError as error:  # its identity could be read, the rest of it not
            self.seen.quarantined += 1
            self.on_quarantined(Quarantined(event.kind, str(error), b"", event.event_id))
            return
        for fault in faults:
            self.seen.faults += 1
            self.on_fault(fault)
        for match in matches:
            self.seen.matches += 1
            if match.excepted is not None:
                self.seen.excepted += 1
            else:
                yield from self._tell(match, kind)

    def _tell(self, match: Match, kind: Kind) -> Iterator[Alert]:
        event = match.event
        alert = raise_alert(match, now=event.time, evidence="")
        if not match.rule.group_by:
            yield self._out(replace(alert, evidence=kind.evidence(event.raw)))
            return
        story = self._stories.get(alert.fingerprint)
        if story is not None and not why(alert, story.told, match.rule.quiet, event.time).tells:
            story.ids.append(event.event_id)
            story.first = min(story.first, event.time)
            story.last = max(story.last, event.time)
            return
        if story is not None:
            yield self._out(story.grown())
        alert = replace(alert, evidence=kind.evidence(event.raw))
        told = Told(alert.id, alert.severity, event.time)
        self._stories[alert.fingerprint] = _Story(alert, told, [event.event_id], event.time, event.time)

    def _out(self, alert: Alert) -> Alert:
        self.seen.alerts += 1
        return alert


_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z: no calendar goes further


def line(alert: Alert) -> dict[str, Any]:
    """The alert as `tocsin scan --format jsonl` prints it; times are epoch seconds, UTC."""
    return {
        "rule_id": alert.rule_id,
        "severity": alert.severity.word,
        "title": alert.title,
        "event_ids": list(alert.event_ids),
        "first_seen": alert.first_seen,
        "last_seen": alert.last_seen,
        "count": alert.count,
        "group": dict(alert.group),
        "fingerprint": alert.fingerprint,
        "kind": alert.kind,
    }
