"""
Rules with memory over a stream that is held in memory: what `tocsin scan` and the tests of rules run.

The service does the same over the store (`engine.pipeline`); both use `turn`, so both say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.alert import Alert, Fault, Match
from engine.correlate import (
    Arrival,
    Hit,
    Joined,
    Key,
    Limits,
    Noted,
    Raised,
    Retracted,
    Window,
    begun,
    counts_for,
    joined_by,
    meaning,
    retraction,
    tell_story,
    turn,
)
from engine.correlate.novelty import LEARNING
from engine.dedup import Told, merged, why
from engine.event import Fields
from engine.rule import Rule, RuleSet, Silent

Show = Callable[[Hit], tuple[Fields, str]]  # the event of a hit and its evidence


def carried(hit: Hit) -> tuple[Fields, str]:
    """What the hit itself brings."""
    return hit.shown(), hit.evidence


@dataclass(slots=True)
class Stream:
    """
    One stream. `take` matches in any order, `advance` the watermark, read `alerts`.

    *light*: hits carry no fields; *show* finds them again. Windows can be taken out and put back between calls.
    """

    rules: RuleSet
    limits: Limits = field(default_factory=Limits)
    light: bool = False
    show: Show = carried
    windows: dict[Key, Window] = field(default_factory=dict)
    buffer: list[Arrival] = field(default_factory=list)
    watermark: int | None = None
    alerts: dict[str, Alert] = field(default_factory=dict)  # by id, in the order of their moments
    moments: dict[str, int] = field(default_factory=dict)  # alert id -> when it was true
    late: int = 0
    held_back: Counter[tuple[str, str]] = field(default_factory=Counter)  # (rule, why) -> matches that are not told
    _too_late: list[Arrival] = field(default_factory=list)
    _told: dict[str, Told] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)  # a story's id -> the alert it became part of
    _known: dict[tuple[str, str], Rule] = field(default_factory=dict)
    _means: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule in self.rules:
            if rule.memory is not None and rule.enabled:
                self._means[rule.id] = meaning(rule)
                self._known[rule.id, self._means[rule.id]] = rule

    def take(self, match: Match, *, evidence: str = "", seen: int = 0) -> list[Fault]:
        """One match that no exception hides."""
        counts = counts_for(match, self._means[match.rule.id], evidence=evidence, seen=seen, light=self.light)
        if counts.key is not None and counts.hit is not None:
            self.put(Arrival(counts.key, counts.hit))
        return counts.faults

    def put(self, arrival: Arrival) -> None:
        if self.watermark is not None and arrival.hit.kept.time <= self.watermark:
            self._too_late.append(arrival)
            self.late += 1
        else:
            self.buffer.append(arrival)

    def begin(self, at: int) -> None:
        """Time begins at *at*: silences without groups are watched from here."""
        for rule in self._known.values():
            if isinstance(rule.memory, Silent) and not rule.group_by:
                key, window = begun(rule, self._means[rule.id], at)
                self.windows.setdefault(key, window)

    def advance(self, watermark: int) -> None:
        """Everything up to *watermark* has been taken."""
        if self.watermark is not None and watermark < self.watermark:
            watermark = self.watermark
        ready = [one for one in self.buffer if one.hit.kept.time <= watermark]
        self.buffer = [one for one in self.buffer if one.hit.kept.time > watermark]
        done = turn(
            self._known,
            self.windows,
            ready,
            self._too_late,
            before=self.watermark,
            watermark=watermark,
            limits=self.limits,
        )
        self._too_late = []
        self.watermark = watermark
        for rule, _, outcome in done.outcomes:
            match outcome:
                case Raised():
                    self._raise(rule, outcome)
                case Joined():
                    self._join(outcome)
                case Retracted():
                    self._retract(outcome)
                case Noted(why=reason) if LEARNING in reason:
                    self.held_back[rule.id, reason] += 1
        for key, changed in done.windows.items():
            if changed is None:
                self.windows.pop(key, None)
            else:
                self.windows[key] = changed

    def _raise(self, rule: Rule, raised: Raised) -> None:
        fields, evidence = self.show(raised.by) if raised.by else ({}, "")
        alert = tell_story(rule, raised, fields=fields, evidence=evidence, created=raised.moment)
        told = self._told.get(alert.fingerprint)
        if told and rule.quiet and raised.late is None and not why(alert, told, rule.quiet, raised.moment).tells:
            self._names[alert.id] = told.alert_id
            self.alerts[told.alert_id] = merged(self.alerts[told.alert_id], alert)
            return
        self._told[alert.fingerprint] = Told(alert.id, alert.severity, raised.moment)
        self.alerts[alert.id] = alert
        self.moments[alert.id] = raised.moment

    def _join(self, joined: Joined) -> None:
        name = self._names.get(joined.alert_id, joined.alert_id)
        self.alerts[name] = joined_by(self.alerts[name], joined)

    def _retract(self, retracted: Retracted) -> None:
        name = self._names.get(retracted.alert_id, retracted.alert_id)
        _, evidence = self.show(retracted.by)
        alert = retraction(self.alerts[name], retracted, evidence=evidence, created=retracted.moment)
        self.alerts[alert.id] = alert
        self.moments[alert.id] = retracted.moment
