"""What an expression reads of an event: the paths from its root, or all of it."""

from __future__ import annotations

from engine.event import SEPARATOR
from engine.expression import Node, children

# Nodes that look at each child with the value that they themselves were given.
_PASSES_ON = frozenset(
    {
        "and_expression", "or_expression", "not_expression", "comparator", "function_expression", "multi_select_list",
        "multi_select_dict", "key_val_pair",
    }
)  # fmt: skip
# Nodes that give it to their first child only; the others look at what comes out of that.
_HANDS_DOWN = frozenset(
    {
        "subexpression", "index_expression", "pipe", "projection", "filter_projection", "value_projection", "flatten",
    }
)  # fmt: skip


def path_of(node: Node) -> str | None:
    """The path that *node* is, `a.b.c` from the root of the event, as a View's key; None if it is no plain path."""
    if node["type"] == "field":
        name: str = node["value"]
        return None if SEPARATOR in name else name
    if node["type"] != "subexpression":
        return None
    names = []
    for child in node["children"]:
        name_or_none = path_of(child)
        if name_or_none is None:
            return None
        names.append(name_or_none)
    return SEPARATOR.join(names)


def reads(node: Node) -> frozenset[str] | None:
    """The paths that *node*, given the whole event, reads of it; None where it looks at the event itself."""
    path = path_of(node)
    if path is not None:
        return frozenset((path,))
    kind = node["type"]
    if kind in ("literal", "expref"):  # what `&` refers to is asked of the elements of a list
        return frozenset()
    if kind in _PASSES_ON:
        found: frozenset[str] = frozenset()
        for child in children(node):
            below = reads(child)
            if below is None:
                return None
            found |= below
        return found
    if kind in _HANDS_DOWN:
        return reads(node["children"][0])
    return None  # @, an index, a slice, a name with NUL in it
