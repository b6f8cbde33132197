"""
What a part of a condition can be: the JSON types of its value, whether deciding it can break, and what it reads.

Everything here errs on one side: a type that is missing from an answer is impossible, a part that is said never to
break never does. Types of fields count only where the decode enforces them (`Schema.certain`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.errors import EvaluationError
from engine.expression import Interpreter, Node, children, truth
from engine.functions import Functions, Lists, wanted
from engine.lint.schema import Schema

Key = str  # a part by what it says, wherever it stands and however it is written
Types = frozenset[str]  # of null, false, true, number, string, array, object
Known = Mapping[Key, Types]  # of some parts more than the schema tells
_NOTHING: Final[Known] = {}

ANY: Final[Types] = frozenset({"null", "false", "true", "number", "string", "array", "object"})
_BOOLEAN: Final[Types] = frozenset({"false", "true"})
_GIVES: Final[dict[str, Types]] = {
    "abs": frozenset({"number"}),
    "avg": frozenset({"number", "null"}),
    "ceil": frozenset({"number"}),
    "contains": _BOOLEAN,
    "ends_with": _BOOLEAN,
    "floor": frozenset({"number"}),
    "glob": _BOOLEAN,
    "in_cidr": _BOOLEAN,
    "in_list": _BOOLEAN,
    "join": frozenset({"string"}),
    "keys": frozenset({"array"}),
    "length": frozenset({"number"}),
    "lower": frozenset({"string"}),
    "map": frozenset({"array"}),
    "matches": _BOOLEAN,
    "merge": frozenset({"object"}),
    "sort": frozenset({"array"}),
    "starts_with": _BOOLEAN,
    "to_array": frozenset({"array"}),
    "to_number": frozenset({"number", "null"}),
    "to_string": frozenset({"string"}),
    "type": frozenset({"string"}),
    "upper": frozenset({"string"}),
    "values": frozenset({"array"}),
}
_TYPE_NAMES: Final[dict[str, Types]] = {"boolean": _BOOLEAN, "integer": frozenset({"number"}), "any": ANY}
# Functions that break on nothing but a wrong type of argument, as engine.functions and jmespath.py have them.
_CALM: Final = frozenset(
    {
        "abs", "contains", "ends_with", "json", "keys", "length", "lower", "not_null", "starts_with",
        "to_array", "to_number", "to_string", "type", "upper", "values",
    }
)  # fmt: skip
# Nodes whose parts are read against the same value as they themselves.
SHARES: Final = frozenset(
    {
        "comparator", "function_expression", "not_expression", "and_expression", "or_expression", "multi_select_list",
        "multi_select_dict", "key_val_pair",
    }
)  # fmt: skip
_HANDS_DOWN: Final = frozenset(
    {"subexpression", "index_expression", "pipe", "projection", "filter_projection", "value_projection", "flatten"}
)


def key(node: Node) -> Key:
    """What *node* says, without where it stands: equal keys give equal values on every event."""
    kind = node["type"]
    if kind == "literal":
        return f"`{node['value']!r}`"
    known = _KEYS.get(id(node))
    if known is not None and known[0] is node:
        return known[1]
    below = [key(child) if isinstance(child, dict) else repr(child) for child in node["children"]]
    if kind == "comparator" and node["value"] == "eq":
        below.sort()
    found = f"{kind} {node.get('value', '')!r}({', '.join(below)})"
    if len(_KEYS) >= _MOST_KEYS:
        _KEYS.clear()
    _KEYS[id(node)] = node, found
    return found


# The same few nodes are asked again and again, and some hold fifty names. They are kept, so that their ids stay theirs.
_KEYS: Final[dict[int, tuple[Node, Key]]] = {}
_MOST_KEYS: Final = 2048


def path_of(node: Node) -> str | None:
    """The dotted path that *node* is, read against the whole event; None where it is none."""
    if node["type"] == "field":
        return str(node["value"]) if "." not in node["value"] else None
    if node["type"] != "subexpression":
        return None
    names = [path_of(child) for child in node["children"]]
    return None if None in names else ".".join(str(name) for name in names)


def node_of(path: str) -> Node:
    """The node that is the dotted *path*; its `path_of`."""
    first, *rest = ({"type": "field", "value": name, "children": []} for name in path.split("."))
    return {"type": "subexpression", "children": [first, *rest]} if rest else first


def reads_event(node: Node) -> bool:
    """Whether the value of *node* depends on the event; False only where it does not."""
    kind = node["type"]
    if kind in {"literal", "expref"}:
        return False
    if kind in SHARES:
        return any(reads_event(child) for child in children(node))
    if kind in _HANDS_DOWN:
        return reads_event(children(node)[0])
    return True


def subjects(node: Node) -> Iterator[Node]:
    """
    *node* and the parts of it that alone decide its value, outermost first: of `lower(a) == 'x'` all of it, `lower(a)`
    and `a`.
    """
    while True:
        yield node
        if node["type"] not in SHARES:
            return
        reading = {key(child): child for child in children(node) if reads_event(child)}
        if len(reading) != 1:
            return
        (node,) = reading.values()


def strict(atom: Node, subject: Key) -> bool:
    """Whether *atom* breaks wherever *subject* breaks: it is always asked for it."""
    if key(atom) == subject:
        return True
    if atom["type"] in {"and_expression", "or_expression"}:
        return strict(children(atom)[0], subject)
    return atom["type"] in SHARES and any(strict(child, subject) for child in children(atom))


def types(node: Node, schema: Schema, known: Known = _NOTHING) -> Types:
    """The JSON types that the value of *node*, read against the whole event, can have; *known* has those of parts."""
    kind = node["type"]
    if known and (found := known.get(key(node))) is not None:
        return found
    if kind == "literal":
        return frozenset({type_of(node["value"])})
    path = path_of(node)
    if path is not None:
        field = schema.certain.get(path)
        if field is None:
            return ANY
        named = _TYPE_NAMES.get(field.type, frozenset({field.type}))
        return named | {"null"} if field.nullable else named
    if kind == "not_expression":
        return _BOOLEAN
    if kind in {"and_expression", "or_expression"}:
        return types(children(node)[0], schema, known) | types(children(node)[1], schema, known)
    if kind == "comparator":
        return _BOOLEAN if node["value"] in {"eq", "ne"} else _BOOLEAN | {"null"}
    if kind == "multi_select_list":
        return frozenset({"array"})
    if kind == "multi_select_dict":
        return frozenset({"object"})
    if kind == "function_expression":
        return _call_types(node, schema, known)
    return ANY


def _call_types(node: Node, schema: Schema, known: Known) -> Types:
    gives = _GIVES.get(node["value"], ANY)
    given = [types(child, schema, known) if child["type"] != "expref" else frozenset() for child in node["children"]]
    if node["value"] == "not_null":
        found = frozenset().union(*given)
        return found if all("null" in kinds for kinds in given) else found - {"null"}
    allowed = wanted(node["value"], len(given))
    null = any("null" in kinds and wants for kinds, wants in zip(given, allowed, strict=False))
    if node["value"] == "contains" and len(given) == 2:
        null = null or "null" in given[1]
    return gives | {"null"} if null else gives


def may_break(node: Node, schema: Schema, known: Known = _NOTHING) -> bool:
    """
    Whether deciding *node* against some event can end in an error; False only where it never does.

    *known* has the types of parts that do not break.
    """
    kind = node["type"]
    if kind == "expref" or (known and key(node) in known):
        return False
    if kind == "literal" or path_of(node) is not None:
        return False
    if kind in _HANDS_DOWN:
        return any(_may_break_below(child) for child in children(node))
    if any(may_break(child, schema, known) for child in children(node)):
        return True
    if kind == "comparator" and node["value"] not in {"eq", "ne"}:
        left, right = (types(child, schema, known) for child in node["children"])
        return ("string" in left and "number" in right) or ("number" in left and "string" in right)
    return kind == "function_expression" and not _calm_call(node, schema, known)


def _may_break_below(node: Node) -> bool:
    """As may_break, of a part that is read against nobody knows what."""
    if node["type"] == "function_expression" and node["value"] in {"type", "to_string", "to_array", "not_null"}:
        return any(_may_break_below(child) for child in children(node))
    if node["type"] == "function_expression":
        return True
    if node["type"] == "comparator" and node["value"] not in {"eq", "ne"}:
        return True
    return any(_may_break_below(child) for child in children(node))


def _calm_call(node: Node, schema: Schema, known: Known) -> bool:
    name: str = node["value"]
    arguments: list[Node] = node["children"]
    if any(argument["type"] == "expref" for argument in arguments):
        return False
    given = [types(argument, schema, known) for argument in arguments]
    for kinds, allowed in zip(given, wanted(name, len(arguments)), strict=False):
        names = {kind.split("-")[0] for kind in allowed}  # of array-string, that they are texts is seen at the load
        plain = {word for kind in names for word in (("false", "true") if kind == "boolean" else (kind,))}
        if plain and not kinds <= plain | {"null"}:
            return False
    if name == "contains":
        return "string" not in given[0] or given[1] <= {"string", "null"}
    if name == "in_list":
        return "array" not in given[0]
    if name in {"matches", "glob"}:
        return bool(arguments[1]["type"] == "literal")
    if name == "in_cidr":  # that these are networks is seen when the rule is loaded
        return arguments[1]["type"] == "literal" or all(map(_is_text, _items(arguments[1])))
    return name in _CALM


def _items(node: Node) -> list[Node]:
    """The parts of a list that is written out; of anything else, itself."""
    return node["children"] if node["type"] == "multi_select_list" else [node]


def _is_text(node: Node) -> bool:
    return node["type"] == "literal" and isinstance(node["value"], str)


def type_of(value: Any) -> str:
    """The word of ANY for a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


