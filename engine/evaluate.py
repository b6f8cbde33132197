"""Which rules does this event satisfy?"""

from __future__ import annotations

from datetime import date

from engine.alert import Fault, Match
from engine.errors import DecodeError, EvaluationError
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
    matcher, asked = rules.matcher(event.identity.kind)
    matches: list[Match] = []
    faults: list[Fault] = []
    try:
        numbers = matcher.candidates(event.seen or event.view)
    except DecodeError:
        raise
    except Exception as error:  # noqa: BLE001 the index may only ever save work: all rules are asked, and it is told
        faults.append(Fault("(index)", event.identity, f"the index broke on it: {type(error).__name__}"))
        numbers = range(len(asked))
    for number in numbers:
        rule = asked[number]
        try:
            if matcher.holds(number, event.view):
                matches.append(Match(rule, event, _excepted(rule, event, today, faults)))
        except DecodeError:
            raise
        except Exception as error:  # noqa: BLE001 whatever one rule does, it is told, and the event's other rules go on
            faults.append(_fault(rule, event, "match", rule.match, error))
    return matches, faults


def _excepted(rule: Rule, event: Event, today: date, faults: list[Fault]) -> int | None:
    if not rule.unless:
        return None
    for index, exception in enumerate(rule.unless):
        if not exception.holds_on(today):
            continue
        try:
            if exception.match.holds(event.fields):
                return index
        except DecodeError:
            raise
        except Exception as error:  # noqa: BLE001 as above
            faults.append(_fault(rule, event, f"unless[{index}]", exception.match, error))
    return None


def _fault(rule: Rule, event: Event, where: str, expression: Expression, error: Exception) -> Fault:
    known = isinstance(error, EvaluationError)
    message = str(error) if known else f"{type(error).__name__} in {expression.text[:80]}"
    return Fault(rule.id, event.identity, f"{where}: {message}")
