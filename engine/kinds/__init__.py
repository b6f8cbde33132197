"""
Kinds of event: how the bytes of one become the fields that rules see.

A kind is pure: bytes in, values out. It is what sources, files, rule tests and the documentation share, so that a rule
sees the same event wherever it came from. `kind("tencent.cloudaudit")` finds one by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, Literal, Protocol

from msgspec import Struct

from engine.event import SEPARATOR, Event, Fields, Quarantined, Record

JsonType = Literal["string", "integer", "number", "boolean", "object", "array", "any"]

NORM_FIELDS: Mapping[str, str] = {
    "norm.action": "string",
    "norm.service": "string",
    "norm.outcome": "string",
    "norm.actor": "string",
    "norm.actor_type": "string",
    "norm.account": "string",
    "norm.region": "string",
    "norm.ip": "string",
    "norm.time": "integer",
    "norm.mfa": "boolean",
}

# The same closed sets for every kind, and never absent.
NORM_VALUES: Mapping[str, tuple[str, ...]] = {
    "norm.outcome": ("ok", "denied", "failed"),
    "norm.actor_type": ("root", "user", "role", "service", "unknown"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One documented field of a kind, as rules see it: `docs/events.md` and `tocsin check` are made from these."""

    path: str  # dotted: "userIdentity.type"; "requestParameters" is open below
    type: JsonType
    meaning: str
    values: tuple[str, ...] = ()  # all values it can have, where the set is closed
    nullable: bool = True  # may be absent
    open: bool = False  # its own fields are not known (depends on the API called)
    source: str = ""  # where the fact comes from


class Decoded(Struct, frozen=True, gc=False):
    """What became of one record: an event, a quarantined record, or both (part of it was readable)."""

    event: Event | None
    quarantined: Quarantined | None = None


class Kind(Protocol):
    """How one cloud's audit records are read. Implementations are stateless but for the redaction key."""

    @property
    def name(self) -> str: ...

    @property
    def fields(self) -> tuple[Field, ...]: ...

    def decode(self, record: Record) -> Decoded:
        """The identity of *record* now, its fields later. Never raises: what cannot be read is quarantined."""
        ...

    def view(self, sample: Mapping[str, Any]) -> Fields:
        """The fields of a hand-written, possibly partial event (a rule's test), through the same decode."""
        ...

    def evidence(self, raw: bytes) -> str:
        """The raw record as text for people: valid JSON where it was, secrets replaced."""
        ...


MODULES: Mapping[str, str] = {
    "tencent.cloudaudit": "engine.kinds.tencent_cloudaudit",
    "aws.cloudtrail": "engine.kinds.aws_cloudtrail",
}


@dataclass(frozen=True, slots=True)
class Token:
    """
    What stands for a path's value before it is read: quick to get, and equal where the values are.

    What redaction makes of a text depends on its key: kinds that ask one rule set have one key.

    *sources* are Python over the names in Schema.holders and helpers; they may raise AttributeError. *determines* says
    of what they give, as many texts, integers, None or UNSET, whether it tells the value. Of the class `list`, given
    by the only source, it says no: the value is a list then, or absent. Whatever else they give tells nothing.
    """

    sources: tuple[str, ...]
    determines: Callable[..., bool]
    pins: tuple[str, ...]  # the paths that the sources read; see LazyView.pin


_QUOTED: Final = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""  # a text in Python source: names in it are none of ours
_LITERAL: Final = re.compile(_QUOTED)


@dataclass(frozen=True, slots=True)
class Schema:
    """What the matcher may count on in events of a kind, and what it pays for looking."""

    types: Mapping[str, str]  # path, its names joined by SEPARATOR -> the type that every value of it has
    name_path: str  # the path of the event's name
    aliases: Mapping[str, str]  # other paths that hold the same text
    costs: Mapping[str, int]  # of the first name of a path, or of a whole path: 0 is cheap
    token: Callable[[str], Token | None] = lambda _: None
    holders: Mapping[str, str] = field(default_factory=dict)
    """Names for sources, each with Python that gets it of what the kind has seen, `v`, or of one before it."""
    helpers: Mapping[str, Any] = field(default_factory=dict)
    """What sources call by these names: functions, and values."""
    lean: str = ""
    """The Python among the holders for the struct of every event; `v.view.fuller` is that of more."""

    def held(self, sources: Iterable[str], *, rarely: bool = False) -> list[str]:
        """
        Lines of Python that set the holders which *sources* name.

        *rarely*, they are of the struct of more, and have names of their own: see `rarely`.
        """
        lines: list[str] = []
        for holder, text in reversed(list(self.holders.items())):
            named = re.compile(rf"\b{holder}\b")
            if any(named.search(_LITERAL.sub("", text)) for text in (*sources, *lines)):
                lines.insert(0, f"{holder} = {text}")
        return [self.rarely(line.replace(self.lean, "v.view.fuller")) for line in lines] if rarely else lines

    def rarely(self, source: str) -> str:
        """*source* with the names of the holders that have to do with the struct of more."""
        names = re.compile(rf"{_QUOTED}|\b({'|'.join(map(re.escape, self.holders))})\b")
        return names.sub(lambda found: f"{found[1]}_of_more" if found[1] else found[0], source)

    def cost(self, path: str) -> int:
        return self.costs.get(path, self.costs.get(path.partition(SEPARATOR)[0], 9))


def schema(name: str) -> Schema:
    """The Schema of the kind called *name*; of an unknown one, that nothing is promised."""
    if name not in MODULES:
        return Schema({}, "eventName", {}, {})
    found: Schema = import_module(MODULES[name]).SCHEMA
    return found


def computed_from(name: str, path: str) -> tuple[str, ...]:
    """The fields of a record from which the kind called *name* computes *path*, as `norm.outcome`; none for others."""
    above, _, field_name = path.partition(".")
    if name not in MODULES or above != "norm":
        return ()
    found: Mapping[str, tuple[str, ...]] = import_module(MODULES[name]).NORM_FROM
    return found.get(field_name, ())


def kind(name: str, *, redaction_key: bytes) -> Kind:
    """
    The kind called *name*; secrets become tokens keyed by *redaction_key*, so that equal secrets give equal tokens.

    Raises KeyError for an unknown name.
    """
    module = import_module(MODULES[name])
    built: Kind = module.build(redaction_key)
    return built
