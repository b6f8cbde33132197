"""
One type per documented field, whatever JSON type a record gives it in: the table from which a kind reads its fields.

A row names a path and how it is read. The same rows make `Kind.fields` and docs/events.md, so what is documented is
what happens. Readers are total: any JSON value gives a value of the row's type, or None, which means absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from engine.kinds import Field, JsonType
from engine.kinds.decoder import dumps
from engine.kinds.nested import Nested, container

Read = Callable[[Any], Any]  # a JSON value to a value of one type, or None

CHINA: Final = timezone(timedelta(hours=8))  # CloudAudit's times without a zone
MAX_TIME: Final = 253_402_300_799  # 9999-12-31T23:59:59Z: what datetime can still show


@dataclass(frozen=True, slots=True)
class Reader:
    """How values become one type: *read* makes the function for a kind's redaction; *shown* says it in the docs."""

    type: JsonType
    read: Callable[[Nested], Read]
    shown: str


@dataclass(frozen=True, slots=True)
class Row:
    """One documented field of a kind."""

    path: str
    reader: Reader
    meaning: str
    values: tuple[str, ...] = ()
    seen: str = ""  # the JSON forms it has been seen in
    source: str = ""
    always: bool = False  # present in every event

    @property
    def field(self) -> Field:
        return Field(
            path=self.path,
            type=self.reader.type,
            meaning=self.meaning,
            values=self.values,
            nullable=not self.always,
            open=self.reader.type == "any" or (self.reader.type == "array" and self.reader is not TEXTS),
            source=self.source,
        )


def readers(rows: Iterable[Row], nested: Nested) -> dict[str, Read]:
    """The reader of each top-level field, those of objects made from the rows below them."""
    below: dict[str, list[Row]] = {}
    tops: dict[str, Row] = {}
    for row in rows:
        top, dot, rest = row.path.partition(".")
        if dot:
            below.setdefault(top, []).append(Row(rest, row.reader, row.meaning))
        else:
            tops[top] = row
    return {
        top: ObjectReader(readers(below[top], nested), nested) if top in below else row.reader.read(nested)
        for top, row in tops.items()
    }


def text_of(value: Any) -> str | None:
    """Any JSON value as text: whole numbers without a point, objects as JSON; null is None."""
    if value.__class__ is str:
        return str(value)
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)
    return dumps(value)


def integer(value: Any) -> int | None:
    """A whole number, exact however large; None for what is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value)
    if isinstance(value, str) and len(value) <= 400:
        try:
            return int(value)
        except ValueError:
            return None
    return None


def epoch(value: Any, zone: timezone = CHINA) -> int | None:
    """
    A time as epoch seconds, UTC; None where there is none.

    Numbers, also as text, are epoch seconds, or milliseconds where they would otherwise lie after the year 5138. Texts
    without a zone are in *zone*. "0000-00-00 00:00:00" is how CloudAudit writes "never".
    """
    if value.__class__ is int:
        seconds = value
    elif isinstance(value, str):
        value = value.strip()
        if value.isascii() and value.isdigit():
            seconds = int(value[:20])
        else:
            return _of_text(value, zone)
    elif isinstance(value, float):
        seconds = int(value)
    else:
        return None
    if seconds >= 10**11:
        seconds //= 1000
    return seconds if 0 <= seconds <= MAX_TIME else None


def flag(value: Any) -> bool | None:
    """0, "0", "", "false" and empty containers are false, null is absent, anything else is true."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "no", "off", "none", "null")
    return bool(value)


def code(value: Any) -> str:
    """An error code as text; 0, "0", "", false, null and an absent one are all '0', success."""
    if value is None or value is False:
        return "0"
    text = (text_of(value) or "").strip()
    return "0" if text in ("", "null", "None") else text


def _of_text(text: str, zone: timezone) -> int | None:
    if not text or text.startswith("0000-"):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds <= MAX_TIME else None


def _read_text(nested: Nested) -> Read:
    redacted, opened = nested.text, nested.opened

    def read(value: Any) -> str | None:
        if value.__class__ is str:
            return redacted(value)
        if value.__class__ is int:
            return str(value)
        return text_of(opened(value))

    return read


def _read_secret(nested: Nested) -> Read:
    hidden = nested.redactor.hidden

    def read(value: Any) -> str | None:
        text = text_of(value)
        return None if text is None else str(hidden(text))

    return read


