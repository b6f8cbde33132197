"""
What the API answers, as types.

The server now and then writes a string where the documentation says number, and null where it says list: both are read.
Unknown fields are ignored, as the API 3.0 documentation asks ("Responses"). Events stay the bytes that they were.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Generic, TypeVar

import msgspec

from engine.cloudaudit.errors import BrokenAnswerError


class ErrorPart(msgspec.Struct, frozen=True, rename="pascal"):
    """`Response.Error`: what an answer holds instead of its own fields, under HTTP 200."""

    code: str = ""
    message: str | None = None


class Answer(msgspec.Struct, frozen=True, rename="pascal", kw_only=True):
    """`Response`: what every answer holds."""

    request_id: str | None = None
    error: ErrorPart | None = None


class EventsAnswer(Answer, frozen=True, rename="pascal", kw_only=True):
    """DescribeEvents. TotalCount is left out: it is deprecated, and null or wrong."""

    list_over: bool | None = None
    next_token: int | None = None
    events: list[msgspec.Raw] | None = None


class Storage(msgspec.Struct, frozen=True, rename="pascal", kw_only=True, omit_defaults=True):
    """
    Where a tracking set delivers to: `cos` (a bucket's name without -APPID), `cls` (a topic's id) or `ckafka`.

    *compress*: 1 yes, 2 no. *storage_account_id* and *storage_app_id* are those of another account.
    """

    storage_type: str | None = None
    storage_region: str | None = None
    storage_name: str | None = None
    storage_prefix: str | None = None
    storage_account_id: str | None = None
    storage_app_id: str | None = None
    compress: int | None = None


class ResourceField(msgspec.Struct, frozen=True, rename="pascal", kw_only=True):
    """One product of a tracking set over several: its events of *action_type* (Read, Write, *)."""

    resource_type: str | None = None
    action_type: str | None = None
    event_names: tuple[str, ...] | None = None


class Filters(msgspec.Struct, frozen=True, rename="pascal", kw_only=True):
    """What a tracking set over several products takes."""

    resource_fields: tuple[ResourceField, ...] | None = None


class Track(msgspec.Struct, frozen=True, rename="pascal", kw_only=True):
    """
    A tracking set (跟踪集): which events are delivered where. *status* 1 is on.

    A set over several products has *filters* (given by DescribeAuditTrack only) in place of *action_type*,
    *resource_type* and *event_names*. *create_time* is "2021-01-14 14:43:38", UTC+8.
    """

    track_id: int | None = None
    name: str | None = None
    status: int | None = None
    action_type: str | None = None
    resource_type: str | None = None
    event_names: tuple[str, ...] | None = None
    storage: Storage | None = None
    create_time: str | None = None
    track_for_all_members: int | None = None
    filters: Filters | None = None

    @property
    def enabled(self) -> bool:
        return self.status == 1


class TracksAnswer(Answer, frozen=True, rename="pascal", kw_only=True):
    """DescribeAuditTracks."""

    tracks: tuple[Track, ...] | None = None
    total_count: int | None = None


class TrackAnswer(Answer, frozen=True, rename="pascal", kw_only=True):
    """DescribeAuditTrack: the fields of a Track beside those of an Answer."""

    name: str | None = None
    status: int | None = None
    action_type: str | None = None
    resource_type: str | None = None
    event_names: tuple[str, ...] | None = None
    storage: Storage | None = None
    create_time: str | None = None
    track_for_all_members: int | None = None
    filters: Filters | None = None


class TrackCreatedAnswer(Answer, frozen=True, rename="pascal", kw_only=True):
    """CreateAuditTrack."""

    track_id: int | None = None


class SuccessAnswer(Answer, frozen=True, rename="pascal", kw_only=True):
    """CreateAudit. *is_success* is 1 or 0."""

    is_success: int | None = None


A = TypeVar("A", bound=Answer)


class Envelope(msgspec.Struct, Generic[A], frozen=True, rename="pascal"):
    """The whole body."""

    response: A


@functools.cache
def _decoder(answer: type[A]) -> msgspec.json.Decoder[Envelope[A]]:
    kind: Any = Envelope.__class_getitem__(answer)  # type: ignore[attr-defined]  # Generic's own, for a type in a variable
    # strict=False reads "50" where a number is meant, exactly, however large.
    return msgspec.json.Decoder(kind, strict=False)


def read(body: bytes, answer: type[A]) -> A:
    """
    The answer in *body*. Raises BrokenAnswerError if it is cut short or is not what the API promises.

    An event that is not JSON does not spoil its neighbours: it is handed on as it is, for the quarantine.
    """
    try:
        whole: A = _decoder(answer).decode(body).response
        return whole
    except msgspec.ValidationError as error:
        raise BrokenAnswerError(f"the answer is not what the API promises: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        reason = str(error)
    apart = _events_apart(body) if issubclass(answer, EventsAnswer) else None
    if apart is None:
        raise BrokenAnswerError(f"the answer is not JSON: {reason}")
    rest, events = apart
    try:
        found: A = _decoder(answer).decode(rest).response
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BrokenAnswerError(f"the answer is not JSON: {reason}") from None
    return msgspec.structs.replace(found, events=[msgspec.Raw(event) for event in events])


# A string (unfinished escapes and control characters included), a bracket, a comma. Possessive: linear on any input.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]', re.DOTALL)
_EVENTS = re.compile(rb'"Events"\s*+:\s*+\[')


def _events_apart(body: bytes) -> tuple[bytes, list[bytes]] | None:
    """
    The body with an empty Events list, and the bytes of each event, found by brackets and strings alone.

    For bodies that no strict JSON parser takes because of one event: a lone surrogate, a NaN, a hundred thousand
    brackets. None if the list has no end.
    """
    found = _EVENTS.search(body)
    if found is None:
        return None
    start = piece = found.end()
    depth = 0
    events = []
    for token in _TOKEN.finditer(body, start):
        match token[0]:
            case b"[" | b"{":
                depth += 1
            case b"}" | b"]" if depth:
                depth -= 1
            case b"," if depth == 0:
                events.append(body[piece : token.start()].strip())
                piece = token.end()
            case b"]":
                events.append(body[piece : token.start()].strip())
                return body[:start] + body[token.start() :], [event for event in events if event]
    return None
