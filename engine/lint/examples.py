"""Tests of rules that would end the same whatever the condition said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from engine.errors import DecodeError, EvaluationError
from engine.event import Fields, walked
from engine.lint.conditions import paths_read
from engine.lint.notes import Note
from engine.lint.proof import Prover
from engine.rule import Count, Example, Rule, Sequence

_NAMES: Final = frozenset({"eventName", "norm.action"})

_FIRST: Final = "correct the condition first"

View = Callable[[str, Mapping[str, Any]], Fields]  # kind and sample to the fields that rules see


def idle_tests(rule: Rule, prover: Prover, view: View | None) -> Iterator[Note]:
    """The tests of *rule* that cannot fail; *view* is needed to see what an event of a test shows to the condition."""
    never, always = prover.never(rule.match.tree), prover.always(rule.match.tree) and not rule.unless
    read = _paths(rule)
    for index, test in enumerate(rule.tests):
        loc = ("tests", index)
        if test.expect == "nothing" and never:
            yield Note(loc, "test-cannot-fail", "this cannot fail: no event satisfies the condition", _FIRST)
        elif test.expect == "alert" and always and rule.memory is None:
            yield Note(loc, "test-cannot-fail", "this cannot fail: every event satisfies the condition", _FIRST)
        elif test.expect == "nothing" and read and view is not None and _shows_nothing(rule, test, read, view):
            message = "this cannot fail: the event says nothing about what the condition reads"
            yield Note(loc, "test-cannot-fail", message, f"give it {_first(read)}, and one thing that is almost right")
        elif test.expect == "nothing" and view is not None and _too_few(rule, test, view):
            least = _least(rule)
            message = f"this cannot fail: the rule needs {least} events, and here are fewer, none of which counts"
            yield Note(loc, "test-cannot-fail", message, f"repeat it {least} times, as an event that must not count")


def _least(rule: Rule) -> int:
    """How many events it takes to raise *rule*."""
    if isinstance(rule.memory, Count):
        return rule.memory.at_least
    if isinstance(rule.memory, Sequence):
        return sum(step.at_least for step in rule.memory.steps if not step.absent)
    return 1


def _too_few(rule: Rule, test: Example, view: View) -> bool:
    """
    Whether the events would not raise *rule* whatever its condition said. If some of them satisfy it, the test is about
    how many there must be.
    """
    if len(test.events) >= _least(rule):
        return False
    try:
        return not any(rule.match.holds(view(rule.kind, event)) for event in test.events)
    except (DecodeError, EvaluationError):
        return False


def _paths(rule: Rule) -> frozenset[str] | None:
    conditions = [rule.match, *(exception.match for exception in rule.unless)]
    if isinstance(rule.memory, Sequence):
        conditions += [step.match for step in rule.memory.steps]
    found: frozenset[str] = frozenset()
    for condition in conditions:
        paths = paths_read(condition.tree)
        if paths is None:
            return None
        found |= paths
    return found


def _shows_nothing(rule: Rule, test: Example, read: frozenset[str], view: View) -> bool:
    """
    Whether each event gives the condition only what an empty event gives it. An event that has a name, tested by a
    condition on other fields, is no such one: that they are absent is then the point of the test.
    """
    if any(event and not read & _NAMES for event in test.events):
        return False
    try:
        empty = view(rule.kind, {})
        shown = [view(rule.kind, event) for event in test.events]
    except DecodeError:
        return False  # the test itself fails, and says so
    return all(_value(fields, path) == _value(empty, path) for fields in shown for path in read)


def _first(read: frozenset[str]) -> str:
    return "eventName" if read & _NAMES else min(read)


def _value(fields: Fields, path: str) -> Any:
    return walked(fields, path.split("."))
