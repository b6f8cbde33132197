"""The parts of a condition that decided, and the least change that undoes it, as a few lines to keep with an alert."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Any, Final

from engine.event import Fields
from engine.explanation.change import Change, least_changes
from engine.explanation.compiled import CHAINS, Noted, Shape, compiled
from engine.explanation.proposals import ABSENT
from engine.explanation.tree import decides
from engine.rule import Rule

MAX_LINES: Final = 10
MAX_TEXT: Final = 120  # characters of a part of the condition
MAX_VALUE: Final = 80  # characters of a value
_SEVERAL: Final = 5  # values of a field inside a list
MAX_TRIALS: Final = 100  # for the least change: this is done for every alert


def why(rule: Rule, fields: Fields) -> tuple[str, ...]:
    """
    The parts of *rule*'s condition that decided on *fields*, each with the values it looked at; then, where one is
    found, the least change with which it would not match. At most ten lines.

    *fields* are those of a decoded event, secrets replaced. The values are untrusted text, JSON-encoded and cut.
    """
    functions = compiled(rule.match)
    noted = functions.noted(fields)
    lines = list(dict.fromkeys([_line(part, noted) for part in _deciding(functions.shape, noted)]))
    least = _undone(rule, fields) if noted.held(functions.shape) else ()
    most = MAX_LINES - len(least)
    if len(lines) > most:
        lines[most - 1 :] = [f"… and {len(lines) - most + 1} more"]
    return (*lines, *least)


def _undone(rule: Rule, fields: Fields) -> tuple[str, ...]:
    """With which least change *rule*, whose condition holds, would not match."""
    today = date.max  # of the exceptions only those that never end: what is kept stays true
    found = least_changes(rule, fields, today, trials=MAX_TRIALS, sets=1, matched=True)
    return tuple(["would not match if " + " and ".join(map(_change, changes)) for changes in found])


def _change(change: Change) -> str:
    wanted = "absent" if change.wanted is ABSENT else _shown(change.wanted)
    return f"{_cut(change.field, MAX_TEXT)} were {wanted}"


def _deciding(shape: Shape, noted: Noted) -> Iterator[Shape]:
    """The deciding parts between && and ||, those that broke included."""
    if shape.kind not in CHAINS:
        yield shape
        return
    for child in shape.below:
        if decides(shape, child, noted):
            yield from _deciding(child, noted)


def _line(shape: Shape, noted: Noted) -> str:
    text = _written(shape.text)
    if shape.number in noted.broken:
        return f"{text}: cannot be decided"
    values = noted.values
    seen = dict.fromkeys(
        [f"{_written(leaf.text)} is {_given(values[leaf.number])}" for leaf in shape.leaves if leaf.number in values]
    )
    if seen:
        return f"{text}: {', '.join(list(seen)[:3])}"
    return f"{text}: {_shown(values[shape.number][-1])}" if shape.number in values else text


@lru_cache(maxsize=2048)
def _written(text: str) -> str:
    return _cut(" ".join(text.split()), MAX_TEXT)


def _given(values: list[Any]) -> str:
    """The values of a field, of which there are several inside a list."""
    if len(values) == 1:
        return _shown(values[0])
    return _cut(", then ".join(dict.fromkeys(map(_shown, values[:_SEVERAL]))), MAX_VALUE)


_json = json.JSONEncoder(ensure_ascii=False, default=str).encode


def _shown(value: Any) -> str:
    return _cut(_json(value), MAX_VALUE)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
