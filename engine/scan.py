"""
The path over files: the same decode, evaluation and grouping as the service, with no state outside the call.

Time is the events' own: a story's quiet period runs over event time, so that a year of history reads as it would have
been told. Memory grows with the stories that are open and sixteen bytes per event, not with the input. Rules with
memory see all events in the order of their times, which is known when the input ends: until then each of their matches
is kept, with its raw record. Time ends with the newest event of the input: an absence that lasts longer is not told.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from engine.alert import Alert, Fault, Match, alert_id, fingerprint
from engine.correlate import Hit
from engine.correlate import story as story_of
from engine.errors import DecodeError
from engine.evaluate import evaluate
from engine.event import SEPARATOR, Event, Fields, Identity, Quarantined, Record, View
from engine.expression import Expression
from engine.kinds import Kind
from engine.matching.reads import path_of
from engine.rule import Rule, RuleSet
from engine.stream import Stream


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
    held_back: Counter[tuple[str, str]] = field(default_factory=Counter)  # (rule, why) -> matches that are not told


class Told(NamedTuple):
    """What is told of a match: the story that it belongs to, and what an alert says beyond the rule and the event."""

    mark: str  # the story's fingerprint
    words: Words | None  # None where the match will hardly begin a story


class Words(NamedTuple):
    id: str
    title: str
    group: Mapping[str, Any]


class Passed(NamedTuple):
    """Records of one kind that no rule is true of: the digests and times of their events."""

    kind: str
    events: list[tuple[bytes, int]]


class Weighed(NamedTuple):
    """An event that rules are true of, or broke on, as another process has decided it."""

    identity: Identity
    time: int
    name: str
    raw: bytes | Callable[[], bytes]  # the record, or how it is had again: it is seldom needed
    matches: list[tuple[int, int | None, Told | None]]
    """Of each match the rule's number in the set, the exception that hides it, and what `Teller.told` says."""
    faults: list[Fault]


Given = tuple[str, Record] | Passed | Weighed  # a record comes with the name of its kind


