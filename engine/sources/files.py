"""
Audit records from files, for `tocsin scan`: whatever form they were saved in, plain or gzip.

JSON lines (one event a line, CloudAudit's outer or inner form, or CloudTrail's), answers of DescribeEvents and
LookUpEvents, CloudTrail files `{"Records": […]}`, JSON arrays of events; each on one line or over many. The kind is
recognised record by record. What cannot be read costs a message with its place, never the rest of the run.

JSON lines are streamed and need memory for one line; a document that runs over many lines is read whole.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import msgspec

from engine.errors import DecodeError
from engine.event import Record
from engine.kinds.decoder import dumps, loads_leniently, without_bom

TENCENT: Final = "tencent.cloudaudit"
AWS: Final = "aws.cloudtrail"

MAX_DOCUMENT: Final = 256 * 1024 * 1024  # bytes, unpacked: of one line, or of one document over many lines
_MAX_LEVEL: Final = 3  # of arrays and answers around an event
_MAX_HELD: Final = 1000  # messages, until it is clear what a file is

# In folders, files that are certainly no events; named on the command line, they are read all the same.
_OTHER_SUFFIXES: Final = frozenset(
    {".md", ".rst", ".yaml", ".yml", ".toml", ".ini", ".csv", ".html", ".pdf", ".py", ".sh", ".zip", ".png"}
)
_GZIP: Final = b"\x1f\x8b"

OnProblem = Callable[[str, str], None]  # (place, message)
Found = tuple[str, Record]

_NOTHING: Final = msgspec.Raw()


class _Shape(msgspec.Struct):
    """What tells one form from another; each value is only skipped over, not decoded."""

    CloudAuditEvent: msgspec.Raw = _NOTHING
    EventName: msgspec.Raw = _NOTHING
    EventId: msgspec.Raw = _NOTHING
    EventTime: msgspec.Raw = _NOTHING
    eventName: msgspec.Raw = _NOTHING  # noqa: N815 the clouds' own names
    eventID: msgspec.Raw = _NOTHING  # noqa: N815
    userIdentity: msgspec.Raw = _NOTHING  # noqa: N815
    eventSource: msgspec.Raw = _NOTHING  # noqa: N815
    awsRegion: msgspec.Raw = _NOTHING  # noqa: N815
    recipientAccountId: msgspec.Raw = _NOTHING  # noqa: N815
    eventCategory: msgspec.Raw = _NOTHING  # noqa: N815
    Response: msgspec.Raw = _NOTHING
    Events: msgspec.Raw = _NOTHING
    Records: msgspec.Raw = _NOTHING


_shape: Final = msgspec.json.Decoder(_Shape).decode
_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def records(paths: Iterable[str | Path], *, on_problem: OnProblem) -> Iterator[Found]:
    """
    Each audit record in *paths* with the name of its kind, in order; folders are walked, sorted; "-" is standard input.

    A record's place is "file:line". *on_problem* is called with the place and a sentence for everything that is no
    record of a known kind. Raises OSError when a path that was named cannot be read; in a folder that is a problem.
    """
    for path in paths:
        if str(path) == "-":
            yield from _in_file("-", sys.stdin.buffer, on_problem)
        elif os.path.isdir(path):  # noqa: PTH112 a str may come in
            for file in _files_below(Path(path)):
                try:
                    with file.open("rb") as stream:
                        yield from _in_file(str(file), stream, on_problem)
                except OSError as error:
                    on_problem(str(file), f"cannot be read: {error.strerror or error}")
        else:
            with Path(path).open("rb") as stream:
                yield from _in_file(str(path), stream, on_problem)


def _files_below(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(here, name)
            if not name.startswith(".") and file.suffix.lower() not in _OTHER_SUFFIXES and file.is_file():
                yield file


def unpacked(stream: BinaryIO) -> BinaryIO:
    """*stream*, unpacked if it begins like gzip. The one place to put a faster gunzip."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
    if buffered.peek(2)[:2] == _GZIP:
        return cast("BinaryIO", gzip.GzipFile(fileobj=buffered))
    return cast("BinaryIO", buffered)


def _in_file(name: str, stream: BinaryIO, on_problem: OnProblem) -> Iterator[Found]:
    lines = _Lines(name, unpacked(stream), on_problem)
    try:
        first = lines.take()
        if first is None:
            return
        if first[1][:2] in (b"\xff\xfe", b"\xfe\xff"):
            on_problem(f"{name}:1", "is UTF-16; only UTF-8 is read")
        elif first[1][:1] not in (b"{", b"[") or _is_json(first[1]):
            yield from _in_lines(name, chain([first], lines), on_problem)
        else:
            yield from _in_document(name, first, lines, on_problem)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        on_problem(f"{name}:{lines.number + 1}", f"the gzip data is damaged or cut off: {error}")


class _Lines:
    """The lines of a file that hold something, stripped, with their numbers from 1."""

    def __init__(self, name: str, stream: BinaryIO, on_problem: OnProblem) -> None:
        self.number = 0
        self._name = name
        self._stream = stream
        self._on_problem = on_problem

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        while (line := self.take()) is not None:
            yield line

    def take(self) -> tuple[int, bytes] | None:
        while line := self._stream.readline(MAX_DOCUMENT):
            self.number += 1
            if len(line) == MAX_DOCUMENT and not line.endswith(b"\n"):
                self._on_problem(f"{self._name}:{self.number}", f"skipped: a line of over {MAX_DOCUMENT >> 20} MB")
                while line and not line.endswith(b"\n"):
                    line = self._stream.readline(MAX_DOCUMENT)
                continue
            text = (without_bom(line) if self.number == 1 else line).strip()
            if text:
                return self.number, text
        return None


