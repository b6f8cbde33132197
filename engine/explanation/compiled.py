"""
The compiled functions of an expression: the one that decides, and the same telling what its parts gave.

Both are made by the matcher's generator when an explanation first needs them, and kept: a rule that alerts does so
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from engine.errors import EvaluationError
from engine.event import View
from engine.expression import Expression, Node, children, part, truth
from engine.matching.codegen import Truth, truth_of
from engine.matching.tracing import Traced, tracing

CHAINS: Final = frozenset({"and_expression", "or_expression"})
_LEAVES: Final = frozenset({"literal", "current", "identity", "field", "index", "slice"})
_READING: Final = frozenset({"field", "subexpression", "index_expression"})
_KEPT: Final = 1024  # expressions; a function takes some kilobytes


class Shape(NamedTuple):
    """One part of an expression that an explanation shows, without any event: its *number* is its place in the tree."""

    number: int
    kind: str
    text: str
    below: tuple[Shape, ...]
    leaves: tuple[Shape, ...]
    """The fields that it reads, in the order of the text."""


class Noted(NamedTuple):
    """What one evaluation gave the parts, by their number; *broken* those that could not be decided, and why."""

    values: dict[int, list[Any]]
    broken: dict[int, str]

    def held(self, shape: Shape) -> bool:
        """Whether the part held when it was last asked."""
        return shape.number in self.values and truth(self.values[shape.number][-1])


class Compiled:
    """One expression. Safe to share between threads."""

    __slots__ = ("_decide", "_trace", "expression", "shape")

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        numbers: dict[int, int] = {}
        self.shape = _shape(expression.tree, expression.text, numbers)
        self._trace = tracing(expression, numbers)
        self._decide: Truth | None = None

    def holds(self, fields: Any) -> bool:
        """As the matcher has it. Raises EvaluationError."""
        if self._decide is None:
            self._decide = truth_of(self.expression)
        return self._decide(View(fields))

    def noted(self, fields: Any) -> Noted:
        """What each part of the expression gave while it was decided. Raises nothing for the event's sake."""
        view = Traced(fields)
        values: dict[int, list[Any]] = {}
        root = self.shape.number
        try:
            decided = self._trace(view)
        except EvaluationError as error:
            view.broken.setdefault(root, str(error))
            _break_above(self.shape, view.broken)
        else:
            # Of a conjunction the code has no value of its own: it returns where the first part fails.
            values[root] = [decided]
        for number, value in view.notes:
            if number in values and number != root:
                values[number].append(value)
            else:
                values[number] = [value]
        return Noted(values, view.broken)


def compiled(expression: Expression) -> Compiled:
    """The functions of *expression*."""
    found = _kept.get(id(expression))
    if found is None:
        if len(_kept) >= _KEPT:
            _kept.clear()
        found = _kept[id(expression)] = Compiled(expression)
    return found


# By identity: equal texts may speak of different lists. What is kept holds its expression, so no identity comes twice.
_kept: Final[dict[int, Compiled]] = {}


def _shape(node: Node, whole: str, numbers: dict[int, int]) -> Shape:
    number = numbers[id(node)] = len(numbers)
    below = tuple(_shape(child, whole, numbers) for child in _shown(node))
    kind, text = node["type"], part(node, whole)
    leaves = tuple([leaf for child in below for leaf in (child.leaves if child.below else _as_leaf(child))])
    shape = Shape(number, kind, text, below, leaves)
    return shape if below else shape._replace(leaves=_as_leaf(shape))


def _as_leaf(shape: Shape) -> tuple[Shape, ...]:
    return (shape,) if shape.kind in _READING else ()


def _shown(node: Node) -> Iterator[Node]:
    """The parts of *node* that tell something: chains of one operator as one list, no literals, paths as a whole."""
    for child in children(node):
        if child["type"] == node["type"] and node["type"] in CHAINS:
            yield from _shown(child)
        elif child["type"] == "expref":
            yield from (inner for inner in children(child) if inner["type"] not in _LEAVES and not _is_literal(inner))
        elif child["type"] == "field":
            if node["type"] not in {"subexpression", "index_expression", "pipe"}:
                yield child
        elif "start" not in child:
            yield from _shown(child)  # what stands between two brackets has no text of its own
        elif child["type"] not in _LEAVES and not _is_literal(child):
            yield child


def _is_literal(node: Node) -> bool:
    """Whether *node* says the same of every event: a literal, or a list of such."""
    if node["type"] == "multi_select_list":
        return all(map(_is_literal, children(node)))
    return bool(node["type"] == "literal")


def _break_above(shape: Shape, broken: dict[int, str]) -> bool:
    """Whatever holds a part that broke has broken with it. Whether *shape* has."""
    for child in shape.below:
        if _break_above(child, broken):
            broken.setdefault(shape.number, broken[child.number])
    return shape.number in broken
