"""
Which text is an audit event, of which cloud: an event by itself, an answer of an API, a delivered file, an array.

JSON lines, answers of DescribeEvents and LookUpEvents, CloudTrail files `{"Records": […]}` and JSON arrays hold the
same events in other wrappings, and several such texts may stand one behind the other. The kind is recognised record by
record, by fields that only one cloud has. What is no record of a known kind costs a message with its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from engine.errors import DecodeError
from engine.event import Record
from engine.kinds.decoder import UNREADABLE, dumps, loads_leniently

TENCENT: Final = "tencent.cloudaudit"
AWS: Final = "aws.cloudtrail"

_MAX_LEVEL: Final = 3  # of arrays and answers around an event
_LONGEST_OPENING: Final = 4096  # characters before the first event of a document, with room to spare
_WINDOW: Final = 16_384  # characters in which most events end
_MAX_HELD: Final = 1000  # messages, until it is clear what a text is
_AROUND: Final = b" \t\r\n\v\f"  # what may stand around a line

OnProblem = Callable[[str, str], None]  # (place, message)
Found = tuple[str, Record]  # the name of its kind, and the record

# What stands before the first event of a document: `{"Response": {"ListOver": false, "Events": [`
_SCALAR: Final = rb'"\w+"\s*:\s*(?:"[^"\\]*"|[\w.+-]+)\s*,\s*'
OPENING: Final = re.compile(
    rb'\s*(?:\{\s*(?:%b)*(?:"Response"\s*:\s*\{\s*(?:%b)*)?"(?:Records|Events)"\s*:\s*)?\[\s*(?=\{)'
    % (_SCALAR, _SCALAR)
)
FIRST_NAME: Final = re.compile(rb'\{\s*("(?:[^"\\]|\\.)*")')
# Where another text begins: without a comma between them, two objects are never parts of one, and in a string the
# quote were escaped. Behind damage, the beginning of a line is good enough.
_NEXT_TEXT: Final = re.compile(r'\}\s*(?=\{\s*")|\n(?=\{)')
_BLANK: Final = re.compile(r"\s*")
_read_value: Final = json.JSONDecoder(strict=False).raw_decode

_NOTHING: Final = msgspec.Raw()


class _Shape(msgspec.Struct, gc=False):
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


class _Outer(msgspec.Struct, gc=False):
    """The one field that tells most records of CloudAudit."""

    CloudAuditEvent: msgspec.Raw = _NOTHING


_outer: Final = msgspec.json.Decoder(_Outer).decode
_shape: Final = msgspec.json.Decoder(_Shape).decode
_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def in_lines(text: bytes, name: str, line: int, on_problem: OnProblem, *, longest: int) -> Iterator[Found]:
    """
    The records in *text*, whole lines of the file *name* of which the first is its *line*-th, from 1.

    Lines of over *longest* bytes are a problem, and skipped.
    """
    alike = True  # the line before was told by that one field, so this one may be, too
    for number, whole in enumerate(text.split(b"\n"), line):
        if len(whole) > longest:
            on_problem(f"{name}:{number}", too_long(longest))
            continue
        one = whole.strip(_AROUND)
        if not one:
            continue
        # Nearly every line is one event. These ways through are for speed; `in_json` has all the others.
        try:
            if alike and _outer(one).CloudAuditEvent is not _NOTHING:
                yield TENCENT, Record(one, f"{name}:{number}")
                continue
            shape = _shape(one)
            alike, kind = shape.CloudAuditEvent is not _NOTHING, _kind(shape)
        except UNREADABLE:
            kind = None
        if kind is None:
            yield from in_json(one, name, number, on_problem)
        else:
            yield kind, Record(one, f"{name}:{number}")


def in_document(text: bytes, name: str, line: int, on_problem: OnProblem) -> Iterator[Found]:
    """
    The records in *text*, which begins on *line* and is one JSON document, or what is left of one.

    It may also be several, one behind the other. Of what is damaged everything that is whole is read: lines that are
    events, else items of its array of events.
    """
    fault = why_not_json(text)
    if fault is None:
        yield from in_json(text.strip(_AROUND), name, line + _blank_lines(text), on_problem)
        return
    if _begins_whole(text):
        yield from _in_a_row(text, name, line, on_problem, fault)
        return
    found = False
    for item in in_remains(text, name, line, on_problem):
        found = True
        yield item
    if not found:
        yield from _in_a_row(text, name, line, on_problem, fault)


def in_torn(text: bytes, name: str, line: int, on_problem: OnProblem) -> Iterator[Found]:
    """The records in *text*, a line of which the end may be missing; that it is, is told already."""
    if why_not_json(text) is None:
        yield from in_json(text.strip(_AROUND), name, line, on_problem)
    else:
        yield from _whole_items(text, name, line, on_problem, None)


def in_remains(text: bytes, name: str, line: int, on_problem: OnProblem) -> Iterator[Found]:
    """The records in *text*, lines of a document that is no JSON; nothing is said unless a line is one."""
    problems: list[tuple[str, str]] = []
    found = False
    for number, whole in enumerate(text.split(b"\n"), line):
        one = whole.strip(_AROUND).rstrip(b",")
        if one.strip(b"[]{} ,") == b"":
            continue
        for item in in_json(one, name, number, lambda place, message: problems.append((place, message))):
            found = True
            yield item
        if found:
            for place, message in problems:
                on_problem(place, message)
            problems.clear()
        else:
            del problems[_MAX_HELD:]


def _in_a_row(text: bytes, name: str, line: int, on_problem: OnProblem, fault: str) -> Iterator[Found]:
    """
    The records in *text*, which is no JSON: *fault* says why.

    It may be several JSON texts one behind the other, on any number of lines: jq prints them so, and Firehose delivers
    them so. If one is damaged it may be a document of which some items are whole; else it costs a message, together
    with those damaged ones that follow it.
    """
    characters = text.decode("utf-8", "surrogateescape")
    at, counted, found, damaged = _behind_blanks(characters, 0), 0, False, False
    while at < len(characters):
        line += characters.count("\n", counted, at)
        counted = at
        end, reason = _end_of_value(characters, at)
        if reason is None:
            yield from in_json(characters[at:end].encode("utf-8", "surrogateescape"), name, line, on_problem, 1)
        else:
            told = reason if found else fault
            if OPENING.match(characters[at : at + _LONGEST_OPENING].encode("utf-8", "surrogateescape")) is not None:
                remains = characters[at:].encode("utf-8", "surrogateescape")
                yield from _whole_items(remains, name, line, on_problem, told)
                return
            if not damaged:
                on_problem(f"{name}:{line}", told)
            following = _NEXT_TEXT.search(characters, at)
            if following is None:
                return
            end = following.end()
        found, damaged = True, reason is not None
        at = _behind_blanks(characters, end)


def _end_of_value(characters: str, at: int) -> tuple[int, str | None]:
    """Behind the JSON object or array that begins at *at*; and why there is none, if there is none."""
    if characters[at] not in "{[":
        return at, "not JSON: neither an object nor an array"
    size = _WINDOW  # an error counts the lines before it, so it must not see the whole text: there may be many
    while True:
        window = characters[at : at + size]
        try:
            return at + _read_value(window)[1], None
        except json.JSONDecodeError as error:
            cut = error.pos + len("\\u0000") > len(window) or error.msg.startswith("Unterminated")
            if not cut or at + size >= len(characters):
                return at, _not_json(error)
        except RecursionError:
            return at, "nested too deeply"
        size *= 16


def _not_json(error: json.JSONDecodeError) -> str:
    return f"not JSON: {error.msg.removesuffix(' at')}"  # "Unterminated string starting at"


def _begins_whole(text: bytes) -> bool:
    """Whether there is a whole JSON object or array at the beginning of *text*, whatever follows."""
    characters = text.lstrip(_AROUND).decode("utf-8", "surrogateescape")
    return bool(characters) and _end_of_value(characters, 0)[1] is None


def _behind_blanks(characters: str, at: int) -> int:
    blank = _BLANK.match(characters, at)
    return at if blank is None else blank.end()


def _whole_items(text: bytes, name: str, line: int, on_problem: OnProblem, fault: str | None) -> Iterator[Found]:
    """
    The records in the array of events of a damaged document: each item that begins as the first one does.

    *fault* is told if nothing else is; without one, nothing is said of what is not whole.
    """
    opening = OPENING.match(text)
    first = FIRST_NAME.match(text, opening.end()) if opening is not None else None
    begins = line + _blank_lines(text)
    if opening is None or first is None:
        if fault is not None:
            on_problem(f"{name}:{begins}", fault)
        return
    characters = text.decode("utf-8", "surrogateescape")
    at, counted, damaged, told = opening.end(), 0, False, False
    for head in re.finditer(r"\{\s*" + re.escape(first[1].decode("utf-8", "surrogateescape")), characters):
        begin = head.start()
        if begin < at:  # in an item that has been read
            continue
        line += characters.count("\n", counted, begin)
        counted = begin
        end, reason = _end_of_value(characters, begin)
        if reason is not None:
            if not damaged and fault is not None:
                on_problem(f"{name}:{line}", f"skipped up to the next event: {reason}")
            damaged = told = True
            continue
        at = end
        damaged = False
        item = characters[begin:at].encode("utf-8", "surrogateescape")
        yield from in_json(item, name, line, on_problem, 1)
    if not told and fault is not None:
        on_problem(f"{name}:{begins}", fault)


def in_json(text: bytes, name: str, line: int, on_problem: OnProblem, level: int = 0) -> Iterator[Found]:
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
        if level:
            on_problem(place, str(error))
        else:
            yield from _in_a_row(text, name, line, on_problem, str(error))
    except msgspec.ValidationError:
        on_problem(place, "not a JSON object")
    except RecursionError:
        on_problem(place, "nested too deeply to tell what it is")
    else:
        # Where the text had to be made strict first, the places are only as good as the line that it begins on.
        for item, item_line in _each(array, strict, line):
            try:
                kind = _kind(_shape(item))
            except UNREADABLE:
                kind = None
            if kind is None:
                yield from in_json(item, name, item_line, on_problem, level + 1)
            else:
                yield kind, Record(item, f"{name}:{item_line}")


def too_long(longest: int) -> str:
    return f"skipped: a line of over {longest >> 20} MB"


def why_not_json(text: bytes) -> str | None:
    """None where *text* is JSON, if need be leniently read; else why it is not."""
    if not _is_strict_json(text.strip(_AROUND)):
        try:
            loads_leniently(text)
        except DecodeError as error:
            return str(error)
    return None


def is_array(text: bytes) -> bool:
    """Whether *text* is one whole JSON array, strictly written."""
    try:
        _items(text)
    except UNREADABLE:
        return False
    return True


def _is_strict_json(text: bytes) -> bool:
    try:
        _items(text) if text[:1] == b"[" else _shape(text)
    except msgspec.ValidationError:
        return True
    except UNREADABLE:
        return False
    return True


def _blank_lines(text: bytes) -> int:
    """How many lines of *text* stand before the first that holds something."""
    return text.count(b"\n", 0, len(text) - len(text.lstrip(_AROUND)))


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
