"""
Bytes to JSON values, whatever the bytes: msgspec, then the standard library's json, then a DecodeError with the reason.

Why a ladder: the two disagree on a few things that real producers emit, and a record that one of them reads must not be
lost. msgspec refuses lone surrogates, raw control characters, NaN, Infinity and numbers out of range; json reads them.
What comes out is always storable and comparable: UTF-8 encodable text without NUL (U+FFFD stands for what is not), NaN
and the infinities as null, integers exact however large, the last of duplicate keys.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import msgspec

from engine.errors import DecodeError

MAX_BYTES: Final = 5 * 1024 * 1024  # of one record; the largest real one we know of is 0.3 MB
MAX_DEPTH: Final = 200  # of arrays and objects in one JSON text; msgspec and json both give up near 1,000
_SHORT: Final = 1000  # characters
_MAX_DIGITS: Final = 4300  # CPython refuses to convert longer ones (sys.int_info.default_max_str_digits)

# What msgspec raises, also of a part of a record that a smaller struct had skipped; json may read it all the same.
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)

_BOM: Final = b"\xef\xbb\xbf"
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_NOT_STORABLE: Final = re.compile("[\x00\ud800-\udfff]")

_decode: Final = msgspec.json.Decoder().decode


def loads(text: bytes | str) -> Any:
    """
    The JSON value that *text* holds.

    Raises DecodeError, with the reason as a person would say it, when it is too large, too deep or not JSON.
    """
    check_size_and_depth(text)
    try:
        value = _decode(text)
    except UNREADABLE:
        return loads_leniently(text)
    if (b"u0000" in text) if isinstance(text, bytes) else ("u0000" in text):
        return storable(value)
    return value


def loads_leniently(text: bytes | str) -> Any:
    """As `loads` once msgspec has given up, without the limits. Raises DecodeError when this is not JSON either."""
    if isinstance(text, bytes):
        text = without_bom(text).decode("utf-8", errors="replace")
    try:
        value = json.loads(
            text.removeprefix("\ufeff"), strict=False, parse_constant=_nothing, parse_float=_finite, parse_int=_exact
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}" if error.lineno > 1 else f"character {error.pos}"
        said = error.msg.removesuffix(" at")  # "Unterminated string starting at"
        raise DecodeError(f"not JSON: {said} at {where}") from None
    except RecursionError:
        raise DecodeError(f"nested deeper than {MAX_DEPTH} levels") from None
    return storable(value)


def check_size_and_depth(text: bytes | str) -> None:
    """Raises DecodeError when *text* is over the limits; one pass, no parsing."""
    if len(text) > MAX_BYTES:
        raise DecodeError(f"larger than {MAX_BYTES // 1024 // 1024} MB ({len(text):,} bytes)")
    if text.__class__ is str and len(text) < _SHORT:
        if len(text) > MAX_DEPTH and text.count("{") + text.count("[") > MAX_DEPTH:
            _check_depth(text)
        return
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if not is_shallow(raw):
        _check_depth(raw.decode("latin-1"))


def is_shallow(raw: bytes) -> bool:
    """Whether *raw* is within the limits, by a quick look: small, and not too deep, for want of brackets."""
    # CPython counts single characters one by one but replaces them by memchr: four times as fast where they are few.
    size = len(raw)
    return size <= MAX_BYTES and 2 * size - len(raw.replace(b"{", b"")) - len(raw.replace(b"[", b"")) <= MAX_DEPTH


def is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def without_bom(raw: bytes) -> bytes:
    return raw.removeprefix(_BOM)


def storable(value: Any) -> Any:
    """*value* with U+FFFD for every lone surrogate and NUL: neither SQLite's nor Postgres' text can hold them."""
    if isinstance(value, str):
        return _NOT_STORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value


def dumps(value: Any) -> str:
    """JSON text, compact, every character as itself."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _check_depth(text: str) -> None:
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise DecodeError(f"nested deeper than {MAX_DEPTH} levels")


def _nothing(_constant: str) -> None:
    """NaN, Infinity and -Infinity are no values."""


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _exact(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None
