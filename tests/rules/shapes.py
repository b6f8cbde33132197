"""Events of odd shapes: a rule's own, with any value of them replaced by something strange."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

STRANGE: tuple[Any, ...] = (None, 7, -1.5, True, "", "text", "{not json", [], [None, 1, "a", {}], {}, {"a": {"b": [1]}})


def paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value inside *value*, its own included."""
    yield path
    items: Iterator[tuple[str | int, Any]]
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value[:2]))
    else:
        return
    for key, inner in items:
        yield from paths(inner, (*path, key))


def with_value(sample: Mapping[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """*sample* with *value* at *path*."""
    copy: dict[str, Any] = json.loads(json.dumps(sample))
    inside: Any = copy
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return copy
