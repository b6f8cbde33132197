"""
A condition as a tree, with the value that an event gives each part.

The values come from the code that decides (`engine.matching.tracing`), which tells them while it does; there is no
second implementation that could disagree. A part *decided* if another value of it could have turned the answer: of a
conjunction that failed, the part that failed; of one that held, all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from engine.explanation.compiled import CHAINS, Noted, Shape, compiled
from engine.expression import Expression, truth

NOT_REACHED: Final = object()


@dataclass(frozen=True, slots=True)
class Part:
    """
    One part of an expression. *values* holds its value each time it was reached: none if it was not, several inside
    a list. Of &&, || and ! it is whether they hold. *broke* is the reason if it could not be decided.
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
    functions = compiled(expression)
    return _part(functions.shape, functions.noted(fields), decided=True)


def _part(shape: Shape, noted: Noted, *, decided: bool) -> Part:
    values = noted.values.get(shape.number, ())
    below = tuple([_part(child, noted, decided=decided and decides(shape, child, noted)) for child in shape.below])
    return Part(shape.text, tuple(values), decided, noted.broken.get(shape.number), below, shape.kind)


def decides(shape: Shape, child: Shape, noted: Noted) -> bool:
    """Whether *child* made *shape* what it is."""
    values, broken = noted
    if child.number in broken:
        return True
    if child.number not in values:
        return False
    if shape.number in broken:
        return not any(other.number in broken for other in shape.below)
    if shape.kind not in CHAINS or shape.number not in values:
        return True
    held = truth(values[shape.number][-1])
    settled = held if shape.kind == "or_expression" else not held  # one part was enough, and it is the last
    return not settled or child is [other for other in shape.below if other.number in values][-1]
