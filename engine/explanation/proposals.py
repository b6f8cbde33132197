"""
What an event could be changed to, so that a condition comes out otherwise: read off the condition.

A proposal is some settings, each a path and the value it would have, made so that a part of the condition holds, or
does not. None of them is believed: `engine.explanation.change` tries each with the compiled rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, product
from typing import Any, Final

from engine.explanation.texts import globbed_by, matched_by
from engine.expression import Expression, Node, children, truth
from engine.functions import parsed_network

Path = tuple[str | int, ...]  # the names on the way down; a number is a place in a list
Proposal = tuple[tuple[Path, Any], ...]

_SAME_KIND: Final = 6  # alternatives of one part that are combined with those of others
_COMBINED: Final = 64
_ITEMS: Final = 4  # of a list, that are looked at
_FRESH: Final = 4  # items that are made up
_MEMBERS: Final = 3  # of a list by name, that are tried
_LONGEST: Final = 200  # texts and lists that are made up
_OTHER: Final = "other"  # a text that no rule means
_OUTSIDE: Final = ("198.51.100.1", "2001:db8::1", "10.0.0.1")  # RFC 5737, RFC 3849, RFC 1918


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
_SOME: Final[Any] = object()  # any value that is true

_TYPICAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "string": ("1",), "number": (1,), "boolean": (True,), "array": (["1"],), "object": ({"1": "1"}, {}),
    "null": (ABSENT,),
}  # fmt: skip
_LISTS: Final = frozenset({"projection", "filter_projection", "value_projection", "flatten"})


class NoPlaceError(Exception):
    """A field would have to stand in a value that is no object, or an item in one that is no list."""


def found(value: Any, path: Path) -> Any:
    """What stands at *path*; None where there is no such place."""
    for name in path:
        if isinstance(name, str):
            value = value.get(name) if isinstance(value, dict) else None
        else:
            value = value[name] if isinstance(value, list) and -len(value) <= name < len(value) else None
    return value


def changed(value: Any, path: Path, new: Any) -> Any:
    """A copy of *value* with *new* at *path*. Raises NoPlaceError where a place would stand in something else."""
    if not path:
        return None if new is ABSENT else new
    name, rest = path[0], path[1:]
    if isinstance(name, str):
        if not isinstance(value, dict | None):
            raise NoPlaceError(name)
        if new is ABSENT and (value or {}).get(name) is None:
            return value
        inner = changed((value or {}).get(name), rest, new)
        copy = dict(value or {})
        if inner is None:
            copy.pop(name, None)
        else:
            copy[name] = inner
        return copy
    if not isinstance(value, list | None):
        raise NoPlaceError(name)
    items = list(value or [])
    if -len(items) <= name < len(items):
        items[name] = changed(items[name], rest, new)
    elif name in (-1, len(items)):
        items.append(changed(None, rest, new))
    else:
        raise NoPlaceError(name)
    return items


def _settled(fields: Any, proposal: Proposal) -> Proposal:
    """
    *proposal* for *fields*: places counted from the beginning of a list, no place emptied but the list without it, what
    stands in the way of a place replaced, and nothing set inside something else that is set. Raises NoPlaceError where
    that cannot be.
    """
    settled: dict[Path, Any] = {}
    for negative, value in proposal:
        path = _counted(fields, negative)
        last = path[-1] if path else ""
        if value is ABSENT and isinstance(last, int):
            items = found(fields, path[:-1])
            if not isinstance(items, list) or last >= len(items):
                raise NoPlaceError(path)
            settled[path[:-1]] = [*items[:last], *items[last + 1 :]]
            continue
        above = _in_the_way(fields, path)
        if above is None:
            settled[path] = value
        elif value is ABSENT or (above == () and fields is not None):
            raise NoPlaceError(path)
        elif above in settled:
            settled[above] = changed(settled[above], path[len(above) :], value)
        else:
            given = found(fields, above)
            settled[above] = _new(path[len(above) :], value, given if isinstance(given, list) else [])
    for path in sorted(settled, key=len, reverse=True):
        above = next((path[:size] for size in range(len(path)) if path[:size] in settled), None)
        if above is not None:
            value = settled.pop(path)
            outer = settled[above]
            inner = path[len(above) :]
            if value is not ABSENT or found(outer, inner) is not None:  # else it is not there anyhow
                settled[above] = changed(None if outer is ABSENT else outer, inner, value)
    return tuple(settled.items())


def _in_the_way(fields: Any, path: Path) -> Path | None:
    """The place on the way down *path* of a value in which the next one cannot be; None if there is none."""
    for index, name in enumerate(path):
        if fields is not None and not isinstance(fields, dict if isinstance(name, str) else list):
            return path[:index]
        if isinstance(name, int) and name > len(fields or ()):
            return path[:index]
        fields = found(fields, (name,))
    return None


def _new(path: Path, value: Any, given: list[Any]) -> Any:
    """What has *value* at *path*; if it is a list, one that begins as *given*."""
    for index, name in reversed(list(enumerate(path))):
        if isinstance(name, str):
            value = {name: value}
        else:
            before = [] if index else given[:name]
            filling: Any = {} if index + 1 < len(path) else "1"
            value = [*before, *[filling] * (name - len(before)), value]
    return value


def _counted(fields: Any, path: Path) -> Path:
    for index, name in enumerate(path):
        if isinstance(name, int) and name < 0:
            items = found(fields, path[:index])
            length = len(items) if isinstance(items, list) else 0
            path = (*path[:index], max(length + name, 0), *path[index + 1 :])
    return path


class Reader:
    """One expression, read for proposals that speak of an event's *fields*."""

    def __init__(self, expression: Expression, fields: Any) -> None:
        self._lists = expression.lists
        self._tree = expression.tree
        self._fields = fields

    def turning(self, *, wanted: bool) -> Iterator[Proposal]:
        """Proposals with which the whole expression may hold (*wanted*), or not."""
        yield from self._settled(self._deciding(self._tree, self._fields, (), wanted=wanted))

    def mentioned(self) -> Iterator[tuple[Path, Any]]:
        """Every setting that may turn a part of the expression."""
        for part in _asked(self._tree):
            for wanted in (True, False):
                proposals = self._deciding(part, self._fields, (), wanted=wanted)
                for proposal in self._settled(islice(proposals, _COMBINED)):
                    yield from proposal

    def _settled(self, proposals: Iterable[Proposal]) -> Iterator[Proposal]:
        for proposal in proposals:
            try:
                yield _settled(self._fields, proposal)
            except NoPlaceError:
                continue

    # --- that a part holds, or does not

    def _deciding(self, node: Node, at: Any, path: Path, *, wanted: bool) -> Iterator[Proposal]:
        """Proposals for *node*, which is asked of *at*, the value at *path*."""
        kind = node["type"]
        if kind == "not_expression":
            yield from self._deciding(node["children"][0], at, path, wanted=not wanted)
        elif kind in {"and_expression", "or_expression"}:
            sides = [self._deciding(child, at, path, wanted=wanted) for child in node["children"]]
            if (kind == "and_expression") is wanted:
                yield from _together(sides)
            else:
                yield from _in_turn(sides)
        elif kind == "literal":
            if truth(node["value"]) is wanted:
                yield ()
        elif kind == "comparator":
            yield from self._compared(node, at, path, wanted=wanted)
        elif (own := _path(node)) is not None:
            yield from (((path + own, value),) for value in _truths(found(at, own), wanted=wanted))
        elif wanted:
            yield from self._called(node, at, path) if kind == "function_expression" else ()
            yield from self._giving(node, _SOME, at, path)
        else:
            yield from self._refused(node, at, path)

    def _compared(self, node: Node, at: Any, path: Path, *, wanted: bool) -> Iterator[Proposal]:
        left, right = node["children"]
        equality = node["value"] in {"eq", "ne"}
        differ = not equality or (node["value"] == "eq") is not wanted
        if differ and not wanted:
            yield from self._otherwise(node, at, path)
        for side, other in ((left, right), (right, left)):
            if other["type"] == "literal":
                values = [] if equality and differ else _near(other["value"], ordered=not equality)
                for value in values:
                    yield from self._giving(side, value, at, path)
            elif (given := self._value(other, at)) is not None:
                yield from self._giving(side, given, at, path)
        if differ and wanted:
            yield from self._otherwise(node, at, path)

    def _value(self, node: Node, at: Any) -> Any:
        own = _path(node)
        return None if own is None else found(at, own)

    def _called(self, node: Node, at: Any, path: Path) -> Iterator[Proposal]:
        """With which the call *node* would be true."""
        name, arguments = node["value"], node["children"]
        if len(arguments) != 2:
            return
        first, second = arguments
        literal = second["value"] if second["type"] == "literal" else None
        values: Iterable[Any] = ()
        if name == "contains":
            for item in islice(_literals(first), _SAME_KIND + 2):
                yield from self._giving(second, item, at, path)
            if literal is not None:
                values = _holding(self._value(first, at), literal, listed=_is_list(first))
        elif name == "in_list" and isinstance(literal, str):
            values = sorted(self._lists.get(literal, ()))[:_MEMBERS]
        elif name == "in_cidr":
            networks = [literal] if isinstance(literal, str) else list(_literals(second))
            values = (address for network in networks for address in self._addresses(network))
        elif isinstance(literal, str):
            if name in {"starts_with", "ends_with"}:
                values = [literal]
            elif name in {"glob", "matches"}:
                values = globbed_by(literal) if name == "glob" else matched_by(literal)
        for value in values:
            yield from self._giving(first, value, at, path)

    def _addresses(self, network: Any) -> list[str]:
        names = sorted(self._lists[network])[:_MEMBERS] if network in self._lists else [network]
        try:
            return [str(parsed_network(name)[0]) for name in names]
        except (ValueError, TypeError):
            return []

    def _refused(self, node: Node, at: Any, path: Path) -> Iterator[Proposal]:
        """With which *node*, a call or a list that is made, would not be true."""
        if node["type"] in _LISTS:
            yield from self._emptied(node, at, path)
        elif node["type"] in {"pipe", "subexpression"}:
            for own in _sources(node["children"][0]):
                yield from self._deciding(node["children"][-1], found(at, own), path + own, wanted=False)
        elif node["type"] == "function_expression" and node["children"]:
            first = node["children"][0]
            if node["value"] == "in_cidr":
                for address in _OUTSIDE:
                    yield from self._giving(first, address, at, path)
            elif node["value"] == "contains" and isinstance(given := self._value(first, at), list):
                without = [item for item in given if item != node["children"][1].get("value")]
                yield from self._giving(first, without, at, path)
            if any(_is_list(child) for child in node["children"]):
                yield from (p for child in node["children"] if _is_list(child) for p in self._emptied(child, at, path))
        yield from self._otherwise(node, at, path)

    def _emptied(self, node: Node, at: Any, path: Path) -> Iterator[Proposal]:
        """With which the list that *node* makes would have nothing in it."""
        base = _base(node)
        own = None if base is None else _path(base)
        if base is None:
            return
        if own is None:
            yield from self._refused(base, at, path)
            return
        items = found(at, own)
        if isinstance(items, list) and node["type"] == "filter_projection":
            places = [
                list(islice(self._deciding(node["children"][2], item, (*path, *own, place), wanted=False), _SAME_KIND))
                for place, item in enumerate(items[:_ITEMS])
            ]
            yield from _in_turn(iter(one) for one in places)
            if len(items) <= _ITEMS:
                yield from _together(iter(one) for one in places)
        if isinstance(items, list):
            for place in range(min(len(items), _ITEMS)):
                yield (((*path, *own), [*items[:place], *items[place + 1 :]]),)
        yield (((*path, *own), ABSENT),)

    def _otherwise(self, node: Node, at: Any, path: Path) -> Iterator[Proposal]:
        """Each field that *node* reads is something else, or is not there."""
        read = dict.fromkeys(_paths(node))
        if all(found(at, own) is None for own in read):
            yield ()  # what is not there is seldom anything
        for own in read:
            given = found(at, own)
            if isinstance(given, bool):
                yield (((*path, *own), not given),)
            if not isinstance(given, list | dict):
                yield (((*path, *own), _OTHER),)
            yield (((*path, *own), ABSENT),)

    # --- that a part is some value

    def _giving(self, node: Node, value: Any, at: Any, path: Path) -> Iterator[Proposal]:
        """With which *node* would be *value*, as far as it can be turned round."""
        own = _path(node)
        kind = node["type"]
        if own is not None:
            if value is not _SOME:
                yield ((path + own, value),)
            elif not own:
                yield ()
            else:
                yield from (((path + own, true),) for true in _truths(found(at, own), wanted=True))
        elif kind == "or_expression":
            yield from _in_turn(self._giving(child, value, at, path) for child in node["children"])
        elif kind == "and_expression":
            first, second = node["children"]
            sides = [self._deciding(first, at, path, wanted=True), self._giving(second, value, at, path)]
            yield from _together(sides)
        elif kind in {"pipe", "subexpression", "index_expression"}:
            yield from self._below(node, value, at, path)
        elif kind == "flatten":
            yield from self._giving(node["children"][0], ["1"] if value is _SOME else value, at, path)
        elif kind in _LISTS:
            yield from self._listed(node, value, at, path)
        elif kind == "multi_select_list" and isinstance(value, list):
            if 1 < len(value) <= len(node["children"]):
                pairs = zip(node["children"], value, strict=False)
                yield from _together(self._giving(child, item, at, path) for child, item in pairs)
            # One of its parts is the list, which only matters where all are merged; else one is the only item.
            yield from _in_turn(self._giving(child, value, at, path) for child in node["children"])
            if len(value) == 1:
                yield from _in_turn(self._giving(child, value[0], at, path) for child in node["children"])
        elif kind == "multi_select_dict":
            named = {pair["value"]: pair["children"][0] for pair in node["children"]}
            if value is _SOME:
                yield ()  # an object that is written out is never empty
            elif isinstance(value, dict) and value.keys() <= named.keys():
                yield from _together(self._giving(named[name], item, at, path) for name, item in value.items())
        elif kind == "function_expression" and node["children"]:
            yield from self._turned_round(node, value, at, path)

    def _below(self, node: Node, value: Any, at: Any, path: Path) -> Iterator[Proposal]:
        """Where *node* is something of what its first part gives."""
        *firsts, last = node["children"]
        first = firsts[0] if len(firsts) == 1 else {**node, "children": firsts}
        if first["type"] == "multi_select_dict" and last["type"] == "field":
            for pair in first["children"]:
                if pair["value"] == last["value"]:
                    yield from self._giving(pair["children"][0], value, at, path)
            return
        for own in _sources(first):
            yield from self._being(last, value, found(at, own), path + own)
        if _path(first) is not None:
            return
        for proposal in islice(self._being(last, value, None, ()), _SAME_KIND):
            made = _made(proposal)
            if made is not None:
                yield from self._giving(first, made, at, path)

    def _being(self, node: Node, value: Any, at: Any, path: Path) -> Iterator[Proposal]:
        """As `_giving`, also of a condition, of which no value but its truth can be asked."""
        if value is _SOME and _path(node) is None:
            yield from self._deciding(node, at, path, wanted=True)
        else:
            yield from self._giving(node, value, at, path)

    def _listed(self, node: Node, value: Any, at: Any, path: Path) -> Iterator[Proposal]:
        """Where *node* makes a list of another: its items, each changed, or some more of them."""
        values = [_SOME] if value is _SOME else value
        base = _base(node)
        if base is None or not isinstance(values, list) or len(values) > _LONGEST:
            return
        for own in _sources(base) if len(values) == 1 else ():
            for place, item in islice(_items(found(at, own)), _ITEMS):
                yield from self._as_item(node, values[0], item, (*path, *own, place))
        some = [list(islice(self._fresh(node, one), _FRESH)) for one in values]
        for items in islice(product(*some), _FRESH if len(some) == 1 else 1):
            yield from self._with_items(node, base, list(items), at, path)

    def _with_items(self, node: Node, base: Node, items: list[Any], at: Any, path: Path) -> Iterator[Proposal]:
        """With *items* in the list *base* that *node* goes through."""
        whole = _path(base)
        given = None if whole is None else found(at, whole)
        if node["type"] == "value_projection":
            named = {str(number): item for number, item in enumerate(items, 1)}
            yield from self._giving(base, {**given, **named} if isinstance(given, dict) else named, at, path)
            return
        if isinstance(given, list) and given:
            yield from self._giving(base, [*given, *items], at, path)
        yield from self._giving(base, items, at, path)

    def _as_item(self, node: Node, value: Any, item: Any, path: Path) -> Iterator[Proposal]:
        """With which *item*, at *path*, would be one that *node* takes and shows as *value*."""
        sides = [self._giving(node["children"][1], value, item, path)]
        if node["type"] == "filter_projection":
            sides.append(self._deciding(node["children"][2], item, path, wanted=True))
        yield from _together(sides)

    def _fresh(self, node: Node, value: Any) -> Iterator[Any]:
        """Items made up that *node* would take, and show as *value*."""
        for proposal in islice(self._as_item(node, value, None, ()), _SAME_KIND):
            made = "1" if not proposal else _made(proposal)
            if made is not None:
                yield made
            elif all(new is ABSENT for _, new in proposal):
                yield {}  # of which nothing is wanted but that some field is not there

    def _turned_round(self, node: Node, value: Any, at: Any, path: Path) -> Iterator[Proposal]:
        inner, name = node["children"][0], node["value"]
        if name in {"lower", "upper", "to_string", "not_null", "sort", "reverse", "sort_by", "abs", "ceil", "floor"}:
            yield from self._giving(inner, value, at, path)
        elif name == "to_number":
            given = self._value(inner, at)
            for number in (_written(value), value) if isinstance(given, str) else (value, _written(value)):
                yield from self._giving(inner, number, at, path)
        elif name in {"max", "min", "sum", "avg", "max_by", "min_by"}:
            given = self._value(inner, at)
            if isinstance(given, list) and given and value is not _SOME:
                yield from self._giving(inner, [*given, value], at, path)
            yield from self._giving(inner, [value], at, path)
        elif name == "map":
            yield from self._mapped(node, value, at, path)
        elif name == "to_array":
            if not isinstance(value, list):
                yield from self._giving(inner, [value], at, path)
            elif len(value) == 1 and not isinstance(self._value(inner, at), list):
                yield from self._giving(inner, value[0], at, path)
            yield from self._giving(inner, value, at, path)
        elif name == "length" and isinstance(value, int) and 0 <= value <= _LONGEST:
            given = self._value(inner, at)
            if isinstance(given, str):
                yield from self._giving(inner, (given + "x" * value)[:value], at, path)
            elif isinstance(given, list):
                more = [str(number + 1) for number in range(len(given), value)]
                yield from self._giving(inner, [*given, *more][:value], at, path)
            elif _is_list(inner):
                yield from self._giving(inner, [_SOME] * value, at, path)
            yield from self._giving(inner, [str(number + 1) for number in range(value)], at, path)
            if given is None:
                yield from self._giving(inner, "x" * value, at, path)
        elif name == "type" and isinstance(value, str) and value in _TYPICAL:
            for typical in _TYPICAL[value]:
                yield from self._giving(inner, typical, at, path)
        elif name == "keys" and isinstance(value, list) and all(isinstance(item, str) for item in value):
            names, has = dict.fromkeys(value, "1"), self._value(inner, at)
            yield from self._giving(inner, {**has, **names} if isinstance(has, dict) else names, at, path)
        elif name == "values" and isinstance(value, list):
            yield from self._giving(inner, {str(number): item for number, item in enumerate(value, 1)}, at, path)
        elif name == "json" and value is not _SOME and value is not ABSENT:
            yield from self._giving(inner, json.dumps(value, ensure_ascii=False), at, path)
        elif name == "join" and isinstance(value, str):
            separator = inner.get("value")
            if inner["type"] == "literal" and isinstance(separator, str):
                items = value.split(separator) if separator else [value]
                yield from self._giving(node["children"][1], items, at, path)

    def _mapped(self, node: Node, value: Any, at: Any, path: Path) -> Iterator[Proposal]:
        """With which `map` would make *value*: of a list that is read, or of one that is written out."""
        (each,), made_of = node["children"][0]["children"], node["children"][1]
        if value is _SOME or (isinstance(value, list) and len(value) == 1):
            for own in _written_out(made_of):
                yield from self._giving(each, value if value is _SOME else value[0], found(at, own), path + own)
        yield from self._listed({"type": "projection", "children": [made_of, each]}, value, at, path)


