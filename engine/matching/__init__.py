"""
Theory of operation: how many rules are asked of an event, and most of them not.

A rule set is asked of every event, and nearly every rule has nothing to say to nearly every event. So the work is
turned round. When a set is first used, each rule's expression is read for *necessary conditions* (`conditions`): tests
on single paths, such as "eventName is one of these" or "norm.outcome is 'denied'", without which the rule cannot
match. The *index* (`index`) finds, from the event's name and a few bit masks, the rules whose conditions the event
meets. Only these are decided, each by a Python function made from its expression when it first gets so far
(`codegen`). Values come from a View of the event (`engine.event`), by path, each decoded when something first asks for
it: an event that no rule is interested in is never decoded as a whole.

    bytes → View → Index.candidates → generated functions → the rules that hold, and those that break

Why one can believe it. Three things could make a fast matcher differ from a loop over the rules, and each is cut off
at its root:

- The *generated code* could compute something else. It never computes what it was not made for: values of other types
  than an operation is meant for are handed to jmespath's interpreter, with the same part of the tree.
- The *index* could lose a rule. It may only leave a rule out where one of its tests fails on the value itself, and
  that test is the rule's own code; and only where nothing that is evaluated before that test can raise, because an
  error is an outcome too (a Fault). A value of an unexpected type passes every test.
- The *View* could give other values than the full decode. It uses the same readers, and is compared with it, field by
  field, on odd-typed events, in the tests of the kinds.

The rest of the engine sees `RuleSet` only; `Matcher` is what stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from engine.event import View
from engine.expression import Expression
from engine.kinds import Schema, schema
from engine.matching.codegen import Truth, truth_of
from engine.matching.conditions import necessary
from engine.matching.index import Index

__all__ = ["Matcher"]


_WORTH_COMPILING: Final = 2  # times that a rule is asked: most that are ever asked are asked once


class Matcher:
    """Some expressions, asked together of events of one kind. Safe to share between threads."""

    def __init__(self, expressions: Iterable[Expression], kind: str, *, indexed: bool = True) -> None:
        """Without the index (*indexed* false) every expression is decided on every event: the same, slowly."""
        self._expressions: Sequence[Expression] = tuple(expressions)
        self._truths: list[Truth | None] = [None] * len(self._expressions)
        self._asked = bytearray(len(self._expressions))
        self._all = list(range(len(self._expressions)))
        self._kind = kind
        self._indexed = indexed
        self._index: Index | None = None

    def candidates(self, view: View) -> Sequence[int]:
        """
        The numbers of the expressions that may hold, or break; all others are false, and raise nothing.

        Only a View whose values have the types that the kind documents (`uniform`) can be pruned for.
        """
        if self._index is not None and view.uniform:
            return self._index.candidates(view)
        if not (self._indexed and view.uniform):
            return self._all
        self._index = _index(self._expressions, schema(self._kind))
        return self._index.candidates(view)

    def holds(self, number: int, view: View) -> bool:
        """Whether the expression with that number holds. Raises EvaluationError as `Expression.holds` does."""
        if not view.uniform:  # a sample, decoded already: not worth compiling for
            return self._expressions[number].holds(view.whole)
        truth = self._truths[number]
        if truth is None:
            if self._asked[number] < _WORTH_COMPILING:
                self._asked[number] += 1
                return self._expressions[number].holds(view.whole)
            truth = self._truths[number] = truth_of(self._expressions[number])
        return truth(view)


def _index(expressions: Iterable[Expression], known: Schema) -> Index:
    return Index([necessary(expression, known.types) for expression in expressions], known)
