"""
Nouns: what a source gives (Record, Page), how far it has been read (Cursor), what a rule sees (Event).

Sources give bytes, not objects. An Event is its identity with the raw record behind it; its fields are decoded when
somebody asks for them. The speed of everything rests on this seam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from msgspec import Struct  # made for every record: a third of the time of a dataclass

Fields = dict[str, Any]  # an event as a rule sees it: JSON types only, see docs/events.md
SEPARATOR: Final = "\0"  # between the names of a path: no name in an event holds NUL


class Record(Struct, frozen=True, gc=False):
    """One audit record as the source gave it: the bytes of one JSON object, not yet looked at."""

    raw: bytes
    place: str = ""  # where it was found, for messages: "file.jsonl:12", "prod page 3"


@dataclass(frozen=True, slots=True)
class Cursor:
    """
    How far back the next look must begin; it never decides what is new.

    Everything that was visible when the scan began and happened up to *until* (UTC, aware) has been read and stored.
    """

    until: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, in any order, and how far the reading has come once they are stored (None: no further)."""

    records: tuple[Record, ...]
    cursor: Cursor | None = None


class Identity(NamedTuple):
    """What makes two records the same event, wherever and however often they are read."""

    kind: str
    account: str
    event_id: str


class View(dict[str, Any]):
    """
    The same fields by path, each read when it is asked for and then kept: `view["userIdentity\\0type"]`.

    A path is its names joined by SEPARATOR; what is absent is None. This one reads an event that is decoded already;
    a kind's own decodes no more than it is asked for, and gives the same values.
    """

    __slots__ = ("_whole",)

    uniform: ClassVar[bool] = False  # whether every value has the type that the kind documents

    def __init__(self, whole: Fields) -> None:
        super().__init__()
        self._whole: Fields | None = whole

    @property
    def whole(self) -> Fields:
        """All fields. Raises DecodeError if the bytes turn out not to be an event."""
        assert self._whole is not None
        return self._whole

    def __missing__(self, path: str) -> Any:
        value = self[path] = walked(self.whole, path.split(SEPARATOR))
        return value

    @property
    def view(self) -> View:
        return self

    def pin(self, paths: Iterable[str], *, rarely: bool) -> None:
        """Have *paths* decoded at once in later events, or *rarely*: nothing to do where all is."""

    def shape(self, path: str) -> Any:
        """As `view[path]`; of a list perhaps no more than how long it is: its items need not be what they are."""
        return self[path]

    def get(self, name: str, _default: Any = None) -> Any:
        """The value of a field, for the interpreter, which asks mappings by `get` and gives no default."""
        return self[name]


class Seen(Protocol):
    """What a kind has made of a record that it has looked at: a view, or what gives one when it is asked for."""

    @property
    def view(self) -> View: ...


class UniformView(View):
    """A View of fields that came from a kind's decode, so that every value has the type which that documents."""

    __slots__ = ()

    uniform: ClassVar[bool] = True


def walked(value: Any, names: Iterable[str]) -> Any:
    """What stands under *names*, one below the other; None where there is no such place."""
    for name in names:
        if value.__class__ is not dict:
            return None
        value = value.get(name)
    return value


class Event(Struct, eq=False, gc=False):
    """
    An audit event: identity, time and name at once, everything else when asked.

    *time* is epoch seconds, UTC. *fields* is the event as rules see it: uniform types, nested JSON decoded, secrets
    replaced, `norm.*` added (docs/events.md). It is decoded at the first access and kept; treat it as frozen.
    *view* gives single values of it, without the rest. *seen* is what the kind has at hand to give them.
    """

    identity: Identity
    time: int
    name: str
    raw: bytes
    decode: Callable[[bytes], Fields]
    seen: Seen | None = None
    _fields: Fields | None = None

    @property
    def kind(self) -> str:
        return self.identity.kind

    @property
    def account(self) -> str:
        return self.identity.account

    @property
    def event_id(self) -> str:
        return self.identity.event_id

    @property
    def fields(self) -> Fields:
        """The whole event. Raises DecodeError if the bytes turn out not to be one after all."""
        if self._fields is None:
            self._fields = self.decode(self.raw) if self.seen is None else self.seen.view.whole
        return self._fields

    @property
    def view(self) -> View:
        """The event by paths. Raises DecodeError as `fields` does, where there is no cheaper way to them."""
        if self.seen is None:
            self.seen = View(self.fields)
        return self.seen.view

    def __repr__(self) -> str:  # never the raw bytes: they hold secrets
        return f"Event({self.kind}, {self.account}, {self.event_id}, {self.name}, {self.time})"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that could not be decoded, whole or in part: kept, listed, counted, never dropped."""

    kind: str
    reason: str
    raw: bytes  # secrets are replaced before it is stored
    place: str = ""
