"""Parameters in GET form: nested ones become dotted names, `LookupAttributes.0.AttributeKey`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def flatten(parameters: Mapping[str, Any]) -> dict[str, str]:
    """*parameters* as names and texts; null ones are left out. Source: API 3.0 documentation, "Request structure"."""
    return dict(_pairs("", parameters))


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case None:
            return
        case Mapping():
            for key, inner in value.items():
                yield from _pairs(f"{name}.{key}" if name else str(key), inner)
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from _pairs(f"{name}.{index}", inner)
        case _:
            yield name, str(value)
