"""
The tests that rules carry: sample events, and whether they raise the rule.

Samples pass through the same decode as real events, so a few fields are enough. Exceptions are taken as unexpired:
what a rule's tests say must not change with the day on which they run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from engine.alert import Match
from engine.errors import DecodeError, Place
from engine.evaluate import evaluate
from engine.event import Event, Fields, Identity
from engine.kinds import Kind
from engine.rule import Example, Rule, RuleSet

KindOf = Callable[[str], Kind]


class Verdict(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"  # it needs memory over several events


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
        met, faults = evaluate(alone, _event(rule.kind, index, fields), date.min)
        if faults:
            return ended(Verdict.FAILED, f"{_nth(index, example)} breaks the rule: {faults[0].message}")
        matches += met
    told = [match for match in matches if match.excepted is None]
    if rule.memory is not None and (told or example.expect == "alert"):
        return ended(Verdict.NOT_RUN, "the rule counts over several events, which this command does not do yet")
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


def _event(kind: str, index: int, fields: Fields) -> Event:
    """A sample as an event; its id is its number in the test."""
    identity = Identity(kind, "", str(index))
    return Event(identity, time=0, name=str(fields.get("eventName", "")), raw=b"", decode=lambda _: fields)