def _asked(node: Node) -> Iterator[Node]:
    """The parts of a condition of which only the truth counts, innermost ones."""
    if node["type"] in {"and_expression", "or_expression", "not_expression"}:
        for child in node["children"]:
            yield from _asked(child)
    else:
        yield node


def _path(node: Node) -> Path | None:
    """The path that *node* is of what it is asked of; () for that itself, None where it is no path."""
    kind = node["type"]
    if kind == "field":
        return (str(node["value"]),)
    if kind == "index":
        return (int(node["value"]),)
    if kind in {"identity", "current"}:
        return ()
    if kind not in {"subexpression", "index_expression"}:
        return None
    path: Path = ()
    for child in node["children"]:
        below = _path(child)
        if below is None:
            return None
        path += below
    return path


def _paths(node: Node) -> Iterator[Path]:
    """The paths that *node* reads of what it is asked of."""
    own = _path(node)
    if own is not None:
        if own:
            yield own
        return
    below = [child for child in children(node) if child["type"] != "expref"]
    if node["type"] in _LISTS or node["type"] in {"pipe", "subexpression", "index_expression"}:
        below = below[:1]
    for child in below:
        yield from _paths(child)


def _base(node: Node) -> Node | None:
    """The list that *node*, a projection, goes through; what flattens it on the way changes nothing here."""
    base: Node = node["children"][0]
    while base["type"] == "flatten":
        base = base["children"][0]
    return base


