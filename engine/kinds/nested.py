"""
JSON inside strings, opened in place or left as text, with secrets replaced on the way.

Audit events are JSON in strings in JSON: CloudAuditEvent → requestParameters → PolicyDocument, and policy documents
percent-encoded on top. `opened` turns every such text into what it says, so that a rule can walk into it; `redacted`
keeps the document as it was written (evidence, CloudTrail) and changes only what holds a secret.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final
from urllib.parse import quote, unquote

from engine.errors import DecodeError
from engine.event import Quarantined, Record
from engine.kinds.decoder import MAX_DEPTH, dumps, loads
from engine.kinds.redaction import ACCESS_KEY_ID, HOLDER, MAX_TEXT, PLAIN, SECRET, SHORTEST, Redactor

MAX_NESTED_DEPTH: Final = 32  # containers above a text that is still opened
MAX_NESTED_TEXT: Final = 1024 * 1024  # characters of one text that is still opened
_OF_UUIDS: Final = "0123456789abcdef-"
_SHORT: Final = 128  # characters of a name that is remembered
_MAX_SHOWN: Final = 4096
_TOO_DEEP: Final = f"[left out: nested deeper than {MAX_DEPTH} levels]"
_MAX_WRAPS: Final = 32  # "%257B" is "{" encoded twice
_BEGINNINGS: Final = frozenset('{["% \t\r\n')


class Nested:
    """Opens and redacts values of one kind of event."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self._name = redactor.name
        self._text = redactor.text

    def opened(self, value: Any, depth: int = 1) -> Any:
        """*value* with every JSON text in it decoded in place and secrets replaced."""
        kind = value.__class__
        if kind is str:
            if value and value[0] in _BEGINNINGS:
                inner = container(value) if depth <= MAX_NESTED_DEPTH else None
                return self._unopened(value) if inner is None else self.opened(inner, depth + 1)
            return self._text(value)
        if kind is dict:
            return self._members(value, depth, self.opened)
        if kind is list:
            if depth > MAX_DEPTH:
                return _TOO_DEEP
            opened = self.opened
            # Most lists are of short names, in which nothing can be hidden.
            return [
                item if item.__class__ is str and len(item) < SHORTEST and item[:1] not in _BEGINNINGS
                else opened(item, depth + 1)
                for item in value
            ]  # fmt: skip
        return value

    def redacted(self, value: Any, depth: int = 1) -> Any:
        """*value* as it was written, but for the secrets in it, those in JSON texts included."""
        kind = value.__class__
        if kind is str:
            return self.text(value, depth)
        if kind is dict:
            return self._members(value, depth, self.redacted)
        if kind is list:
            if depth > MAX_DEPTH:
                return _TOO_DEEP
            return [self.redacted(item, depth + 1) for item in value]
        return value

    def text(self, text: str, depth: int = 1) -> str:
        """*text* as it was written, but for the secrets in it, also where it is a JSON text."""
        if not text or text[0] not in _BEGINNINGS:
            return self._text(text)
        inner = container(text) if depth <= MAX_NESTED_DEPTH else None
        if inner is None:
            return self._unopened(text)
        redacted = self.redacted(inner, depth + 1)
        # The text stays as it was written unless it hides something: a secret, or a member that its own twin overrides.
        if redacted == inner and not has_duplicate_names(unwrapped(text) or ""):
            return text
        return quote(dumps(redacted)) if text.lstrip().startswith("%") else dumps(redacted)

    def raw(self, raw: bytes) -> str:
        """A whole record as text, secrets replaced: JSON where it is JSON, else what it is."""
        try:
            value = loads(raw)
        except DecodeError:
            return self.redactor.broken(raw.decode("utf-8", errors="replace").replace("\x00", "\ufffd"))
        return dumps(self.redacted(value))

    def quarantined(self, kind: str, record: Record, reason: str) -> Quarantined:
        """*record* for the quarantine: secrets replaced, no more than MAX_TEXT bytes of it."""
        raw = record.raw
        if len(raw) > MAX_TEXT:
            digest = hashlib.sha256(raw).hexdigest()
            reason += f"; the first {MAX_TEXT // 1024} KB of {len(raw):,} bytes are kept, SHA-256 {digest}"
            raw = raw[:MAX_TEXT]
        return Quarantined(kind, reason, self.raw(raw).encode("utf-8", "replace"), record.place)

    def _members(self, members: dict[str, Any], depth: int, read: Any) -> Any:
        if depth > MAX_DEPTH:
            return _TOO_DEEP
        result = {}
        for key, value in members.items():
            sort, shown = self._name(key)
            if sort is PLAIN:
                result[shown] = read(value, depth + 1)
            else:
                result[shown] = self._under_secret_name(sort, value, depth + 1, read)
        if "Value" in members or "value" in members or "ParameterValue" in members or "EnvValue" in members:
            hidden = self.redactor.hidden_pair(members)
            if hidden is not None:
                result[hidden] = self.redactor.hidden(members[hidden])
        return result

    def _under_secret_name(self, sort: str, value: Any, depth: int, read: Any) -> Any:
        if sort is SECRET:
            return self.redactor.hidden(value)
        if isinstance(value, list):
            return [self._under_secret_name(sort, item, depth + 1, read) for item in value]
        if isinstance(value, dict) or value is None or isinstance(value, bool):
            return read(value, depth)
        if sort is ACCESS_KEY_ID:
            return self.redactor.access_key_id(str(value))
        if sort is HOLDER and isinstance(value, str) and value[:1] in ("{", "[") and container(value) is not None:
            return read(value, depth)
        return self.redactor.held(value)

    def _unopened(self, text: str) -> str:
        """What looked like JSON and is none, or lies too deep: there may be secrets under names in it."""
        return self.redactor.broken(text) if text.lstrip()[:1] in ("{", "[", '"') else self._text(text)