def _in_lines(name: str, lines: Iterable[tuple[int, bytes]], on_problem: OnProblem) -> Iterator[Found]:
    for number, text in lines:
        yield from _in_json(text, name, number, on_problem)


def _in_document(name: str, first: tuple[int, bytes], lines: _Lines, on_problem: OnProblem) -> Iterator[Found]:
    """A file whose first line is no JSON by itself: one document over many lines, or JSON lines that begin badly."""
    second = lines.take()
    begun = [first] if second is None else [first, second]
    if second is not None and not first[1].endswith((b"{", b"[", b",", b":")) and _is_json(second[1]):
        yield from _in_lines(name, chain(begun, lines), on_problem)
        return
    size = sum(len(text) for _, text in begun)
    for line in lines:
        begun.append(line)
        size += len(line[1])
        if size > MAX_DOCUMENT:
            break
    document = _with_its_lines(begun)
    fault = _why_not_json(document)
    if fault is None:
        yield from _in_json(document, name, first[0], on_problem)
        return
    # No document either. Lines that are events are still events: an array with an event a line, one of them damaged.
    problems: list[tuple[str, str]] = []
    found = False
    for number, line_text in chain(begun, lines):
        text = line_text.rstrip(b",")
        if text.strip(b"[]{} ,") == b"":
            continue
        for item in _in_json(text, name, number, lambda place, message: problems.append((place, message))):
            found = True
            yield item
        if found:
            for place, message in problems:
                on_problem(place, message)
            problems.clear()
        else:
            del problems[_MAX_HELD:]
    if not found:
        on_problem(f"{name}:{first[0]}", fault)


def _with_its_lines(lines: list[tuple[int, bytes]]) -> bytes:
    """The lines joined so that each stands on its own number, counted from the first one's."""
    parts: list[bytes] = []
    at = lines[0][0]
    for number, text in lines:
        parts.append(b"\n" * (number - at) + text)
        at = number
    return b"".join(parts)


def _is_json(text: bytes) -> bool:
    return _why_not_json(text) is None


def _why_not_json(text: bytes) -> str | None:
    if not _is_strict_json(text):
        try:
            loads_leniently(text)
        except DecodeError as error:
            return str(error)
    return None


def _in_json(text: bytes, name: str, line: int, on_problem: OnProblem, level: int = 0) -> Iterator[Found]:
    """The records in one JSON text that begins on *line* of the file *name*."""
    place = f"{name}:{line}"
    try:
        strict = text if _is_strict_json(text) else dumps(loads_leniently(text)).encode()
        if strict[:1] == b"[" and level < _MAX_LEVEL:
            array = strict
        else:
            shape = _shape(strict)
            kind = _kind(shape)
            if kind is not None:
                yield kind, Record(text, place)
                return
            events = _events(shape)
            if events is None or level >= _MAX_LEVEL:
                on_problem(place, _unknown(shape))
                return
            array = events
    except DecodeError as error:
        on_problem(place, str(error))
    except msgspec.ValidationError:
        on_problem(place, "not a JSON object")
    except RecursionError:
        on_problem(place, "nested too deeply to tell what it is")
    else:
        # Where the text had to be made strict first, the places are only as good as the line that it begins on.
        for item, item_line in _each(array, strict, line):
            yield from _in_json(item, name, item_line, on_problem, level + 1)


def _is_strict_json(text: bytes) -> bool:
    try:
        _items(text) if text[:1] == b"[" else _shape(text)
    except msgspec.ValidationError:
        return True
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True


def _kind(shape: _Shape) -> str | None:
    """The kind of one event, by the fields that only one cloud has; None if it is no event."""
    if shape.CloudAuditEvent is not _NOTHING:
        return TENCENT
    if shape.EventName is not _NOTHING and (shape.EventId is not _NOTHING or shape.EventTime is not _NOTHING):
        return TENCENT
    if shape.eventName is _NOTHING and shape.eventID is _NOTHING and shape.userIdentity is _NOTHING:
        return None
    aws = (
        shape.awsRegion is not _NOTHING
        or shape.recipientAccountId is not _NOTHING
        or shape.eventCategory is not _NOTHING
        or b"amazonaws.com" in bytes(shape.eventSource)
    )
    return AWS if aws else TENCENT


def _events(shape: _Shape) -> bytes | None:
    """The array of events in an API's answer or a delivered file."""
    if shape.Response is not _NOTHING:
        try:
            shape = _shape(bytes(shape.Response))
        except msgspec.MsgspecError:
            return None
    for events in (shape.Events, shape.Records):
        if events is not _NOTHING:
            text = bytes(events)
            return b"[]" if text == b"null" else text if text[:1] == b"[" else None
    return None


def _unknown(shape: _Shape) -> str:
    if shape.Response is not _NOTHING:
        answer: Any = loads_leniently(bytes(shape.Response))
        error = answer.get("Error") if isinstance(answer, dict) else None
        if isinstance(error, dict):
            return f"an API's error, not events: {error.get('Code')}"
    return "not an audit event of a known kind"


def _each(array: bytes, text: bytes, line: int) -> Iterator[tuple[bytes, int]]:
    """The items of *array*, which lies in *text*, each with the line on which it begins."""
    position = 0
    one_line = b"\n" not in text
    for item in _items(array):
        item_text = bytes(item)
        if not one_line:
            found = text.find(item_text, position)
            line += text.count(b"\n", position, found)
            position = found
        yield item_text, line