def _sources(node: Node) -> list[Path]:
    """The paths from which *node* takes what it is, or the items of a list that it merges."""
    own = _path(node)
    if own is not None:
        return [own]
    if node["type"] in {"flatten", "multi_select_list"}:
        return [source for child in node["children"] for source in _sources(child)]
    return []


def _written_out(node: Node) -> list[Path]:
    """The paths of the items of *node*, if that is a list that is written out, `a.[b, c]`."""
    above: Path | None = ()
    if node["type"] == "subexpression":
        *firsts, node = node["children"]
        above = _path({"type": "subexpression", "children": firsts})
    if node["type"] != "multi_select_list" or above is None:
        return []
    return [above + own for child in node["children"] if (own := _path(child)) is not None]


def _items(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, list):
        yield from enumerate(value)
    elif isinstance(value, dict):
        yield from value.items()


def _is_list(node: Node) -> bool:
    """Whether *node* makes a list of a list."""
    return node["type"] in _LISTS or (node["type"] == "subexpression" and node["children"][-1]["type"] in _LISTS)


def _made(proposal: Proposal) -> Any:
    """A value made up of nothing but the settings; None if that cannot be."""
    value: Any = None
    try:
        for path, new in _settled(None, proposal):
            value = changed(value, path, new)
    except NoPlaceError:
        return None
    return value


