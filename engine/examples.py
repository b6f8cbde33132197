"""
The tests that rules carry: sample events, and whether they raise the rule.

Samples pass through the same decode as real events, so a few fields are enough. Exceptions are taken as unexpired:
what a rule's tests say must not change with the day on which they run.

A rule with memory is tried in every test with its events in order, backwards, shuffled within the lateness, and, where
the memory can make up for it, with each event once behind the watermark: the alerts must be the same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from engine.alert import Match
from engine.errors import DecodeError, Place
from engine.evaluate import evaluate
from engine.event import Event, Fields, Identity
from engine.kinds import Kind
from engine.rule import Count, Example, Rule, RuleSet
from engine.rule import Sequence as StepSequence
from engine.stream import Stream

KindOf = Callable[[str], Kind]
BEGIN: Final = 1_700_000_000  # the first moment of every test


class Verdict(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one test of one rule; *reason* says what was expected and what happened, "" when it passed."""

    rule_id: str
    test: str
    place: Place
    verdict: Verdict
    reason: str = ""


def run(rules: Iterable[Rule], kind_of: KindOf) -> list[Result]:
    """The results of every test of *rules*, in their order, disabled rules included."""
    return [_result(rule, example, kind_of(rule.kind)) for rule in rules for example in rule.tests]


def _result(rule: Rule, example: Example, kind: Kind) -> Result:
    def ended(verdict: Verdict, reason: str = "") -> Result:
        return Result(rule.id, example.name, example.place, verdict, reason)

    alone = RuleSet((replace(rule, enabled=True),), rule.match.lists)
    matches: list[Match] = []
    for index, sample in enumerate(example.events):
        try:
            fields = kind.view(sample)
        except DecodeError as error:
            return ended(Verdict.FAILED, f"{_nth(index, example)} is no event: {error}")
        at = example.offsets[index] if index < len(example.offsets) else timedelta(0)
        met, faults = evaluate(alone, _event(rule.kind, index, fields, at), date.min)
        if faults:
            return ended(Verdict.FAILED, f"{_nth(index, example)} breaks the rule: {faults[0].message}")
        matches += met
    told = [match for match in matches if match.excepted is None]
    if rule.memory is not None:
        reason = _remembered(alone, rule, example, matches, told)
        return ended(Verdict.FAILED if reason else Verdict.PASSED, reason)
    if example.expect == "alert" and not told:
        return ended(Verdict.FAILED, _why_silent(rule, matches))
    if example.expect == "nothing" and told:
        which = _nth(int(told[0].event.event_id), example)
        return ended(Verdict.FAILED, f"expected nothing, but {which} raises the rule")
    return ended(Verdict.PASSED)


def _why_silent(rule: Rule, matches: list[Match]) -> str:
    if matches and matches[0].excepted is not None:
        exception = rule.unless[matches[0].excepted]
        return f"expected an alert, but an exception holds: {exception.reason} ({exception.place})"
    return "expected an alert, but no event raises the rule"


def _nth(index: int, example: Example) -> str:
    return "the event" if len(example.events) == 1 else f"event {index + 1}"


def _event(kind: str, index: int, fields: Fields, at: timedelta) -> Event:
    """A sample as an event; its id is its number in the test."""
    identity = Identity(kind, "", f"{index:06}")
    name = str(fields.get("eventName", ""))
    return Event(identity, time=BEGIN + int(at.total_seconds()), name=name, raw=b"", decode=lambda _: fields)


# --- rules with memory


def _remembered(alone: RuleSet, rule: Rule, example: Example, matches: list[Match], told: Sequence[Match]) -> str:
    """Why the test of a rule with memory fails; "" when it does not."""
    end = BEGIN + int(max((*example.offsets, example.until or timedelta(0)), default=timedelta(0)).total_seconds())
    first = Stream(alone)
    first.begin(BEGIN)
    for match in told:
        if faults := first.take(match):
            return f"{_nth(int(match.event.event_id), example)} breaks the rule: {faults[0].message}"
    first.advance(end)
    said = _said(first)
    if example.alerts is not None:
        wanted = [(one.at, one.count) for one in example.alerts]
        if not _as_expected(wanted, said):
            return f"expected {_listed(wanted)}, but there is {_listed([(at, count) for at, count, _ in said])}"
    elif example.expect == "alert" and not said:
        if not told and matches:
            return _why_silent(rule, matches)
        return f"expected an alert, but no story comes of the {len(told)} of {len(example.events)} events that match"
    elif example.expect == "nothing" and said:
        return f"expected nothing, but there is {_listed([(at, count) for at, count, _ in said])}"
    return _disordered(alone, told, end, said) or _too_late(alone, rule, told, end, said)


Said = tuple[timedelta, int, tuple[str, ...]]  # the moment of an alert, its count, its events


def _said(stream: Stream) -> list[Said]:
    return [
        (timedelta(seconds=stream.moments[alert.id] - BEGIN), alert.count, tuple(sorted(alert.event_ids)))
        for alert in stream.alerts.values()
    ]


def _as_expected(wanted: Sequence[tuple[timedelta, int | None]], said: Sequence[Said]) -> bool:
    return len(wanted) == len(said) and all(
        at == moment and count in (None, number)
        for (at, count), (moment, number, _) in zip(sorted(wanted, key=lambda one: one[0]), said, strict=True)
    )


def _listed(alerts: Sequence[tuple[timedelta, int | None]]) -> str:
    if not alerts:
        return "no alert"
    shown = [f"at {at}" + ("" if count is None else f" of {count}") for at, count in alerts]
    return f"{len(alerts)} alert{'s' * (len(alerts) != 1)}: {', '.join(shown)}"


def _disordered(alone: RuleSet, told: Sequence[Match], end: int, said: list[Said]) -> str:
    """The same events in other orders, each within the lateness, with the watermark behind them."""
    if len(told) < 2:
        return ""
    orders = {
        "one by one": (list(told), 1),
        "backwards": (list(reversed(told)), len(told)),
        "shuffled": ([*told[1::2], *told[::2]], len(told)),
        "shuffled in small pages": ([match for i in range(0, len(told), 4) for match in told[i : i + 4][::-1]], 4),
    }
    for name, (order, page) in orders.items():
        stream = Stream(alone)
        stream.begin(BEGIN)
        for index in range(0, len(order), page):
            for match in order[index : index + page]:
                stream.take(match)
            left = order[index + page :]
            stream.advance(min((match.event.time for match in left), default=end + 1) - 1)
        stream.advance(end)
        if _said(stream) != said:
            return f"the alerts depend on the order of arrival: not the same when the events come {name}"
    return ""


def _too_late(alone: RuleSet, rule: Rule, told: Sequence[Match], end: int, said: list[Said]) -> str:
    """Each event once behind the watermark: what was to be told is told, later."""
    able = isinstance(rule.memory, Count) or (
        isinstance(rule.memory, StepSequence) and not rule.memory.steps[-1].absent
    )
    if not said or not able:
        return ""
    for late in told[:50]:
        stream = Stream(alone)
        for match in told:
            if match is not late:
                stream.take(match)
        stream.advance(end)
        stream.take(late, seen=end)
        stream.advance(end)
        if not stream.alerts:
            return f"nothing is told when event {int(late.event.event_id) + 1} comes late"
    return ""
