"""Lists that are asked for what they cannot hold, or hold what is never asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.expression import Lists, Node, part, walk
from engine.functions import problem_of_networks
from engine.lint.reading import Finding
from engine.lint.schema import Schema
from engine.lint.terms import path_of
from engine.strict_yaml import nearest

_SHOWN: Final = 3


def findings(tree: Node, text: str, schema: Schema, lists: Lists) -> Iterator[Finding]:
    """What is doubtful about the calls of in_list() in an expression that is read against a whole event."""
    for node, _, start in walk(tree):
        if node["type"] != "function_expression" or node["value"] != "in_list" or len(node["children"]) != 2:
            continue
        asked, named = node["children"]
        values = lists.get(named.get("value", ""), frozenset())
        where = named.get("start", start)
        if values and all("/" in value for value in values) and problem_of_networks(values) is None:
            message = f"in_list() compares whole texts, and the list '{named['value']}' holds networks: never true"
            hint = f"write in_cidr({part(asked, text)}, '{named['value']}')"
            yield Finding(where, "argument-type", message, hint, error=False)
            continue
        field = schema.fields.get(path_of(asked) or "")
        if field is None or not field.values:
            continue
        known = [value.casefold() for value in field.values]
        others = sorted(values.difference(known))
        if not others or len(others) == len(values):  # where it can hold none, it never holds: that is proven
            continue
        near = nearest(others[0], known)
        hint = f"did you mean '{near}'?" if near and len(others) == 1 else f"it is one of {', '.join(field.values)}"
        shown = " or ".join(f"'{value}'" for value in others[:_SHOWN]) + (" …" if len(others) > _SHOWN else "")
        message = f"{field.path} is never {shown}, which the list '{named['value']}' holds"
        yield Finding(where, "unknown-value", message, hint, error=False)
