"""
JMESPath as rules use it: parsed, checked, located, evaluated.

STUB SEAM: interface agreed, implementation follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Lists = Mapping[str, frozenset[str]]  # name -> values, case-folded


class Expression(Protocol):
    """One parsed JMESPath expression, immutable, safe to share between threads."""

    @property
    def text(self) -> str: ...

    def search(self, fields: Any) -> Any:
        """The value. Raises EvaluationError where the types of *fields* contradict the expression."""
        ...

    def holds(self, fields: Any) -> bool:
        """JMESPath's truth of the value: false, null, "", [] and {} are false; 0 is true."""
        ...


class Template(Protocol):
    """A text with `{JMESPath}` fields."""

    @property
    def text(self) -> str: ...

    def render(self, fields: Any) -> str:
        """The text; a field that is absent shows as "-". Never raises for the event's sake."""
        ...


@dataclass(frozen=True, slots=True)
class ExpressionFault(Exception):
    """A fault in an expression's text: *offset* is the index into the text where it is."""

    message: str
    offset: int
