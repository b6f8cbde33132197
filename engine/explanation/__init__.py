"""
Why a rule fires on an event, or does not: its condition as a tree, and the least change that would turn the answer.

    tree    the condition with the value of each part, and the parts that decided
    change  which fields would have to be something else, tried out
    reasons the parts that decided, as a few lines to keep with an alert
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from engine.event import Fields
from engine.explanation.change import Change, Changes, answer, least_changes
from engine.explanation.proposals import ABSENT
from engine.explanation.reasons import why
from engine.explanation.tree import NOT_REACHED, Part, explain_expression
from engine.rule import Exception_, Rule


@dataclass(frozen=True, slots=True)
class ExceptionExplained:
    """One exception of the rule: whether it still holds, and how it answered."""

    exception: Exception_
    expired: bool
    tree: Part


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    What a rule says to an event: "alert", "excepted", "nothing" or "fault"; and what would turn that, tried out.

    *changes* holds sets of changes, each of which is enough, of the smallest number of fields with which any was found.
    """

    rule: Rule
    answer: str
    match: Part
    unless: tuple[ExceptionExplained, ...] = ()
    changes: Changes = ()


def explain(rule: Rule, fields: Fields, today: date) -> Explanation:
    """Why *rule* fires on an event with these *fields*, or does not. Memory over several events is not looked at."""
    given = answer(rule, fields, today)
    unless: tuple[ExceptionExplained, ...] = ()
    if given in {"alert", "excepted"}:
        unless = tuple(
            ExceptionExplained(exception, not exception.holds_on(today), explain_expression(exception.match, fields))
            for exception in rule.unless
        )
    match = explain_expression(rule.match, fields)
    return Explanation(rule, given, match, unless, least_changes(rule, fields, today))


__all__ = [
    "ABSENT",
    "NOT_REACHED",
    "Change",
    "ExceptionExplained",
    "Explanation",
    "Part",
    "explain",
    "explain_expression",
    "least_changes",
    "why",
]
