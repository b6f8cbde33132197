"""The parts of a condition that decided, as a few lines to keep with an alert."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from engine.event import Fields
from engine.explanation.tree import CHAINS, Part, explain_expression
from engine.rule import Rule

MAX_LINES: Final = 10
MAX_TEXT: Final = 120  # characters of a part of the condition
MAX_VALUE: Final = 80  # characters of a value


def why(rule: Rule, fields: Fields) -> tuple[str, ...]:
    """
    The parts of *rule*'s condition that decided on *fields*, each with the values it looked at; at most ten lines.

    *fields* are those of a decoded event, secrets replaced. The values are untrusted text, JSON-encoded and cut.
    """
    lines = list(dict.fromkeys(_line(part) for part in _deciding(explain_expression(rule.match, fields))))
    if len(lines) > MAX_LINES:
        lines[MAX_LINES - 1 :] = [f"… and {len(lines) - MAX_LINES + 1} more"]
    return tuple(lines)


def _deciding(part: Part) -> Iterator[Part]:
    """The deciding parts between && and ||, those that broke included."""
    if not part.decided:
        return
    if part.kind not in CHAINS:
        yield part
        return
    for child in part.parts:
        yield from _deciding(child)


def _line(part: Part) -> str:
    text = _written(part)
    if part.broke is not None:
        return f"{text}: cannot be decided"
    seen = dict.fromkeys(f"{_written(leaf)} is {_shown(leaf.value)}" for leaf in _leaves(part) if leaf.values)
    return f"{text}: {', '.join(list(seen)[:3])}" if seen else f"{text}: {_shown(part.value)}"


def _leaves(part: Part) -> Iterator[Part]:
    if not part.parts:
        if part.kind in {"field", "subexpression", "index_expression"}:
            yield part
        return
    for child in part.parts:
        yield from _leaves(child)


def _written(part: Part) -> str:
    return _cut(" ".join(part.text.split()), MAX_TEXT)


def _shown(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False, default=str), MAX_VALUE)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
