"""
YAML that means one thing: read strictly, with the place of every key and value.

libyaml (through PyYAML) tokenises; this module composes. Refused, each with file:line:column: duplicate keys, aliases
and anchors, tags, merge keys, several documents, keys that are not text, and every plain scalar that YAML 1.1 and 1.2
(or a person) read differently: `no`, `on`, `22:22`, `010`, `1_000`, `0x1F`, `1e3`, `.inf`, `=`. What is left is
resolved by the core schema of YAML 1.2 (yaml.org/spec/1.2.2, chapter 10.3); dates stay text.

`load` gives a Document: plain data, and from a pydantic `loc` the Place it was written at, down to a character inside
a scalar, whatever its style.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema

from engine.errors import ConfigurationError, Place, Problem

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 48  # deeper than any audit event we know; far from any recursion limit
MAX_EXCERPT: Final = 160

Loc = Sequence[str | int]

# --- durations and days, as rule files and settings write them -------------------------------------------------------

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(\d{1,7})(s|m|h|d|w)")
_LONGEST: Final = timedelta(days=3650)


def duration(value: object) -> timedelta:
    """A span of time from `60s`, `15m`, `1h`, `30d` or `2w`; 0 is none. Raises ValueError."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return timedelta(0)
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a duration is a number with s, m, h, d or w: 60s, 15m, 1h, 30d")
    span = timedelta(seconds=int(found[1]) * _SECONDS[found[2]])
    if span > _LONGEST:
        raise ValueError("a duration is at most ten years")
    return span


def day(value: object) -> date:
    """A calendar day from `2027-03-31`. Raises ValueError."""
    if isinstance(value, date):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass  # a day that no calendar has gets the same message
    raise ValueError("a day is written 2027-03-31")


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": r"^\d{1,7}(s|m|h|d|w)$"}, {"const": 0}]}),
]
Day = Annotated[
    date, BeforeValidator(day), WithJsonSchema({"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"})
]


# --- models of files -------------------------------------------------------------------------------------------------


