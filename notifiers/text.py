"""
Untrusted text: what a stranger wrote, made safe to show.

Values of events are chosen by whoever made the call: a user name, a resource name, a user agent. Shown as they are they
could ping a channel, hide behind invisible characters, forge a line or drive a terminal. Two types keep them apart:

- `str` is untrusted, whatever it holds;
- `Markup` is what Slack may interpret, and is made only here (from untrusted text, escaped) and from configuration.

The order is fixed: make visible, escape, then cut, and never inside an escape: one `&` grows to five characters.
Lengths are counted in UTF-16 units, so that a limit holds whether the other side counts code points or units.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

CUT = "…"

# Characters that show as nothing though their category says letter, symbol or mark (Default_Ignorable_Code_Point of
# the Unicode Character Database, and the blank Braille pattern).
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_VARIATION = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_MARKS_IN_A_ROW = 3  # no script needs more; stacks of dozens draw over the lines around them


def visible(text: str, limit: int = 1000) -> str:
    """
    One line of *text* in which nothing is hidden, at most *limit* long.

    Control characters, line ends, bidirectional and zero-width characters, lone surrogates, unassigned and private ones
    become JSON escapes (`\\n`, `\\u202e`); other spaces become spaces. Made twice it changes nothing.
    """
    if text.isascii() and text.isprintable() and len(text) <= limit:
        return text
    return fit(_tokens(text[: limit + 1]), limit)


def fit(tokens: Iterable[str], limit: int) -> str:
    """*tokens* joined, at most *limit* UTF-16 units long: whole tokens only, "…" at the end where some are missing."""
    kept: list[str] = []
    used = 0
    room = 0  # tokens that still leave place for CUT
    for token in tokens:
        used += _units(token)
        if used > limit:
            return "".join(kept[:room]) + CUT
        kept.append(token)
        if used + len(CUT) <= limit:
            room = len(kept)
    return "".join(kept)


def length(text: str) -> int:
    """UTF-16 units of *text*: at least its code points."""
    return sum(_units(character) for character in text)


def _units(token: str) -> int:
    return len(token) + sum(1 for character in token if character > "\uffff")


def _tokens(text: str) -> Iterator[str]:
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if category == "Zs":
            yield " "
        elif not character.isprintable() or _ignorable(character) or marks > _MARKS_IN_A_ROW:
            yield _escaped(character)
        else:
            yield character


def _ignorable(character: str) -> bool:
    return character in _BLANK or any(ord(character) in selectors for selectors in _VARIATION)


def _escaped(character: str) -> str:
    if character == "\x7f":  # the one control character that JSON leaves as it is
        return "\\u007f"
    return json.dumps(character, ensure_ascii=True)[1:-1]


def inert_json(value: object, *, indent: int | None = None) -> str:
    """
    *value* as ASCII JSON in which `&`, `<` and `>` are escaped too: exact for a machine, inert in a chat or a page.

    Lone surrogates become visible text, since strict parsers refuse them; floats that JSON lacks become null.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(plain_json(value), ensure_ascii=True, allow_nan=False, separators=separators, indent=indent)
    return text.translate(_INERT)


def readable_json(value: object, limit: int) -> str:
    """*value* on one line as JSON for people: letters of every script as they are, nothing hidden, no markup."""
    return inert(json.dumps(plain_json(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")), limit)


def inert(text: str, limit: int) -> str:
    """Untrusted *text*, visible, with `&`, `<` and `>` as JSON escapes: what was JSON still is, unless it was cut."""
    shown = visible(text, limit)
    return fit((_INERT.get(ord(character), character) for character in shown), limit)


_INERT = {ord(character): f"\\u{ord(character):04x}" for character in "&<>\x7f"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_DEEPEST = 60


def plain_json(value: object, depth: int = 0) -> object:
    """*value* of JSON types only, at most 60 levels deep, without lone surrogates, infinities or NaN."""
    if depth > _DEEPEST:
        return "(nested too deeply)"
    if isinstance(value, str):
        return _SURROGATE.sub(lambda found: _escaped(found[0]), value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if abs(value) != float("inf") and value == value else None  # noqa: PLR0124 NaN differs from itself
    if isinstance(value, Mapping):
        return {str(plain_json(str(key))): plain_json(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_json(inner, depth + 1) for inner in value]
    return plain_json(str(value))


# --- Slack -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Markup:
    """mrkdwn that Slack may interpret. Never wrap event text in it by hand: `code` and `plain` do."""

    text: str

    def __add__(self, other: Markup) -> Markup:
        return Markup(self.text + other.text)


# docs.slack.dev, "Formatting message text": these three and nothing else. The backtick would close a code span.
_MRKDWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "\u02cb"}
_FORMATTING = {"*": "\u2217", "~": "\u223c", "_": "\u02cd"}
_OUTER_UNDERSCORE = re.compile(r"(?<!\w)_|_(?!\w)")  # Slack leaves snake_case alone
# A name between colons; times are digits only, and groups of an IPv6 address are hexadecimal after a hexadecimal digit.
_EMOJI_COLON = re.compile(r":(?!(?<=[0-9a-f]:)[0-9a-f]{1,4}:)(?=(?:[\w+'-]*[a-zA-Z+_-][\w+'-]*|100|1234):)")
_RATIO = "\u2236"
_ANGLES = {"<": "\u2039", ">": "\u203a"}


def code(value: str, limit: int) -> Markup:
    """Untrusted *value* as a code span of at most *limit* units: no mention, link, emoji or format begins inside."""
    inner = fit((_MRKDWN.get(character, character) for character in visible(value or "-", limit)), limit - 2)
    return Markup(f"`{inner}`")


def plain(value: str, limit: int) -> Markup:
    """
    Untrusted *value* as running text of at most *limit* units, for the push notification and the plain fallback.

    What would format is replaced by a character that looks alike; a code span would read badly on a lock screen.
    """
    text = visible(value, limit)
    text = _EMOJI_COLON.sub(_RATIO, _OUTER_UNDERSCORE.sub(_FORMATTING["_"], text))
    replaced = {**_MRKDWN, "*": _FORMATTING["*"], "~": _FORMATTING["~"]}
    return Markup(fit((replaced.get(character, character) for character in text), limit))


def literal(value: str, limit: int) -> str:
    """
    Untrusted *value* for places that Slack documents as literal (plain_text, rich_text elements).

    Angle brackets are replaced all the same: should Slack ever read a token there, there is none.
    """
    return fit((_ANGLES.get(character, character) for character in visible(value, limit)), limit)
