"""
The least change of an event that turns a rule's answer: which fields would have to be something else.

Values that could matter are read off the condition (the literals, lists, networks and bounds in it); then one field
after the other, then two together and so on are changed, and the rule is asked again. What is given was tried: each
set of changes turns the answer. That no smaller one exists is only known of the values that were tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations, islice, product
from typing import Any, Final

from engine.errors import EvaluationError
from engine.event import Fields, walked
from engine.expression import Lists, Node, children
from engine.functions import parsed_network
from engine.kinds import NORM_VALUES
from engine.rule import Rule

MAX_FIELDS: Final = 4  # changed together
MAX_TRIALS: Final = 4000
MAX_VALUES: Final = 8  # tried for one field
MAX_SETS: Final = 3  # given

_OTHER: Final = "other"  # a text that no rule means


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """One field, its value, and one that it would have to have; either may be ABSENT."""

    path: tuple[str, ...]
    value: Any
    wanted: Any

    @property
    def field(self) -> str:
        return ".".join(self.path)


Changes = tuple[tuple[Change, ...], ...]
_Path = tuple[str, ...]


def answer(rule: Rule, fields: Fields, today: date) -> str:
    """What *rule* says to an event by itself: "alert", "excepted", "nothing" or "fault"; *today* is UTC."""
    try:
        if not rule.match.holds(fields):
            return "nothing"
    except EvaluationError:
        return "fault"
    for exception in rule.unless:
        if not exception.holds_on(today):
            continue
        try:
            if exception.match.holds(fields):
                return "excepted"
        except EvaluationError:
            continue  # a broken exception hides nothing
    return "alert"


def least_changes(rule: Rule, fields: Fields, today: date) -> Changes:
    """
    Sets of changes each of which turns the answer: to an alert where there is none, to none where there is one, to a
    decision where the rule breaks. Few, all of one size, the smallest with which any was found; empty if none was.
    """
    given = answer(rule, fields, today)

    def turned(changed: Fields) -> bool:
        now = answer(rule, changed, today)
        return now == "alert" if given in {"nothing", "excepted"} else now not in {given, "fault"}

    candidates = _candidates(rule, fields, today)
    trials = MAX_TRIALS
    for size in range(1, min(MAX_FIELDS, len(candidates)) + 1):
        found: list[tuple[Change, ...]] = []
        for paths in combinations(candidates, size):
            for values in product(*(candidates[path] for path in paths)):
                trials -= 1
                if trials < 0:
                    return tuple(found)
                changed = _changed(fields, zip(paths, values, strict=True))
                if changed is not None and turned(changed):
                    found.append(
                        tuple(
                            Change(path, _value(fields, path), value) for path, value in zip(paths, values, strict=True)
                        )
                    )
                    break
            if len(found) == MAX_SETS:
                break
        if found:
            return tuple(found)
    return ()


def _value(fields: Any, path: _Path) -> Any:
    value = walked(fields, path)
    return ABSENT if value is None else value


def _changed(fields: Fields, changes: Iterable[tuple[_Path, Any]]) -> Fields | None:
    """A copy of *fields* with the changes; None where a field would have to stand in something that is no object."""
    for path, value in changes:
        replaced = _replaced(fields, path, value)
        if replaced is None:
            return None
        fields = replaced
    return fields


def _replaced(fields: Fields, path: _Path, value: Any) -> Fields | None:
    name, rest = path[0], path[1:]
    copy = dict(fields)
    if not rest:
        if value is ABSENT:
            copy.pop(name, None)
        else:
            copy[name] = value
        return copy
    below = copy.get(name)
    if below is None and value is ABSENT:
        return copy
    if below is not None and not isinstance(below, dict):
        return None
    inner = _replaced(below or {}, rest, value)
    if inner is None:
        return None
    copy[name] = inner
    return copy


# --- what could be tried ----------------------------------------------------------------------------------------------


def _candidates(rule: Rule, fields: Fields, today: date) -> dict[_Path, list[Any]]:
    """The fields that the rule reads, those of the condition first, with the values that could matter."""
    found: dict[_Path, list[Any]] = {}
    expressions = [rule.match, *(exception.match for exception in rule.unless if exception.holds_on(today))]
    for expression in expressions:
        for path, value in _mentioned(expression.tree, expression.lists, fields):
            values = found.setdefault(path, [])
            if len(values) < MAX_VALUES and not any(_same(value, known) for known in values):
                values.append(value)
    for path, values in found.items():
        given = _value(fields, path)
        closed = NORM_VALUES.get(".".join(path), ())
        tried = [*values, *closed, *([] if closed else [_OTHER, ABSENT])]
        kept = [value for value in tried if not _same(value, given) and not (closed and value not in closed)]
        found[path] = [value for index, value in enumerate(kept) if not any(_same(value, v) for v in kept[:index])]
    return {path: values for path, values in found.items() if values}


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _mentioned(node: Node, lists: Lists, fields: Fields) -> Iterator[tuple[_Path, Any]]:
    """Fields that *node* reads of the event, with values that it names, or that its functions would take."""
    kind = node["type"]
    if (path := _path(node)) is not None:
        yield from ((path, value) for value in _true_values(walked(fields, path)))
        return
    if kind == "comparator":
        left, right = node["children"]
        for side, literal in ((left, right), (right, left)):
            if literal["type"] == "literal":
                for value in _near(literal["value"]):
                    yield from _giving(side, value)
            elif _path(literal) is not None and (given := walked(fields, _path(literal) or ())) is not None:
                yield from _giving(side, given)
    elif kind == "function_expression":
        yield from _satisfying(node, lists)
    operands = kind in {"comparator", "function_expression"}  # whether they are true is not asked
    for child in _root_children(node):
        if not (operands and _path(child) is not None):
            yield from _mentioned(child, lists, fields)


_SHARES: Final = frozenset(
    {
        "comparator", "function_expression", "not_expression", "and_expression", "or_expression", "multi_select_list",
        "multi_select_dict", "key_val_pair",
    }
)  # fmt: skip


def _root_children(node: Node) -> list[Node]:
    """The parts of *node* that are read against the whole event."""
    below = [child for child in children(node) if child["type"] != "expref"]
    return below if node["type"] in _SHARES else below[:1]


def _path(node: Node) -> _Path | None:
    if node["type"] == "field":
        return (str(node["value"]),)
    if node["type"] != "subexpression":
        return None
    names: list[str] = []
    for child in node["children"]:
        below = _path(child)
        if below is None:
            return None
        names += below
    return tuple(names)


def _true_values(given: Any) -> list[Any]:
    return [not given] if isinstance(given, bool) else ["1", True]


def _near(literal: Any) -> list[Any]:
    """A literal, and the numbers beside it."""
    if isinstance(literal, bool) or not isinstance(literal, int | float):
        return [ABSENT if literal is None else literal]
    return [literal, literal + 1, literal - 1]


_TYPICAL: Final[Mapping[str, Any]] = {
    "string": "1", "number": 1, "boolean": True, "array": ["1"], "object": {"1": "1"}, "null": ABSENT
}  # fmt: skip


def _giving(node: Node, value: Any) -> Iterator[tuple[_Path, Any]]:
    """Fields and values with which *node* would be *value*, as far as its functions can be turned round."""
    path = _path(node)
    if path is not None:
        yield path, value
        return
    if node["type"] == "or_expression":
        yield from _giving(children(node)[0], value)
        return
    if node["type"] != "function_expression" or not node["children"]:
        return
    inner, name = node["children"][0], node["value"]
    if name in {"lower", "upper", "to_string", "to_number", "not_null"}:
        yield from _giving(inner, value)
    elif name == "to_array":
        yield from _giving(inner, value if isinstance(value, list) else [value])
    elif name == "length" and isinstance(value, int) and 0 <= value <= 200:
        yield from _giving(inner, [str(number + 1) for number in range(value)])
    elif name == "type" and isinstance(value, str) and value in _TYPICAL:
        yield from _giving(inner, _TYPICAL[value])


def _satisfying(node: Node, lists: Lists) -> Iterator[tuple[_Path, Any]]:
    """Fields and values with which the call *node* would be true."""
    name, arguments = node["value"], node["children"]
    if len(arguments) != 2:
        return
    first, second = arguments
    if name == "contains":
        for item in islice(_literals(first), MAX_VALUES):
            yield from _giving(second, item)
    literal = second["value"] if second["type"] == "literal" else None
    if name == "in_list" and isinstance(literal, str):
        for value in sorted(lists.get(literal, ()))[:3]:
            yield from _giving(first, value)
    elif name == "in_cidr":
        for network in [literal] if isinstance(literal, str) else list(_literals(second)):
            for value in _addresses(network, lists):
                yield from _giving(first, value)
    elif name in {"contains", "starts_with", "ends_with"} and isinstance(literal, str):
        yield from _giving(first, literal)
        yield from _giving(first, [literal])
    elif name == "glob" and isinstance(literal, str):
        yield from _giving(first, literal.replace("*", "").replace("?", "x"))
    elif name == "matches" and isinstance(literal, str):
        yield from (found for piece in _pieces(literal) for found in _giving(first, piece))


def _pieces(pattern: str) -> list[str]:
    """The runs of plain characters in a regular expression, the longest first: some match it."""
    plain = re.sub(r"\(\?[a-z]+\)|\[[^\]]*\]|\\.", " ", pattern)
    pieces = {piece.strip() for piece in re.findall(r"[A-Za-z0-9_:./ -]+", plain)} - {""}
    return sorted(pieces, key=lambda piece: (-len(piece), piece))


def _literals(node: Node) -> Iterator[Any]:
    if node["type"] == "literal" and isinstance(node["value"], list):
        yield from node["value"]
    elif node["type"] == "multi_select_list":
        yield from (child["value"] for child in node["children"] if child["type"] == "literal")


def _addresses(network: Any, lists: Lists) -> list[str]:
    names = sorted(lists[network])[:3] if network in lists else [network]
    try:
        return [str(parsed_network(name)[0]) for name in names]
    except ValueError:
        return []