class StrictModel(BaseModel):
    """A frozen pydantic model for files that people write: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def known_keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that a mapping at *loc* of *model* may have, as files write them."""
    models: list[type[BaseModel]] = [model]
    for piece in loc:
        if isinstance(piece, int):
            continue
        inner = [
            found
            for outer in models
            for name, info in outer.model_fields.items()
            if piece in (name, info.alias)
            for found in _models_in(info.annotation)
        ]
        models = inner or models  # what is no key is the tag of a union, which pydantic puts between
    return [info.alias or name for outer in models for name, info in outer.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known word most like *word*, or None when none is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def unknown_key(key: str, known: Iterable[str]) -> str:
    """The sentence for a key that a file may not have."""
    names = list(known)
    near = nearest(key, names)
    if near is not None:
        return f"unknown key '{key}'; did you mean '{near}'?"
    return f"unknown key '{key}'; known here: {', '.join(names)}" if names else f"unknown key '{key}'"


# --- documents ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    """Where a value stands, and its scalar's style; of a mapping also the keys as they stand."""

    start: int
    end: int
    style: str | None = None  # "plain", "'", '"', "|", ">", None for collections
    keys: dict[str, yaml.Event] = field(default_factory=dict)
    children: dict[str | int, _Written] = field(default_factory=dict)
    broken: bool = False  # a fault was reported here: what else is wrong with it is only a consequence


_Written = _Node | yaml.ScalarEvent  # places are seldom asked for: a scalar's own event is all that is kept of it


def _node(written: _Written) -> _Node:
    if isinstance(written, _Node):
        return written
    end = written.end_mark
    return _Node(_at(written), end.index if end is not None else 0, written.style or "plain")


@dataclass(frozen=True, slots=True)
class Document:
    """A file's plain data (JSON types only), and where each part of it was written."""

    file: str
    text: str
    data: Any
    _root: _Node

    def place(self, loc: Loc = (), *, offset: int | None = None, key: bool = False) -> Place:
        """
        The place of the value at *loc*, a path of keys and indexes as pydantic gives it.

        Unknown pieces of *loc* (tags of unions, missing keys) are passed over, so the nearest thing that exists
        answers. *key* asks for the key's own place; *offset* for a character of the scalar's value.
        """
        return self._place(self._index(loc, offset, key=key))

    def place_in(self, loc: Loc, offset: int) -> Place:
        """The place of a character of the scalar at *loc*."""
        return self.place(loc, offset=offset)

    def at(self, index: int) -> Place:
        """The place of a character of the text."""
        return self._place(index)

    def scalars(self) -> Iterator[tuple[int, int]]:
        """Where the texts, numbers and other single values stand: from the first character to behind the last."""
        todo: list[_Written] = [self._root]
        while todo:
            node = _node(todo.pop())
            if node.style is not None:
                block = node.style in ("|", ">")  # its text begins on the next line; a comment may stand before that
                yield self.text.find("\n", node.start) if block else node.start, node.end
            todo += node.children.values()

    @classmethod
    def empty(cls, file: str) -> Document:
        """What stands for a file that is not there: an empty mapping."""
        return cls(file, "", {}, _Node(0, 0))

    def excerpt(self, place: Place) -> str:
        """The line of *place* with a caret under its column."""
        lines = self.text.split("\n")
        line = lines[place.line - 1].rstrip("\r") if place.line <= len(lines) else ""
        return caret(line, place.column)

    def problem(
        self,
        loc: Loc,
        code: str,
        message: str,
        *,
        offset: int | None = None,
        key: bool = False,
        suggestion: str | None = None,
    ) -> Problem:
        """An error at *loc*, with its line and a caret."""
        where = self.place(loc, offset=offset, key=key)
        return Problem(where, code, message, suggestion=suggestion, excerpt=self.excerpt(where))

    def _walk(self, loc: Loc) -> tuple[_Node, _Node, str | int | None]:
        parent, node, last = self._root, self._root, None
        for piece in loc:
            child = node.children.get(piece)
            if child is not None:
                parent, node, last = node, _node(child), piece
        return parent, node, last

    def _index(self, loc: Loc, offset: int | None, *, key: bool) -> int:
        parent, node, last = self._walk(loc)
        if key and isinstance(last, str) and last in parent.keys and loc and loc[-1] == last:
            return _at(parent.keys[last])
        if offset is None or node.style is None:
            return node.start
        return _source_index(self.text, node, self._value(loc), offset)

    def _value(self, loc: Loc) -> str:
        value = self.data
        for piece in loc:
            if isinstance(value, dict | list):
                try:
                    value = value[piece]  # type: ignore[index]  # a piece that fits neither is passed over below
                except (KeyError, IndexError, TypeError):
                    continue
        return value if isinstance(value, str) else ""

    def _place(self, index: int) -> Place:
        line = self.text.count("\n", 0, index) + 1
        return Place(self.file, line, index - (self.text.rfind("\n", 0, index) + 1) + 1)

    def reported(self, loc: Loc) -> bool:
        """Whether the reader found a fault at *loc* or around it: what else is wrong there only follows from it."""
        node = self._root
        if node.broken:
            return True
        for piece in loc:
            child = node.children.get(piece)
            if child is None:
                return False
            node = _node(child)
            if node.broken:
                return True
        return False


def caret(line: str, column: int) -> str:
    """*line*, cut to the part around *column*, and a caret under that column; columns count from 1."""
    start = max(0, column - 1 - MAX_EXCERPT // 2) if len(line) > MAX_EXCERPT else 0
    shown = line[start : start + MAX_EXCERPT].expandtabs(1)
    pad = column - 1 - start
    # Wide characters take two columns of a terminal; ideographic spaces keep the caret under them.
    blanks = "".join("\u3000" if ord(char) > 0x2E7F else " " for char in shown[:pad])
    return f"{shown}\n{blanks}{' ' * (pad - len(blanks))}^"


# --- reading --------------------------------------------------------------------------------------------------------


def load(source: Path | str, *, file: str | None = None) -> Document:
    """
    The document in a file (Path) or a text (str; *file* is its name in messages).

    Raises ConfigurationError with every fault, OSError when the file cannot be read.
    """
    document, problems = read(source, file=file)
    if problems or document is None:
        raise ConfigurationError(problems)
    return document


def load_file(path: Path | str) -> Document:
    """As `load`, of the file at *path*."""
    return load(Path(path))


def read(source: Path | str | bytes, *, file: str | None = None) -> tuple[Document | None, list[Problem]]:
    """
    As `load`, for who goes on after faults: what could be read (None: nothing), and the faults.

    *source* may also be the bytes of a file that was read already.
    """
    name = file or (str(source) if isinstance(source, Path) else "<text>")
    if isinstance(source, Path):
        with source.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    else:
        raw = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    if len(raw) > MAX_BYTES:
        return None, [Problem(Place(name), "yaml-size", f"larger than {MAX_BYTES // 1024} kB")]
    if isinstance(source, str):
        return _Composer(name, source).compose()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return None, [Problem(Place(name, line), "yaml-encoding", "not UTF-8")]
    return _Composer(name, text).compose()


def _at(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark is not None else 0


class _TooDeep(Exception):
    """Nested deeper than MAX_DEPTH."""


class _Composer:
    """Turns libyaml's events into data and marks, collecting faults as it goes."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.problems: list[Problem] = []

    def compose(self) -> tuple[Document | None, list[Problem]]:
        if self._forbidden_characters():
            return None, self.problems
        data: Any = None
        root: _Written = _Node(0, 0)
        reader = yaml.CSafeLoader(self.text)
        self._next: Callable[[], Any] = reader.get_event
        try:
            self._next()  # the stream's start
            event = self._next()
            if isinstance(event, yaml.DocumentStartEvent):
                if event.version or event.tags:
                    self._fault(_at(event), "yaml-directive", "YAML directives (%…) are not allowed")
                data, root = self._value(self._next(), 0)
                self._next()  # the document's end
                event = self._next()
                if isinstance(event, yaml.DocumentStartEvent):
                    self._fault(_at(event), "yaml-documents", "one file holds one document")
                    return None, self.problems
        except _TooDeep:
            return None, self.problems
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = error.problem or "not YAML"
            if error.context:
                message = f"{message} ({error.context})"
            self._fault(mark.index if mark is not None else 0, "yaml-syntax", f"not valid YAML: {message}")
            return None, self.problems
        except yaml.YAMLError as error:
            self._fault(0, "yaml-syntax", f"not valid YAML: {str(error).splitlines()[0]}")
            return None, self.problems
        finally:
            reader.dispose()
        return Document(self.file, self.text, data, _node(root)), self.problems

    def _forbidden_characters(self) -> bool:
        # libyaml takes NEL, LS and PS as line breaks and editors do not: lines would no longer be what people see.
        for found in re.finditer(
            "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]|\r(?!\n)", self.text
        ):
            code = f"U+{ord(found[0]):04X}"
            self._fault(found.start(), "yaml-character", f"the character {code} may stand here only as an escape")
        return bool(self.problems)

    def _fault(self, index: int, code: str, message: str) -> None:
        index = min(index, len(self.text))
        line_start = self.text.rfind("\n", 0, index) + 1
        line_end = self.text.find("\n", index)
        line = self.text[line_start : len(self.text) if line_end < 0 else line_end].rstrip("\r")
        place = Place(self.file, self.text.count("\n", 0, index) + 1, index - line_start + 1)
        self.problems.append(Problem(place, code, message, excerpt=caret(line, place.column)))

    def _value(self, event: Any, depth: int) -> tuple[Any, _Written]:
        kind = event.__class__
        if kind is yaml.ScalarEvent and event.anchor is None and event.tag is None:  # nearly everything
            if event.style:
                return event.value, event
            value, trap = plain(event.value)
            if trap is None:
                return value, event
        return self._rare(event, depth)

    def _rare(self, event: Any, depth: int) -> tuple[Any, _Written]:
        """A collection, or a value with something wrong about it."""
        index = event.start_mark.index
        node = _Node(index, event.end_mark.index)
        if isinstance(event, yaml.AliasEvent):
            self._fault(index, "yaml-alias", f"aliases (*{event.anchor}) are not allowed; write the value again")
            node.broken = True
            return None, node
        if depth > MAX_DEPTH:
            self._fault(index, "yaml-depth", f"nested deeper than {MAX_DEPTH}")
            raise _TooDeep
        if event.anchor is not None:
            self._fault(index, "yaml-anchor", f"anchors (&{event.anchor}) are not allowed")
            node.broken = True
        if event.tag is not None:
            self._fault(index, "yaml-tag", f"tags ({event.tag}) are not allowed")
            node.broken = True
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, node), node
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(node, depth), node
        return self._mapping(node, depth), node

    def _sequence(self, node: _Node, depth: int) -> list[Any]:
        items: list[Any] = []
        while (event := self._next()).__class__ is not yaml.SequenceEndEvent:
            value, node.children[len(items)] = self._value(event, depth + 1)
            items.append(value)
        return items

    def _mapping(self, node: _Node, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        while (event := self._next()).__class__ is not yaml.MappingEndEvent:
            key = self._key(event, depth)
            value, child = self._value(self._next(), depth + 1)
            if key is None:
                node.broken = True
            elif key in data:
                first = self._line(_at(node.keys[key]))
                self._fault(
                    _at(event), "yaml-duplicate-key", f"the key '{key}' stands here twice, first in line {first}"
                )
            else:
                data[key] = value
                node.keys[key] = event
                node.children[key] = child
        return data

    def _line(self, index: int) -> int:
        return self.text.count("\n", 0, index) + 1

    def _key(self, event: Any, depth: int) -> str | None:
        index = _at(event)
        if not isinstance(event, yaml.ScalarEvent):
            self._value(event, depth + 1)
            self._fault(index, "yaml-key", "a key is a text")
            return None
        if event.value == "<<" and not event.style and event.tag is None:
            self._fault(index, "yaml-merge", "merge keys (<<) are not allowed; write the keys out")
            return None
        before = len(self.problems)
        key = self._value(event, depth)[0]
        if len(self.problems) > before:
            return None
        if not isinstance(key, str):
            self._fault(index, "yaml-key", f"a key is a text: write '{event.value}' in quotes")
            return None
        return key

    def _scalar(self, event: yaml.ScalarEvent, node: _Node) -> Any:
        text: str = event.value
        node.style = event.style or "plain"
        if event.style or event.tag is not None:
            return text
        value, trap = plain(text)
        if trap is not None:
            self._fault(node.start, "yaml-plain", trap)
            node.broken = True
        return value


_TRUE, _FALSE, _NULL = (
    frozenset({"true", "True", "TRUE"}),
    frozenset({"false", "False", "FALSE"}),
    frozenset({"", "~", "null", "Null", "NULL"}),
)
_OLD_BOOLEANS: Final = frozenset(
    spelling for word in ("yes", "no", "on", "off") for spelling in (word, word.title(), word.upper())
)
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FRACTION: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+")
# What YAML 1.1 (yaml.org/type/int.html, float.html) or the 1.2 core schema takes for a number and people may not.
_TRAPS: Final = (
    (re.compile(r"[-+]?0[0-9_]+"), "with a leading zero is octal to some readers"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), "is a number in base 60 to some readers"),
    (re.compile(r"[-+]?0[xob][0-9a-fA-F_]+"), "is a number in another base"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?"), "is a number to some readers"),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), "is a number to some readers"),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), "is not a number of JSON"),
)


@lru_cache(maxsize=8192)  # the same keys and words come in every file
def plain(text: str) -> tuple[Any, str | None]:
    """The value of a plain scalar, and, when readers of YAML differ about it, the sentence that says so."""
    if text in _NULL:
        return None, None
    if text in _TRUE:
        return True, None
    if text in _FALSE:
        return False, None
    if text[0].isalpha() and text not in _OLD_BOOLEANS:  # what could be a number begins otherwise
        return text, None
    if _INTEGER.fullmatch(text) and len(text) < 400:
        return int(text), None
    if _FRACTION.fullmatch(text) and len(text) < 400:
        return float(text), None
    if text in _OLD_BOOLEANS:
        return text, f"{text} is a boolean to some readers of YAML: write '{text}' in quotes, or true or false"
    if text in {"=", "<<"}:
        return text, f"{text} has a meaning of its own to some readers of YAML: write '{text}' in quotes"
    for pattern, why in _TRAPS:
        if pattern.fullmatch(text):
            return text, f"{text} {why}: write '{text}' in quotes, or the plain decimal number"
    return text, None


# --- from a character of a scalar's value to the character of the file ----------------------------------------------


def _source_index(text: str, node: _Node, value: str, offset: int) -> int:
    """
    Where the value's character *offset* was written. White space gives the next character that is not.

    Folding and indentation change white space only, so the others stand in the file in the same order: both are
    walked together. An offset at or behind the end of the content gives the place just behind it.
    """
    target = offset
    while target < len(value) and value[target].isspace():
        target += 1
    content = len(value.rstrip())
    behind = target >= content
    if behind:
        target = content - 1
    if target < 0:
        return node.start
    at = _content_start(text, node)
    width = 1
    for position, char in enumerate(value[: target + 1]):
        if char.isspace():
            if node.style == '"':
                at = _skip_written_space(text, at, char)
            continue
        at, width = _find(text, at, node.end, node.style)
        if position < target:
            at += width
    return min(at + width if behind else at, len(text))


def _content_start(text: str, node: _Node) -> int:
    if node.style in {"'", '"'}:
        return node.start + 1
    if node.style in {"|", ">"}:
        return text.find("\n", node.start) + 1
    return node.start


def _find(text: str, at: int, end: int, style: str | None) -> tuple[int, int]:
    """The next written character that is not white space, and how many characters of the file write it."""
    while at < end:
        char = text[at]
        if char.isspace():
            at += 1
        elif style == '"' and char == "\\":
            if at + 1 < end and text[at + 1] in "\r\n":  # an escaped line break writes nothing
                at += 2
                continue
            return at, {"x": 4, "u": 6, "U": 10}.get(text[at + 1], 2)
        elif style == "'" and char == "'":
            return at, 2
        else:
            return at, 1
    return end, 0


_SPACE_ESCAPES: Final = {"\t": "t\t", "\n": "n", "\r": "r", "\v": "v", "\f": "f", " ": " ", "\x85": "N", "\xa0": "_"}


def _skip_written_space(text: str, at: int, char: str) -> int:
    """Behind the white space that writes *char* in double quotes, if it is an escape; else unchanged."""
    while text[at : at + 1].isspace() or text.startswith(("\\\n", "\\\r"), at):
        at += 2 if text[at] == "\\" else 1
    if text.startswith("\\", at):
        kind = text[at + 1]
        if kind in _SPACE_ESCAPES.get(char, ""):
            return at + 2
        if (
            kind in "xuU"
            and text[at + 2 : at + {"x": 4, "u": 6, "U": 10}[kind]].lstrip("0").upper() == f"{ord(char):X}"
        ):
            return at + {"x": 4, "u": 6, "U": 10}[kind]
        if char in "\u2028\u2029" and kind in "LP":
            return at + 2
    return at


# --- pydantic's errors as problems ----------------------------------------------------------------------------------


def problems_of(
    error: ValidationError,
    document: Document,
    model: type[BaseModel] | None = None,
    *,
    prefix: Loc = (),
    also_known: Iterable[str] = (),
) -> list[Problem]:
    """
    pydantic's errors at their places, in plain sentences.

    With the *model* that refused, an unknown key names the nearest valid one; *also_known* are keys that the same
    mapping may have besides. *prefix* is where in the document the validated value stands. What lies inside a value
    that the reader had already reported is left out.
    """
    found = []
    for detail in error.errors(include_url=False):
        inner = tuple(detail["loc"])
        loc = (*prefix, *inner)
        if document.reported(loc):
            continue
        if detail["type"] == "extra_forbidden":
            known = known_keys(model, inner[:-1]) if model is not None else []
            message = unknown_key(str(loc[-1]), [*known, *(also_known if len(inner) == 1 else ())])
            found.append(document.problem(loc, "unknown-key", message, key=True))
            continue
        code, message = _sentence(detail, loc)
        found.append(document.problem(loc, code, message))
    return found


_NAMED: Final = frozenset({"value_error", "assertion_error"})


def _sentence(detail: Any, loc: Loc) -> tuple[str, str]:
    """Code and message of one of pydantic's errors."""
    kind, message, given = detail["type"], detail["msg"], detail.get("input")
    name = f"'{loc[-1]}'" if loc and isinstance(loc[-1], str) else "this"
    context = detail.get("ctx", {})
    if kind == "missing":
        return "missing-key", f"{name} is missing"
    if kind == "string_type":
        return "wrong-type", f"{name} is a text, here it is {described(given)}"
    if kind in {"dict_type", "model_type", "model_attributes_type"}:
        return "wrong-type", f"{name} is a mapping of keys, here it is {described(given)}"
    if kind == "list_type":
        return "wrong-type", f"{name} is a list, here it is {described(given)}"
    if kind == "int_type":
        return "wrong-type", f"{name} is a number, here it is {described(given)}"
    if kind == "bool_type":
        return "wrong-type", f"{name} is true or false, here it is {described(given)}"
    if kind == "literal_error":
        words = str(context.get("expected", ""))
        near = nearest(str(given), re.findall(r"'([^']+)'", words))
        hint = f"; did you mean '{near}'?" if near else ""
        return "unknown-value", f"{name} is one of {words}{hint}"
    if kind == "string_pattern_mismatch":
        return "wrong-form", f"{name} does not have the form {context.get('pattern')}"
    if kind == "string_too_short":
        return "wrong-value", f"{name} is empty"
    text = str(message).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return "wrong-value", text if kind in _NAMED else f"{name}: {text}"


def described(value: object) -> str:
    """What a value is, for a message: "the number 22 (write '22' in quotes)"."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"the flag {str(value).lower()} (write '{str(value).lower()}' in quotes)"
    if isinstance(value, int | float):
        return f"the number {value} (write '{value}' in quotes)"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "a mapping"