def _read_access_key_id(nested: Nested) -> Read:
    shortened = nested.redactor.access_key_id

    def read(value: Any) -> str | None:
        text = text_of(value)
        return None if text is None else shortened(text)

    return read


def _read_code(nested: Nested) -> Read:
    redacted, opened = nested.text, nested.opened
    return lambda value: (
        "0" if value in _SUCCESS else redacted(code(value if value.__class__ is str else opened(value)))
    )


def _read_texts(nested: Nested) -> Read:
    read = _read_text(nested)

    def texts(value: Any) -> list[str] | None:
        items = _items(value)
        return None if items is None else [text for item in items if (text := read(item))]

    return texts


def _read_list(nested: Nested) -> Read:
    def opened(value: Any) -> list[Any] | None:
        items = _items(value)
        if items is None:
            return None
        return [nested.opened(item) for item in items if item is not None and item != ""]

    return opened


def _read_open(nested: Nested) -> Read:
    def opened(value: Any) -> Any:
        return None if value in _NOTHING else nested.opened(value)

    return opened


def _items(value: Any) -> list[Any] | None:
    """The items of what should be a list: of JSON text, or alone."""
    if isinstance(value, str):
        inner = container(value) if value[:1] in ("[", "{", "%", '"', " ") else None
        value = (value.strip() and [value]) or [] if inner is None else inner
    if value is None:
        return None
    return value if isinstance(value, list) else [value]


class ObjectReader:
    """Reads an object of documented members; those that are not documented are opened as they are."""

    __slots__ = ("_others", "members")

    def __init__(self, members: dict[str, Read], nested: Nested) -> None:
        self.members = members
        self._others = nested.opened

    def __call__(self, value: Any) -> dict[str, Any] | None:
        value = self.raw(value)
        if value is None:
            return None
        result = {}
        rest = None
        members = self.members
        for name, item in value.items():
            reader = members.get(name)
            if reader is not None:
                uniform = reader(item)
                if uniform is not None:
                    result[name] = uniform
            elif item is not None:
                if rest is None:
                    rest = {}
                rest[name] = item
        if rest:
            result.update(self._others(rest))
        return result

    def raw(self, value: Any) -> dict[str, Any] | None:
        """The members before they are read: an object, also in JSON text; what is none stands under `text`."""
        if value.__class__ is dict or value is None:
            return value
        if isinstance(value, str):
            if value in _NOTHING:
                return None
            inner = container(value)
            value = {"text": value} if inner is None else inner
        return value if isinstance(value, dict) else {"text": text_of(value)}


_NOTHING: Final = (None, "", "null")
_SUCCESS: Final = ("0", 0, "", None)


TEXT: Final = Reader("string", _read_text, "text; numbers and flags become text")
SECRET_TEXT: Final = Reader("string", _read_secret, "text, always replaced by its token")
ACCESS_KEY_ID: Final = Reader("string", _read_access_key_id, "text: the first eight characters and a token")
CODE: Final = Reader("string", _read_code, "text; 0, empty and absent are '0'")
FLAG: Final = Reader("boolean", lambda _: flag, '0, "0" and "" are false, anything else is true')
KNOWN_FLAG: Final = Reader(
    "boolean", lambda _: lambda value: None if value == "" else flag(value), "as a flag; empty is absent"
)
INTEGER: Final = Reader("integer", lambda _: integer, "exact")
TIME: Final = Reader("integer", lambda _: epoch, "epoch seconds, UTC; texts without a zone are UTC+8")
TIME_UTC: Final = Reader(
    "integer", lambda _: lambda value: epoch(value, UTC), "epoch seconds, UTC; texts without a zone are UTC"
)
TEXTS: Final = Reader("array", _read_texts, "a list of texts, also from JSON text or a single one; empty ones left out")
OBJECT: Final = Reader("object", _read_open, "an object, also from JSON text")
OPEN: Final = Reader("any", _read_open, "whatever it holds, JSON texts decoded in place; text where it is no JSON")
OPEN_LIST: Final = Reader("array", _read_list, "a list, also from JSON text; empty texts left out")
AS_IS: Final = {
    kind: Reader(kind, lambda nested: nested.redacted, "as CloudTrail gives it")
    for kind in ("string", "integer", "boolean", "object", "array", "any")
}
