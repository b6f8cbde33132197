"""
Theory of operation: how many rules are asked of an event, and most of them not.

A rule set is asked of every event, and nearly every rule has nothing to say to nearly every event. So the work is
turned round. When a set is first used, each rule's expression is read for *necessary conditions* (`conditions`): tests
on single paths, such as "eventName is one of these" or "norm.outcome is 'denied'", without which the rule can neither
match nor break. The *index* (`index`, `arrangement`) finds, from the event's name and a few bit masks, the rules whose
conditions the event meets. Only these are decided, each by a Python function made from its expression when it has got
so far a few times (`codegen`). Values come from a View of the event (`engine.event`), by path, each decoded when
something first asks for it: an event that no rule is interested in is never decoded as a whole.

    bytes → a lean struct → tokens → signatures → masks → candidates → generated functions → what holds, what breaks

An example. A record has been decoded to a struct of the few fields that rules read of nearly every event. For the rule
`eventName == 'DeleteUser' && norm.outcome == 'denied'` the name leads to a *group* of conditions, each with a bit. The
raw error codes that stand in the struct are the *token* of `norm.outcome`: if they have been seen before, a table says
at once which of all tests on that path their value passes, its *signature*; if not, the value is read as the kind says,
and the tests are tried. The group has a *mask* for each signature; masks are joined until no bit is left, which for
most events is after one or two. Paths whose tokens few values occur at together share one table. In what order paths
are read, which of them together, and which are worth a place in the lean struct, is learned from the first events.
What most events come to first is looked up together with the name: behind both stands the group without those that
fail there, and with no more than the bits that the others ask about, so that for most events one *and* is left to do.

Why one can believe it. Four things could make a fast matcher differ from a loop over the rules, and each is cut off
at its root:

- The *generated code* could compute something else. It never computes what it was not made for: values of other types
  than an operation is meant for are handed to jmespath's interpreter, with the same part of the tree.
- The *index* could lose a rule. It may only leave a rule out where one of its tests fails on the value itself, and
  that test is the rule's own code. An error is an outcome too (a Fault): that a part breaks which is evaluated before
  the test is a condition of its own, under which the rule is asked. A value of an unexpected type passes every test.
- The *View* could give other values than the full decode. It uses the same readers, and is compared with it, field by
  field, on odd-typed events, in the tests of the kinds.
- A *token* could stand for two values. It is remembered only if its kind says that it tells the value, and if no other
  token is equal to it (True == 1 == 1.0); where it is not sure, the value is read. One token stands for many on
  purpose: that there is a list, or nothing, which is all that must be known of a part that breaks on other types. Its
  signature has the bits of every test that some list passes, or nothing does.

The rest of the engine sees `RuleSet` only; `Matcher` is what stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from engine.event import Seen, View
from engine.expression import Expression
from engine.kinds import Schema, schema
from engine.matching.codegen import Truth, truth_of
from engine.matching.conditions import necessary
from engine.matching.index import Index
from engine.unwatched import unwatched

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

    def candidates(self, seen: Seen) -> Sequence[int]:
        """
        The numbers of the expressions that may hold of what a kind has *seen*, or break; all others are false, and
        raise nothing.

        Only views whose values have the types that the kind documents (`uniform`) can be pruned for.
        """
        if not (self._indexed and seen.view.uniform):
            return self._all
        if self._index is None:
            with unwatched():
                self._index = _index(self._expressions, schema(self._kind))
        found = self._index.candidates(seen)
        if self._index.settled:
            vars(self)["candidates"] = self._index.candidates  # from now on in this method's place
        return found

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