class Shown(dict[Any, str]):
    """
    Names and accounts as they may be shown, of which the same come again and again; "" for what is no plain text.

    Somebody may have called an API, or an account, like a key. Bounded, since callers choose names.
    """

    __slots__ = ("_text",)

    def __init__(self, nested: Nested) -> None:
        super().__init__()
        self._text = nested.text

    def __missing__(self, text: Any) -> str:
        if text.__class__ is not str or not text or "\x00" in text:
            return ""
        shown = self._text(text)
        if len(text) <= _SHORT:
            if len(self) >= _MAX_SHOWN:
                self.clear()
            self[text] = shown
        return shown

    def id(self, text: str) -> str:
        """The same of what is a UUID nearly always, and never comes again: nothing is hidden in hexadecimal digits."""
        if not text.strip(_OF_UUIDS):
            return text
        return "" if "\x00" in text else self._text(text)


def container(text: str) -> dict[str, Any] | list[Any] | None:
    """The object or array that *text* holds as JSON, whatever is wrapped around it; None if it holds none."""
    plain = unwrapped(text)
    if plain is None:
        return None
    try:
        value = loads(plain)
    except DecodeError:
        return None
    return value if isinstance(value, (dict, list)) else None


def unwrapped(text: str) -> str | None:
    """
    What looks like a JSON object or array in *text*: blanks, percent-encoding and JSON string quotes taken off.

    None where nothing does, or where it is too long to be opened.
    """
    if len(text) > MAX_NESTED_TEXT:
        return None
    for _ in range(_MAX_WRAPS):
        text = text.strip()
        first, last = text[:1], text[-1:]
        if (first == "{" and last == "}") or (first == "[" and last == "]"):
            return text
        if first == "%":
            text = unquote(text)
        elif first == '"' and last == '"':
            try:
                value = loads(text)
            except DecodeError:
                return None
            if not isinstance(value, str):
                return None
            text = value
        else:
            return None
    return None


def has_duplicate_names(text: str) -> bool:
    """Whether an object in this valid JSON text names a member twice; the decoder has kept only the last."""
    found = False

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        members = dict(pairs)
        found = found or len(members) != len(pairs)
        return members

    try:
        json.loads(text, strict=False, object_pairs_hook=look)
    except (ValueError, RecursionError):
        return True  # cannot tell: do not trust the text
    return found
