"""Events from files: JSON lines, a JSON array, whole DescribeEvents answers, plain or gzip, one after another."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, TextIO

from engine.emulator.events import event_time, inner_of, is_event, is_outer, shifted
from engine.errors import ConfigurationError, Place, Problem

GZIP = b"\x1f\x8b"
BOM = "\ufeff"
TOO_DEEP = "this JSON is nested too deeply"


def events(path: str) -> Iterator[dict[str, Any]]:
    """
    The inner and outer events in the file *path*, JSON lines one line at a time; "-" is stdin.

    Raises ConfigurationError, with the place, for what is not JSON or no event; OSError as it comes.
    """
    name = "<stdin>" if path == "-" else path
    try:
        with _opened(path) as file:
            yield from _read(name, file)
    except (EOFError, zlib.error) as error:
        raise _fault(name, "", 0, "broken-gzip", f"the gzip file is damaged: {error}", 1) from None


def _read(name: str, file: TextIO) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, start=1):
        text = line.removeprefix(BOM) if number == 1 else line
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except ValueError:  # no JSON lines, then, or broken ones: look at all that is left at once
            yield from _documents(name, text + file.read(), number)
            return
        except RecursionError:
            raise _fault(name, text, 0, "not-json", TOO_DEEP, number) from None
        yield from _found(name, text, 0, value, number)


@contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    """The text of *path*, unzipped. What is no UTF-8 comes as lone surrogates: such events are served, too."""
    with ExitStack() as files:
        raw: IO[bytes] = (
            io.BytesIO(sys.stdin.buffer.read()) if path == "-" else files.enter_context(Path(path).open("rb"))
        )
        zipped = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
        plain = files.enter_context(gzip.GzipFile(fileobj=raw)) if zipped else raw
        yield files.enter_context(io.TextIOWrapper(plain, "utf-8", errors="surrogateescape"))


def _documents(name: str, text: str, line: int) -> Iterator[dict[str, Any]]:
    """The events in JSON documents that follow one another; *text* begins in *line*."""
    decoder = json.JSONDecoder()
    at = 0
    while (at := _skip_blanks(text, at)) < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise _fault(name, text, error.pos, "not-json", f"this is not JSON: {error.msg}", line) from None
        except RecursionError:
            raise _fault(name, text, at, "not-json", TOO_DEEP, line) from None
        yield from _found(name, text, at, value, line)
        at = end


def _found(name: str, text: str, at: int, value: object, line: int) -> Iterator[dict[str, Any]]:
    for event in _within(value):
        if event is None:
            message = "this is neither an event nor an answer of DescribeEvents"
            raise _fault(name, text, at, "no-event", message, line)
        yield event


def _within(value: object) -> Iterator[dict[str, Any] | None]:
    """The events in *value*; None stands for what is none."""
    if isinstance(value, list):
        for item in value:
            yield from _within(item)
    elif is_event(value) and isinstance(value, dict):
        yield value
    elif isinstance(value, Mapping) and "Response" in value:
        yield from _within(value["Response"])
    elif isinstance(value, Mapping) and "Events" in value:
        yield from _within(value["Events"] or [])
    else:
        yield None


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _fault(name: str, text: str, at: int, code: str, message: str, first: int) -> ConfigurationError:
    """A fault at the offset *at* of *text*, whose first line is the line *first* of the file."""
    line = first + text.count("\n", 0, at)
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return ConfigurationError([Problem(Place(name, line, column), code, message)])


def replayed(found: Sequence[Mapping[str, Any]], now: float) -> list[dict[str, Any]]:
    """*found* moved in time, all by as much, so that the newest happens *now* (epoch seconds)."""
    times = [event_time(event, inner_of(event)) if is_outer(event) else event_time({}, event) for event in found]
    known = [time for time in times if time is not None]
    if not known:
        return [dict(event) for event in found]
    by = int(now) - max(known)
    return [shifted(event, by) for event in found]
