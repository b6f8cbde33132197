"""Which rules does this event satisfy?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from engine.alert import Fault, Match
from engine.errors import EvaluationError
from engine.event import Event
from engine.expression import Expression
from engine.rule import Rule, RuleSet


def evaluate(rules: RuleSet, event: Event, today: date) -> tuple[list[Match], list[Fault]]:
    """
    The rules that are true of *event*, and those that could not be decided on it.

    Only enabled rules of the event's kind are asked, in their order. A match carries the first exception that holds
    on *today* (UTC). A rule that breaks is a Fault, and the others go on; a broken exception hides nothing, and is a
    Fault too. Raises DecodeError if the event's bytes turn out not to be one.
    """
    fields = event.fields  # decoded once, and here: a record that is no event is nobody's fault among the rules
    matches: list[Match] = []
    faults: list[Fault] = []
    for rule in rules.of_kind(event.kind):
        if not rule.enabled:
            continue

        def broken(message: str, rule_id: str = rule.id) -> None:
            faults.append(Fault(rule_id, event.identity, message))

        if _holds(rule.match, fields, broken, "match"):
            matches.append(Match(rule, event, _excepted(rule, fields, today, broken)))
    return matches, faults


def _excepted(rule: Rule, fields: object, today: date, broken: Callable[[str], None]) -> int | None:
    for index, exception in enumerate(rule.unless):
        if exception.holds_on(today) and _holds(exception.match, fields, broken, f"unless[{index}]"):
            return index
    return None


def _holds(expression: Expression, fields: object, broken: Callable[[str], None], where: str) -> bool:
    try:
        return expression.holds(fields)
    except EvaluationError as error:
        broken(f"{where}: {error}")
    except Exception as error:  # noqa: BLE001 whatever one rule does, it is told, and the event's other rules go on
        broken(f"{where}: {type(error).__name__} in {expression.text[:80]}")
    return False