def _in_turn(sides: Iterable[Iterator[Proposal]]) -> Iterator[Proposal]:
    """The first proposals of all *sides*, then the second ones, and so on."""
    turn = list(sides)
    while turn:
        going: list[Iterator[Proposal]] = []
        for side in turn:
            proposal = next(side, None)
            if proposal is not None:
                yield proposal
                going.append(side)
        turn = going


def _together(sides: Iterable[Iterator[Proposal]]) -> Iterator[Proposal]:
    """One proposal of each of *sides*, in some of the ways in which they can be combined."""
    some = [list(islice(side, _SAME_KIND)) for side in sides]
    for combined in islice(product(*some), _COMBINED):
        last: dict[Path, Any] = {}
        both: dict[Path, Any] = {}
        for path, value in (setting for proposal in combined for setting in proposal):
            last[path] = value
            both[path] = _joined(both[path], value) if path in both else value
        yield tuple(last.items())
        if any(both[path] is not value for path, value in last.items()):
            yield tuple(both.items())


def _joined(one: Any, other: Any) -> Any:
    """A text, or a list, that has both."""
    if isinstance(one, str) and isinstance(other, str):
        return other if one in other else one if other in one else one + other
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *(item for item in other if item not in one)]
    return other


def _truths(given: Any, *, wanted: bool) -> list[Any]:
    """Values that are true, or are not, for a field that is *given* now."""
    if isinstance(given, bool):
        return [not given] if wanted else [not given, ABSENT]
    return ["1", True] if wanted else [ABSENT, ""]


def _near(literal: Any, *, ordered: bool) -> list[Any]:
    """A literal, and the numbers beside it; where it is *ordered*, texts too."""
    if isinstance(literal, str) and ordered:
        return [literal, literal + "0", literal[:-1]]
    if isinstance(literal, bool) or not isinstance(literal, int | float):
        return [ABSENT if literal is None else literal]
    return [literal, literal + 1, literal - 1]


def _holding(given: Any, literal: Any, *, listed: bool) -> list[Any]:
    """Values that contain *literal*."""
    more = [[*given, literal]] if isinstance(given, list) else []
    text = [literal] if isinstance(literal, str) and not listed else []
    return [*more, *text, [literal]]


def _literals(node: Node) -> Iterator[Any]:
    if node["type"] == "literal" and isinstance(node["value"], list):
        yield from node["value"]
    elif node["type"] == "multi_select_list":
        yield from (child["value"] for child in node["children"] if child["type"] == "literal")


def _written(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
