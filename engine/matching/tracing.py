"""
The compiled decision of an expression, telling what each part of it gave.

It is the code that decides (`engine.matching.codegen`), written by the same generator with a line more behind each part
that is asked about: `n.append((3, t7))`. So an explanation runs what the matcher runs, inside lists too. What that code
hands to jmespath's interpreter is handed to the same interpreter here, which tells of the parts below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import EvaluationError
from engine.event import View
from engine.expression import Expression, Interpreter, Node
from engine.functions import Functions
from engine.matching.codegen import Context, Writer, made

Numbers = Mapping[int, int]  # `id` of a node -> the number by which its part is known
Broken = dict[int, str]  # number of a part -> why it could not be decided


class Traced(View):
    """A View that takes notes: of each part its value, each time it was reached, in the order in which they were."""

    __slots__ = ("broken", "notes")

    def __init__(self, whole: Any) -> None:
        super().__init__(whole)
        self.notes: list[tuple[int, Any]] = []
        self.broken: Broken = {}


def tracing(expression: Expression, numbers: Numbers) -> Callable[[Traced], bool]:
    """
    As `codegen.truth_of`, writing into the view what the parts in *numbers* gave.

    Where only the truth of a part is asked (of &&, || and !) that is noted, elsewhere its value.
    """

    def writer(of: Expression, path: str | None) -> Writer:
        return _Tracing(of, path, numbers)

    decide: Callable[[Traced], bool] = made(expression, expression.tree, truth=True, writing=writer)
    return decide


class _Tracing(Writer):
    def __init__(self, expression: Expression, path: str | None, numbers: Numbers) -> None:
        super().__init__(expression, path)
        self._numbers = numbers
        self._line("n = f.notes")

    def value(self, node: Node, at: Context) -> str:
        result = super().value(node, at)
        self._note(node, result)
        return result

    def truth(self, node: Node, at: Context) -> str:
        result = super().truth(node, at)
        if node["type"] in ("and_expression", "or_expression", "not_expression"):
            self._note(node, f"True if {result} else False")
        return result

    def _note(self, node: Node, result: str) -> None:
        number = self._numbers.get(id(node))
        if number is not None:
            self._line(f"n.append(({number}, {result}))")

    def handed_over(self, node: Node, at: Context) -> str:
        return self._set(self._asking(node, at, below=True))

    def _asking(self, node: Node, at: Context, *, below: bool = False) -> str:
        # Where code was written for a part and its values turn out to be of other types, those below were noted.
        ask = self.constant(_asked(self._expression, node, self._numbers, below=below))
        return f"{ask}(f, {self._given(node, at)})"


def _asked(expression: Expression, node: Node, numbers: Numbers, *, below: bool) -> Callable[[Traced, Any], Any]:
    """What asks the interpreter of *node*; with *below* it notes the parts below, too."""

    def ask(view: Traced, given: Any) -> Any:
        return _Listener(expression, node, numbers, view, below=below).visit(node, given)

    return ask


class _Listener(Interpreter):
    """The interpreter that the code asks, telling what the parts below *top* gave, and which broke."""

    def __init__(self, expression: Expression, top: Node, numbers: Numbers, view: Traced, *, below: bool) -> None:
        super().__init__(expression.text, Functions(expression.lists))
        self._top, self._numbers, self._view, self._below = top, numbers, view, below

    def visit(self, node: Node, *args: Any, **kwargs: Any) -> Any:
        number = self._numbers.get(id(node))
        try:
            value = super().visit(node, *args, **kwargs)
        except EvaluationError as error:
            if number is not None:
                self._view.broken.setdefault(number, str(error))
            raise
        if self._below and number is not None and node is not self._top:
            self._view.notes.append((number, value))
        return value
