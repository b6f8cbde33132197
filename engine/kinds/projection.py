"""
Events by path, decoded no further than somebody asks.

A kind's full decode turns a whole record into fields. Most events raise nothing, and rules look at a few of their
fields; so here the record is decoded into a struct that holds only the fields that have been asked for so far, in one
pass that skips everything else. When a field is asked for that the struct does not have, it gets it, for this event
and all later ones: a projection fits itself to the rules within a few events, and no one has to tell it what they are.

What a view gives is what the full decode gives, value by value (tests/laws/test_projection_laws.py); where that would
be hard to keep, it makes the full decode and looks there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, ClassVar, Final

import msgspec

from engine.errors import DecodeError
from engine.event import SEPARATOR, View, walked
from engine.kinds.decoder import UNREADABLE, check_size_and_depth, storable
from engine.kinds.nested import MAX_NESTED_DEPTH, MAX_NESTED_TEXT, Nested, container
from engine.kinds.redaction import PLAIN

UNSET: Final = msgspec.UNSET
Plan = Callable[[Any], Any]  # from a view to the value of one path

OPENERS: Final = ("{", "[", '"', "%", " ", "\t", "\r", "\n")  # what a text begins with that may hold JSON
MAX_PLANS: Final = 20_000  # paths come from rules, not from events; a bound all the same
_MAX_FIELDS: Final = 400
_PAIRED: Final = frozenset({"Value", "value", "ParameterValue", "parameterValue", "ParamValue", "EnvValue"})


class Projection:
    """
    A struct of the fields that have been asked for, and its decoder; grows, never shrinks.

    A kind has two: a lean one, with which every event is decoded, of its identity and of what rules read of nearly
    every event (`View.pin`), and one of all that is read of any, with which those are decoded again.
    """

    def __init__(self, always: dict[str, Any], members: dict[str, dict[str, Any]] | None = None) -> None:
        """
        *always* are the fields that every event is asked for, with their types.

        *members* are fields of which only some members are asked for: a record in which one is no object does not
        decode. They grow too; `members` of a struct that has none are None or UNSET.
        """
        self.decode: Callable[[bytes | str], Any]
        self._fields: dict[str, Any]
        self._members: dict[str, dict[str, Any]]
        self._make(dict(always), members or {})

    def _make(self, fields: dict[str, Any], members: dict[str, dict[str, Any]]) -> None:
        objects = {name: _struct(known) | None for name, known in members.items()}
        decode = msgspec.json.Decoder(_struct({**fields, **objects})).decode
        # At once: two threads may each add a field of their own, and then it must be seen whose is missing.
        self.__dict__.update(decode=decode, _fields=fields, _members=members)

    def has_members(self, path: str) -> bool:
        """Whether the field that *path* begins with is decoded member by member, and *path* names one."""
        field, _, name = path.partition(SEPARATOR)
        return name != "" and field in self._members

    def add(self, field: str, name: str | None = None) -> None:
        """Have *field*, or the member *name* of it, decoded from now on."""
        if name is None:
            if field not in self._fields and len(self._fields) < _MAX_FIELDS:
                self._make({**self._fields, field: Any}, self._members)
        else:
            known = self._members[field]
            if name not in known and len(known) < _MAX_FIELDS:
                self._make(self._fields, {**self._members, field: {**known, name: Any}})

    def get(self, holder: Any, slot: str, text: bytes | str, name: str) -> Any:
        """
        The field *name* of the struct in *holder*'s *slot*, decoded from *text* where that is to be done; UNSET where
        it is absent.
        """
        wanted = attribute(name)
        for _ in range(3):  # another thread may be adding a field of its own just now
            value = getattr(getattr(holder, slot), wanted, NOT_PROJECTED)
            if value is not NOT_PROJECTED:
                return value
            self.add(name)
            setattr(holder, slot, self.decode(text))
        return getattr(_alone(name).decode(text), wanted)

    def get_member(self, holder: Any, slot: str, text: bytes | str, field: str, name: str) -> Any:
        """As `get`, of the member *name* of one of the *members*; UNSET where there is none."""
        top, wanted = attribute(field), attribute(name)
        for _ in range(3):
            held = getattr(holder, slot)
            if held is not None:
                members = getattr(held, top)
                if members is None or members is UNSET:
                    return UNSET
                value = getattr(members, wanted, NOT_PROJECTED)
                if value is not NOT_PROJECTED:
                    return value
            self.add(field, name)
            setattr(holder, slot, self.decode(text))
        return getattr(getattr(_alone(field, name).decode(text), top), wanted)

    def member(self, holder: Any, slot: str, text: str, name: str) -> Any:
        """
        As `get`, of an object that is JSON in a *text* of a record: what `container(text)` has under *name*.

        UNSET where it has none. Raises NotLean where the text must be opened as a whole to tell. *name* is without
        U+FFFD. *slot* is None before the first call.
        """
        head = getattr(holder, slot)
        try:
            if head is None:
                if not _is_plain_object(text):
                    raise NotLean
                head = self.decode(text)
                setattr(holder, slot, head)
            value: Any = getattr(head, attribute(name), NOT_PROJECTED)
            if value is NOT_PROJECTED:
                value = self.get(holder, slot, text, name)
        except UNREADABLE:
            raise NotLean from None
        kind = value.__class__
        if kind is str:
            return storable(value) if "\x00" in value else value
        if (kind is dict or kind is list) and "u0000" in text:
            raise NotLean
        return value


class NotLean(Exception):
    """A text that a struct cannot be trusted to read as the full decode does."""


def _is_plain_object(text: str) -> bool:
    """Whether *text* is one JSON object within the limits, with nothing around it, if it is JSON at all."""
    if text[:1] != "{" or text[-1:] != "}" or len(text) > MAX_NESTED_TEXT:
        return False
    try:
        check_size_and_depth(text)
    except DecodeError:
        return False
    return True


NOT_PROJECTED: Final = object()


@lru_cache(maxsize=256)
def _alone(field: str, name: str | None = None) -> Projection:
    """For what does not fit into a struct any more."""
    return Projection({field: Any}) if name is None else Projection({}, {field: {name: Any}})


def _struct(fields: dict[str, Any]) -> Any:
    names = list(fields)
    return msgspec.defstruct(
        "Projected",
        [(attribute(name), fields[name], UNSET) for name in names],
        rename={attribute(name): name for name in names},
        gc=False,
    )


@lru_cache(maxsize=4096)
def attribute(name: str) -> str:
    """The name of the struct's attribute for a field: fields may be called what Python cannot say."""
    return f"f_{name}" if name.isascii() and name.isidentifier() else "x_" + name.encode().hex()