class Decider:
    """Decides parts of conditions with the interpreter that decides events, a subject replaced by a value."""

    def __init__(self, lists: Lists) -> None:
        self.lists = lists
        self._interpreter = Interpreter("", Functions(lists))
        self._known: dict[tuple[Key, Key, str], str] = {}

    def outcome(self, atom: Node, name: Key, subject: Key, value: Any) -> str:
        """ "true", "false" or "broken": *atom*, called *name*, where its *subject* has this value."""
        asked = (name, subject, repr(value))
        found = self._known.get(asked)
        if found is None:
            found = self._known[asked] = self._decided(_with(atom, subject, value))
        return found

    def outcome_of(self, atom: Node, values: Mapping[Key, Any]) -> str:
        """As `outcome`, with several subjects."""
        for subject, value in values.items():
            atom = _with(atom, subject, value)
        return self._decided(atom)

    def type_of_nothing(self, node: Node) -> str:
        """The type of *node* where the event is empty, or "broken"."""
        try:
            return type_of(self._interpreter.visit(node, {}))
        except (EvaluationError, RecursionError):
            return "broken"

    def _decided(self, node: Node) -> str:
        try:
            value = self._interpreter.visit(node, {})
        except (EvaluationError, RecursionError):
            return "broken"
        return "true" if truth(value) else "false"


def _with(node: Node, subject: Key, value: Any) -> Node:
    return put(node, subject, {"type": "literal", "value": value, "children": []})


def put(node: Node, subject: Key, other: Node) -> Node:
    """*node* with *other* wherever the part called *subject* is read against the same value as *node* itself."""
    if key(node) == subject:
        return other
    if node["type"] not in SHARES:
        return node
    return {**node, "children": [put(child, subject, other) for child in node["children"]]}
