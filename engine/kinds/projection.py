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

from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from engine.event import SEPARATOR, Fields, View, walked
from engine.kinds.nested import MAX_NESTED_DEPTH, Nested, container
from engine.kinds.redaction import PLAIN

UNSET: Final = msgspec.UNSET
Plan = Callable[[Any], Any]  # from a view to the value of one path

MAX_PLANS: Final = 20_000  # paths come from rules, not from events; a bound all the same
_MAX_FIELDS: Final = 400
_PAIRED: Final = frozenset({"Value", "value", "ParameterValue", "parameterValue", "ParamValue", "EnvValue"})


class Projection:
    """A struct of the fields that have been asked for, and its decoder; grows, never shrinks."""

    def __init__(self, always: dict[str, Any]) -> None:
        """*always* are the fields that every event is asked for, with their types."""
        self._fields: dict[str, Any] = dict(always)
        self._make()

    def _make(self) -> None:
        names = list(self._fields)
        struct = msgspec.defstruct(
            "Projected",
            [(attribute(name), self._fields[name], UNSET) for name in names],
            rename={attribute(name): name for name in names},
            gc=False,
        )
        self.decode: Callable[[bytes | str], Any] = msgspec.json.Decoder(struct).decode

    def get(self, holder: Any, slot: str, text: bytes | str, name: str) -> Any:
        """The field *name* of the struct in *holder*'s *slot*, which was decoded from *text*; UNSET where absent."""
        try:
            return getattr(getattr(holder, slot), attribute(name))
        except AttributeError:
            if name not in self._fields:
                if len(self._fields) >= _MAX_FIELDS:  # a struct for this one field
                    return getattr(Projection({name: Any}).decode(text), attribute(name))
                self._fields = {**self._fields, name: Any}
                self._make()
        setattr(holder, slot, self.decode(text))
        return getattr(getattr(holder, slot), attribute(name))


def attribute(name: str) -> str:
    """The name of the struct's attribute for a field: fields may be called what Python cannot say."""
    return f"f_{name}" if name.isascii() and name.isidentifier() else "x_" + name.encode().hex()


class LazyView(View):
    """A View that reads paths by its kind's plans; *make* decodes everything, when somebody needs that."""

    __slots__ = ("_make", "kind")

    uniform: ClassVar[bool] = True

    def __init__(self, kind: Any, make: Callable[[bytes], Fields], raw: bytes) -> None:  # noqa: ARG002
        # dict.__init__ is left out: there is nothing to fill in, and this runs for every event.
        self._whole = None
        self.kind = kind
        self._make = make

    def __missing__(self, path: str) -> Any:
        kind = self.kind
        plan = kind.plans.get(path)
        if plan is None:
            if len(kind.plans) >= MAX_PLANS:
                kind.plans.clear()
            plan = kind.plans[path] = kind.plan(path)
        value = self[path] = plan(self)
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

    def __init__(self, view: View, *names: str) -> None:
        self._view = view
        self._prefix = "".join(name + SEPARATOR for name in names)

    def get(self, name: str, default: Any = None) -> Any:
        value = self._view[self._prefix + name]
        return default if value is None else value

    def below(self, name: str) -> At:
        found = At(self._view)
        found._prefix = self._prefix + name + SEPARATOR  # noqa: SLF001
        return found


def plainly_named(names: list[str], nested: Nested) -> bool:
    """Whether redaction leaves members of these names alone but for what is in them: then they can be read alone."""
    return all(name not in _PAIRED and nested.redactor.name(name) == (PLAIN, name) for name in names) and not any(
        "[secret:" in name for name in names
    )


def opened_member(raw: Any, names: list[str], nested: Nested, depth: int = 1) -> Any:
    """
    What `nested.opened(raw)` has under *names*, opening no more than the way there.

    *names* must be `plainly_named`. *depth* is that of *raw*.
    """
    for name in names:
        while raw.__class__ is str:
            inner = container(raw) if raw[:1] in _OPENERS and depth <= MAX_NESTED_DEPTH else None
            if inner is None:
                return None
            raw, depth = inner, depth + 1
        if raw.__class__ is not dict:
            return None
        raw, depth = raw.get(name), depth + 1
    return nested.opened(raw, depth)


_OPENERS: Final = ("{", "[", '"', "%", " ", "\t", "\r", "\n")


def redacted_member(raw: Any, names: list[str], nested: Nested, depth: int = 1) -> Any:
    """As `opened_member`, of `nested.redacted(raw)`: texts are not opened."""
    value = walked(raw, names)
    return nested.redacted(value, depth + len(names))