_MAX_REMEMBERED: Final = 4096


def remember(known: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep *value* under *key*; what is kept is bounded, since whoever calls the API chooses what events hold."""
    if len(known) >= _MAX_REMEMBERED:
        known.clear()
    known[key] = value


def stored(view: Any, value: Any) -> Any:
    """A *value* out of *view*'s record as `decoder.loads` gives it: without NUL."""
    kind = value.__class__
    if kind is str:
        return storable(value) if "\x00" in value else value
    if kind is dict or kind is list:
        if view.has_nul is None:
            # In the outer form the escape of the inner text may be escaped itself.
            view.has_nul = b"u0000" in view.raw or (view.text.__class__ is str and "u0000" in view.text)
        return storable(value) if view.has_nul else value
    return value


class Lean(msgspec.Struct, gc=False):
    """
    A record as far as every event is decoded.

    A kind's own adds the structs in which its tokens are, and `view`, which reads the rest and is made when it is first
    asked for. Most events are never asked for more than this, and it takes a quarter of the time of a view.
    """

    kind: Any
    raw: bytes
    text: bytes | str
    made: View | None


class LazyView(View):
    """
    A View that reads paths by its kind's plans.

    Kinds fill in the slots themselves and leave dict.__init__ out: this is made for every event.
    """

    __slots__ = ("has_nul", "kind", "more", "raw", "text")

    uniform: ClassVar[bool] = True
    kind: Any
    raw: bytes
    has_nul: bool | None  # whether the record may hold NUL; looked at when it matters
    more: Any  # the struct of all that is read of any event, once something has been read that the lean one has not
    text: bytes | str  # what that is decoded from

    @property
    def fuller(self) -> Any:
        """The struct of all that is read of any event."""
        if self.more is None:
            self.more = self.kind.more.decode(self.text)
        return self.more

    def pin(self, paths: Iterable[str], *, rarely: bool) -> None:
        """Have these paths decoded, in events after this one: at once, or *rarely*, which is with `fuller`."""
        projection = self.kind.more if rarely else self.kind.lean
        for path in paths:
            projection.add(*path.split(SEPARATOR)[:2] if projection.has_members(path) else (path.split(SEPARATOR)[0],))

    def __missing__(self, path: str) -> Any:
        kind = self.kind
        plan = kind.plans.get(path)
        if plan is None:
            if len(kind.plans) >= MAX_PLANS:
                kind.plans.clear()
            plan = kind.plans[path] = kind.plan(path)
        try:
            value = plan(self)
        except UNREADABLE:
            value = walked(self.whole, path.split(SEPARATOR))
        self[path] = value
        return value


def from_whole(names: list[str]) -> Plan:
    """The plan that decodes everything."""
    return lambda view: walked(view.whole, names)


def from_field(names: list[str]) -> Plan:
    """The plan that decodes the whole field that the path begins with."""
    top, below = names[0], names[1:]
    return lambda view: walked(view[top], below)


class At:
    """What stands below one place of a view, read like a mapping, for code that reads decoded fields too."""

    __slots__ = ("_prefix", "_view")

    def __init__(self, view: View, prefix: str = "") -> None:
        """*prefix* is the path of the place and a SEPARATOR, or nothing for the event itself."""
        self._view = view
        self._prefix = prefix

    def get(self, name: str, default: Any = None) -> Any:
        value = self._view[self._prefix + name]
        return default if value is None else value

    def below(self, name: str) -> At:
        return At(self._view, self._prefix + name + SEPARATOR)


def from_path(path: str) -> Plan:
    """The plan for what is another path's value, unless that is empty."""

    def plan(view: View) -> Any:
        value = view[path]
        return None if value == "" else value

    return plan


def plainly_named(names: list[str], nested: Nested) -> bool:
    """Whether redaction leaves members of these names alone but for what is in them: then they can be read alone."""
    plain = nested.redactor.name
    # U+FFFD may stand for a NUL that the record has there, "[secret:" for a secret.
    return not any(
        "\ufffd" in name or "[secret:" in name or name in _PAIRED or plain(name) != (PLAIN, name) for name in names
    )


def opened_member(raw: Any, names: list[str], nested: Nested, depth: int = 1) -> Any:
    """
    What `nested.opened(raw)` has under *names*, opening no more than the way there.

    *names* must be `plainly_named`. *depth* is that of *raw*.
    """
    for name in names:
        while raw.__class__ is str:
            inner = container(raw) if raw[:1] in OPENERS and depth <= MAX_NESTED_DEPTH else None
            if inner is None:
                return None
            raw, depth = inner, depth + 1
        if raw.__class__ is not dict:
            return None
        raw, depth = raw.get(name), depth + 1
    return nested.opened(raw, depth)