@dataclass(slots=True)
class _Story:
    """One alert while more events may join it."""

    alert: Alert
    told: int  # time of the event that it was told for
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
    _streams: dict[str, Stream] = field(default_factory=dict)  # of the rules with memory, by kind
    _raw: dict[tuple[str, str, str], bytes] = field(default_factory=dict)  # the records of their matches, by identity
    _times: dict[str, tuple[int, int]] = field(default_factory=dict)  # kind -> its oldest and newest event
    _teller: Teller = field(default_factory=lambda: Teller())  # noqa: PLW0108 it is defined below

    def alerts(self, records: Iterable[Given]) -> Iterator[Alert]:
        """Alerts of *records*, each for itself, or with what another process has decided of it already."""
        for given in records:
            if isinstance(given, Passed):
                for mark, time in given.events:
                    self.seen.records += 1
                    self._new(given.kind, mark, time)
                continue
            self.seen.records += 1
            if isinstance(given, Weighed):
                yield from self._weighed(given)
                continue
            kind_name, record = given
            decoded = self.kinds[kind_name].decode(record)
            if decoded.quarantined is not None:
                self.seen.quarantined += 1
                self.on_quarantined(decoded.quarantined)
            event = decoded.event
            if event is not None and self._new(kind_name, digest(event.identity), event.time):
                for match in self._matches(event):
                    alert = self._matched(match, None)
                    if alert is not None:
                        yield alert
        for story in self._stories.values():
            yield self._out(story.grown())
        for kind_name, (oldest, newest) in self._times.items():
            stream = self._stream(kind_name)
            stream.begin(oldest)
            stream.advance(newest)
            self.seen.held_back.update(stream.held_back)
            for alert in stream.alerts.values():
                yield self._out(alert)

    def _stream(self, kind_name: str) -> Stream:
        if kind_name not in self._streams:
            rules = RuleSet(tuple(rule for rule in self.rules.of_kind(kind_name) if rule.memory), self.rules.lists)
            self._streams[kind_name] = Stream(rules, light=True, show=lambda hit: self._shown(kind_name, hit))
        return self._streams[kind_name]

    def _shown(self, kind_name: str, hit: Hit) -> tuple[Fields, str]:
        """The event of a match again, from its record."""
        kind, raw = self.kinds[kind_name], self._raw[kind_name, hit.kept.account, hit.kept.event_id]
        event = kind.decode(Record(raw)).event
        return (event.fields if event is not None else {}), kind.evidence(raw)

    def _new(self, kind_name: str, mark: bytes, time: int) -> bool:
        if mark in self._ids:
            self.seen.repeated += 1
            return False
        self._ids.add(mark)
        self.seen.events += 1
        span = self._times.get(kind_name)
        if span is None:
            self._times[kind_name] = time, time
        elif not span[0] <= time <= span[1]:
            self._times[kind_name] = min(span[0], time), max(span[1], time)
        return True

    def _matches(self, event: Event) -> list[Match]:
        try:
            matches, faults = evaluate(self.rules, event, day(event))
        except DecodeError as error:  # its identity could be read, the rest of it not
            self.seen.quarantined += 1
            self.on_quarantined(Quarantined(event.kind, str(error), b"", event.event_id))
            return []
        if faults:
            self._broke(faults)
        return matches

    def _weighed(self, weighed: Weighed) -> Iterator[Alert]:
        kind, raw = weighed.identity.kind, weighed.raw
        if not self._new(kind, digest(weighed.identity), weighed.time):
            return

        def fields(known: bytes) -> Fields:
            event = self.kinds[kind].decode(Record(known if isinstance(raw, bytes) else raw())).event
            return event.fields if event is not None else {}

        known = raw if isinstance(raw, bytes) else b""
        event = Event(weighed.identity, time=weighed.time, name=weighed.name, raw=known, decode=fields)
        self._broke(weighed.faults)
        for number, excepted, told in weighed.matches:
            alert = self._matched(Match(self.rules.rules[number], event, excepted), told)
            if alert is not None:
                yield alert

    def _broke(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.seen.faults += 1
            self.on_fault(fault)

    def _matched(self, match: Match, told: Told | None) -> Alert | None:
        """The alert that is told now."""
        self.seen.matches += 1
        if match.excepted is not None:
            self.seen.excepted += 1
            return None
        if match.rule.memory is not None:
            self._remember(match)
            return None
        told = told or self._teller.told(match)
        if match.rule.group_by:
            return self._tell(match, told)
        return self._out(self._teller.alert(match, told))

    def _remember(self, match: Match) -> None:
        event = match.event
        self._broke(self._stream(event.kind).take(match))
        self._raw[event.identity] = event.raw

    def _tell(self, match: Match, told: Told) -> Alert | None:
        """The alert that nothing can join any more, if *match* begins another of the same story."""
        event, mark = match.event, told.mark
        known = self._stories.get(mark)
        # Of `dedup.why` only this is left to ask: the severity is the rule's own, and no event comes twice.
        if known is not None and event.time - known.told < match.rule.quiet.total_seconds():
            known.ids.append(event.event_id)
            known.first = min(known.first, event.time)
            known.last = max(known.last, event.time)
            return None
        self._stories[mark] = _Story(
            self._teller.alert(match, told), event.time, [event.event_id], event.time, event.time
        )
        return None if known is None else self._out(known.grown())

    def _out(self, alert: Alert) -> Alert:
        self.seen.alerts += 1
        return alert


def digest(identity: Identity) -> bytes:
    """Sixteen bytes that two records share when they are the same event."""
    return hashlib.blake2b("\0".join(identity).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def day(event: Event) -> date:
    """The day (UTC) of *event*: on which an exception holds or has ended."""
    found = _days.get(event.time // 86_400)
    if found is None:
        number = min(max(event.time, 0), _LAST_SECOND) // 86_400
        if len(_days) > 10_000:
            _days.clear()
        found = _days[number] = date.fromordinal(_EPOCH + number)
    return found


class _Needs(NamedTuple):
    """Of which fields a rule's stories are made, and its alerts; None where that is no matter of single fields."""

    rule: Rule  # kept, so that nothing else gets its identity
    group: tuple[str, ...] | None
    shown: tuple[str, ...] | None
    names: tuple[str, ...]


class Teller:
    """What a scan must know of matches to tell them. Remembers of each rule what that takes."""

    __slots__ = ("_begun", "_needs")

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}  # story -> the time of the last match that may have begun it
        self._needs: dict[int, _Needs] = {}

    def told(self, match: Match) -> Told:
        """What is told of a match of a rule without memory that no exception hides."""
        rule = match.rule
        if rule.group_by:  # most matches only join a story: no more is made of them than that needs
            return Told(self._mark(match), None)
        mark = fingerprint(rule.id, match.event.kind, {"": list(match.event.identity)})
        return Told(mark, self._words(match, mark))

    def told_elsewhere(self, match: Match) -> Told | None:
        """
        As `told`, for a process that has no event: with all that an alert says, if *match* may begin a story.

        None for what is not told by itself: excepted matches, and those of rules with memory.
        """
        if match.excepted is not None or match.rule.memory is not None:
            return None
        told = self.told(match)
        if told.words is not None:
            return told
        time, last = match.event.time, self._begun.get(told.mark)
        if last is not None and abs(time - last) < match.rule.quiet.total_seconds():
            return told
        if len(self._begun) >= _MOST_BEGUN:
            self._begun.clear()
        self._begun[told.mark] = time
        return Told(told.mark, self._words(match, told.mark))

    def alert(self, match: Match, told: Told) -> Alert:
        """The alert of *match* with what a scan prints."""
        rule, event = match.rule, match.event
        words = told.words or self._words(match, told.mark)
        return Alert(
            id=words.id,
            rule_id=rule.id,
            rule_version=rule.version,
            severity=rule.severity,
            title=words.title,
            kind=event.kind,
            account=event.account,
            group=words.group,
            fingerprint=told.mark,
            first_seen=event.time,
            last_seen=event.time,
            count=1,
            event_ids=(event.event_id,),
            created=event.time,
        )

    def _words(self, match: Match, mark: str) -> Words:
        """No more of the event is decoded than they quote."""
        rule, event = match.rule, match.event
        paths = self._of(rule).shown
        fields = event.fields if paths is None else _nested(paths, event.view)
        group: dict[str, Any] = {}
        if rule.group_by:
            light = Event(event.identity, time=event.time, name=event.name, raw=b"", decode=lambda _: fields)
            group = story_of(Match(rule, light))
        return Words(alert_id(mark, event.identity), rule.title.render(fields), group)

    def _mark(self, match: Match) -> str:
        """The fingerprint of the story of *match*, decoding no more of the event than plain paths name."""
        rule, event = match.rule, match.event
        needs = self._of(rule)
        if needs.group is None:
            return fingerprint(rule.id, event.kind, story_of(match))
        view = event.view
        values = tuple([view[path] for path in needs.group])
        for value in values:
            if value.__class__ is not str:  # 1 and true are the same key of a dictionary, and not the same story
                return fingerprint(rule.id, event.kind, dict(zip(needs.names, values, strict=True)))
        return _mark_of_texts(rule.id, event.kind, needs.names, values)

    def _of(self, rule: Rule) -> _Needs:
        needs = self._needs.get(id(rule))
        if needs is None:
            shown = (*rule.group_by, *(expression for expression, _ in rule.title.expressions()))
            names = tuple(expression.text for expression in rule.group_by)
            needs = self._needs[id(rule)] = _Needs(rule, _paths(rule.group_by), _paths(shown), names)
        return needs


def _nested(paths: Iterable[str], view: View) -> Fields:
    """An event that has only *paths*, none of which stands below another."""
    fields: Fields = {}
    for path in paths:
        *above, name = path.split(SEPARATOR)
        holder = fields
        for one in above:
            holder = holder.setdefault(one, {})
        holder[name] = view[path]
    return fields


def _paths(expressions: tuple[Expression, ...]) -> tuple[str, ...] | None:
    """The paths that the expressions are; None if one of them is something else, or stands below another."""
    paths = [path for expression in expressions if (path := path_of(expression.tree)) is not None]
    if len(paths) < len(expressions) or any(
        path.startswith(f"{other}{SEPARATOR}") for path in paths for other in paths
    ):
        return None
    return tuple(paths)


@lru_cache(maxsize=16_384)
def _mark_of_texts(rule_id: str, kind: str, names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return fingerprint(rule_id, kind, dict(zip(names, values, strict=True)))


_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z: no calendar goes further
_MOST_BEGUN = 100_000
_EPOCH = date(1970, 1, 1).toordinal()
_days: dict[int, date] = {}  # day since 1970 -> the day


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
