"""
A condition as a tree, with the value that an event gives each part.

The values come from the interpreter that decides (`engine.expression.Interpreter`), listened to while it does; there is
no second implementation that could disagree. A part *decided* if another value of it could have turned the answer: of
a conjunction that failed, the part that failed; of one that held, all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import EvaluationError
from engine.expression import Expression, Interpreter, Node, children, part, truth
from engine.functions import Functions

NOT_REACHED: Final = object()


@dataclass(frozen=True, slots=True)
class Part:
    """
    One part of an expression. *values* holds its value each time it was reached: none if it was not, several inside
    a list. *broke* is the reason if it could not be decided.
    """

    text: str
    values: tuple[Any, ...]
    decided: bool
    broke: str | None = None
    parts: tuple[Part, ...] = ()
    kind: str = ""  # of jmespath's node: "and_expression", "comparator", "field"

    @property
    def value(self) -> Any:
        """The last value, or NOT_REACHED."""
        return self.values[-1] if self.values else NOT_REACHED


def explain_expression(expression: Expression, fields: Any) -> Part:
    """The tree of *expression* with the values that *fields* give its parts."""
    listener = _Listener(expression)
    with suppress(EvaluationError):  # noted with the part that broke
        listener.visit(expression.tree, fields)
    return listener.part(expression.tree, decided=True)


class _Listener(Interpreter):
    """The interpreter that decides, writing down what each part gave."""

    def __init__(self, expression: Expression) -> None:
        super().__init__(expression.text, Functions(expression.lists))
        self._whole = expression.text
        self._values: dict[int, list[Any]] = {}
        self._broke: dict[int, str] = {}

    def visit(self, node: Node, *args: Any, **kwargs: Any) -> Any:
        try:
            value = super().visit(node, *args, **kwargs)
        except EvaluationError as error:
            self._broke[id(node)] = str(error)
            raise
        self._values.setdefault(id(node), []).append(value)
        return value

    def part(self, node: Node, *, decided: bool) -> Part:
        below = list(_shown(node))
        return Part(
            part(node, self._whole),
            tuple(self._values.get(id(node), ())),
            decided,
            self._broke.get(id(node)),
            tuple(self.part(child, decided=decided and self._decides(node, child, below)) for child in below),
            node["type"],
        )

    def _decides(self, node: Node, child: Node, among: list[Node]) -> bool:
        """Whether *child* made *node* what it is."""
        if id(child) in self._broke:
            return True
        if id(child) not in self._values:
            return False
        if id(node) in self._broke:
            return not any(id(other) in self._broke for other in among)
        if node["type"] not in CHAINS:
            return True
        held = truth(self._values[id(node)][-1])
        settled = held if node["type"] == "or_expression" else not held  # one part was enough, and it is the last
        return not settled or child is [other for other in among if id(other) in self._values][-1]


CHAINS: Final = frozenset({"and_expression", "or_expression"})
_LEAVES: Final = frozenset({"literal", "current", "identity", "field", "index", "slice"})


def _shown(node: Node) -> Iterator[Node]:
    """The parts of *node* that tell something: chains of one operator as one list, no literals, paths as a whole."""
    for child in children(node):
        if child["type"] == node["type"] and node["type"] in CHAINS:
            yield from _shown(child)
        elif child["type"] == "expref":
            yield from (inner for inner in children(child) if inner["type"] not in _LEAVES)
        elif child["type"] == "field":
            if node["type"] not in {"subexpression", "index_expression", "pipe"}:
                yield child
        elif "start" not in child:
            yield from _shown(child)  # what stands between two brackets has no text of its own
        elif child["type"] not in _LEAVES:
            yield child
