"""
A RuleSet as bytes, and back: what `engine.packs.cache` writes.

Data and no code: classes are numbers in a fixed table, expressions are their syntax trees, and unpacking runs nothing
but constructors. A syntax tree stands once, however many rules have it. What deciding an event needs of a rule is
unpacked at once; its texts, tests and the like, which are most of it, when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Any, Final

import msgspec

from engine import rule as nouns
from engine.errors import Place
from engine.expression import Expression, Lists, Node, Template, parse_template
from engine.rule import Example, Rule, RuleSet, Severity, Status

_CLASSES: Final[tuple[Any, ...]] = (
    *sorted(
        (
            found
            for found in vars(nouns).values()
            if isinstance(found, type)
            and found.__module__ == nouns.__name__
            and found not in (Rule, RuleSet)
            and (is_dataclass(found) or issubclass(found, Enum))
        ),
        key=lambda found: found.__name__,
    ),
)
_NUMBERS: Final = {found: number for number, found in enumerate(_CLASSES)}
_GIVEN: Final[dict[Any, tuple[str, ...]]] = {
    found: tuple(field.name for field in fields(found) if field.init) for found in _CLASSES if is_dataclass(found)
}
_LIST, _TUPLE, _OBJECT, _SPAN, _DAY, _WORD, _SET, _EXPRESSION, _EXAMPLE, _PLACE, _TEMPLATE = range(11)

_AT_ONCE: Final = ("id", "kind", "version", "enabled", "severity", "status", "match")
_OFTEN_EMPTY: Final[Mapping[str, Any]] = {"unless": (), "memory": None}  # known at once where they are that
_LATER: Final = tuple(field.name for field in fields(Rule) if field.name not in _AT_ONCE)
_COMPARED: Final = tuple(field.name for field in fields(Rule) if field.compare)
_OF_EXAMPLE: Final = tuple(field.name for field in fields(Example) if field.name != "events")


class Kept(Rule):
    """A rule that was kept; equal to the Rule that it was made from."""

    __slots__ = ("_rest",)

    _rest: tuple[bytes, Callable[[Any], Any]]

    def __getattr__(self, name: str) -> Any:
        """What was not unpacked yet: Python asks here for attributes that nobody has set."""
        if name not in _LATER:
            raise AttributeError(f"a rule has no {name}")
        packed, unpack = self._rest
        for known, value in zip(_LATER, msgspec.msgpack.decode(packed), strict=True):
            object.__setattr__(self, known, unpack(value))
        return object.__getattribute__(self, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rule):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in _COMPARED)

    __hash__ = Rule.__hash__


def encode(rules: RuleSet) -> bytes:
    """*rules* as bytes for `decode`."""
    pack = _Packer()
    packed = [pack.rule(rule) for rule in rules.rules]
    lists = {name: sorted(values) for name, values in rules.lists.items()}
    return msgspec.msgpack.encode([lists, list(pack.trees.items()), packed])


def decode(data: bytes) -> RuleSet:
    """
    The rules in *data*; all of them share one mapping of lists.

    Raises msgspec's errors, TypeError, ValueError, LookupError or AttributeError when it holds something else.
    """
    packed_lists, trees, packed_rules = msgspec.msgpack.decode(data)
    lists: Lists = {name: frozenset(values) for name, values in packed_lists.items()}
    unpack = _Unpacker(lists, trees)
    return RuleSet(tuple(_rule(packed, unpack) for packed in packed_rules), lists)


# --- packing: scalars and mappings as themselves, everything else as [tag, …]


class _Packer:
    def __init__(self) -> None:
        self.trees: dict[str, Node] = {}
        self._numbers: dict[str, int] = {}

    def rule(self, rule: Rule) -> list[Any]:
        rest = [self(getattr(rule, name)) for name in _LATER]
        empty = [getattr(rule, name) == value for name, value in _OFTEN_EMPTY.items()]
        head = [rule.id, rule.kind, rule.version, rule.enabled, int(rule.severity), str(rule.status)]
        return [*head, self(rule.match), empty, msgspec.msgpack.encode(rest)]

    def _expression(self, expression: Expression) -> list[Any]:
        text = expression.text
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self._numbers)
            self.trees[text] = expression.tree
        return [_EXPRESSION, number, _place(expression.place)]

    def _template(self, template: Template) -> list[Any]:
        """Its text; it is taken apart again, with the trees that are known."""
        fields_of_it = [self._expression(expression) for expression, _ in template.expressions()]
        return [_TEMPLATE, template.text, fields_of_it[0][2] if fields_of_it else None]

    def __call__(self, value: Any) -> Any:
        kind = value.__class__
        if value is None or kind in _PLAIN:
            return value
        if kind is Expression:
            return self._expression(value)
        if kind is Template:
            return self._template(value)
        if kind is Place:
            return _place(value)
        if kind is Example:  # its events are JSON already, and most of what a rule is
            return [_EXAMPLE, value.events, *[self(getattr(value, name)) for name in _OF_EXAMPLE]]
        if isinstance(value, Enum):
            return [_WORD, _NUMBERS[kind], value.value]
        if kind is Example:  # its events are JSON already, and most of what a rule is
            rest = (self(getattr(value, name)) for name in _OF_EXAMPLE)
            return [_EXAMPLE, value.events, *rest]
        if kind in _GIVEN:
            return [_OBJECT, _NUMBERS[kind], *(self(getattr(value, name)) for name in _GIVEN[kind])]
        if isinstance(value, Mapping):
            return {name: self(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [_LIST if isinstance(value, list) else _TUPLE, *map(self, value)]
        if isinstance(value, frozenset):
            return [_SET, *map(self, sorted(value))]
        if isinstance(value, timedelta):
            return [_SPAN, value.days, value.seconds, value.microseconds]
        if isinstance(value, date):
            return [_DAY, value.toordinal()]
        raise TypeError(f"a rule holds a {kind.__name__}, which the cache does not know")


_PLAIN: Final = frozenset({str, int, bool, float})


def _place(place: Place | None) -> list[Any] | None:
    return None if place is None else [_PLACE, place.file, place.line, place.column]


def _rule(packed: list[Any], unpack: Callable[[Any], Any]) -> Rule:
    id_, kind, version, enabled, severity, status, match, empty, rest = packed
    rule, put = Kept.__new__(Kept), object.__setattr__
    put(rule, "id", id_)
    put(rule, "kind", kind)
    put(rule, "version", version)
    put(rule, "enabled", enabled)
    put(rule, "severity", Severity(severity))
    put(rule, "status", Status(status))
    put(rule, "match", unpack(match))
    for (name, value), is_so in zip(_OFTEN_EMPTY.items(), empty, strict=True):
        if is_so:
            put(rule, name, value)
    put(rule, "_rest", (rest, unpack))
    return rule


class _Unpacker:
    """Turns what `_Packer` made into what it was. A class: a function that calls itself would be a cycle (`cache`)."""

    __slots__ = ("_known", "_lists", "_trees")

    def __init__(self, lists: Lists, trees: list[tuple[str, Node]]) -> None:
        self._lists = lists
        self._trees = trees
        self._known = dict(trees)

    def __call__(self, value: Any) -> Any:
        kind = value.__class__
        if kind is dict:
            return {name: self(item) for name, item in value.items()}
        if kind is not list:
            return value
        tag = value[0]
        if tag == _PLACE:
            return Place(*value[1:])
        if tag == _OBJECT:
            return _CLASSES[value[1]](*map(self, value[2:]))
        if tag == _EXPRESSION:
            text, tree = self._trees[value[1]]
            return Expression(text, tree, self._lists, self(value[2]))
        if tag == _TEMPLATE:
            return parse_template(value[1], lists=self._lists, place=self(value[2]), known=self._known)
        if tag == _EXAMPLE:
            rest = dict(zip(_OF_EXAMPLE, map(self, value[2:]), strict=True))
            return Example(events=tuple(value[1]), **rest)
        if tag == _TUPLE:
            return tuple(map(self, value[1:]))
        if tag == _LIST:
            return list(map(self, value[1:]))
        if tag == _WORD:
            return _CLASSES[value[1]](value[2])
        if tag == _SET:
            return frozenset(map(self, value[1:]))
        if tag == _SPAN:
            return timedelta(*value[1:])
        if tag == _DAY:
            return date.fromordinal(value[1])
        raise ValueError(f"unknown tag {tag!r}")
