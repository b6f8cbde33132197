"""
What an event says, in four bytes: whether a second reading of it says the same as the first.

Two readings of one event may differ in what CloudAudit's own pipeline writes: when it was taken in and when it became
visible, and what is looked up afterwards (risk, tags, resources). So do the outer fields, which depend on the question
and on the site's language, the order of keys, and how characters are written. None of that counts. All else does; what
cannot be decoded counts byte for byte.

A checksum finds mistakes, not forgers: who can write two events under one id can also make their checksums agree.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import msgspec

from engine.event import Event
from engine.kinds.decoder import UNREADABLE

# No document says which fields of an event change once it can be read. These are the stages of the pipeline (the first
# two), and fields whose values come from other services than the one that was called.
ADDED_LATER: Final = ("@timestamp", "updateEsTime", "isRisk", "ruleId", "onlyRecordNotSeen", "tags", "resourceSet")
# Outer fields without an inner twin: they count nowhere, also where the outer event is all there is.
IN_THE_SITES_LANGUAGE: Final = ("Location", "ResourceRegion", "ResourceTypeCn", "EventNameCn")
_NOT_SAID: Final = (*ADDED_LATER, *IN_THE_SITES_LANGUAGE)


class _Outer(msgspec.Struct, gc=False):
    """An outer event of CloudAudit; every other record has no such field."""

    CloudAuditEvent: str | None = None


_outer: Final = msgspec.json.Decoder(_Outer).decode
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


def checksum(event: Event) -> int:
    """A signed integer of 32 bits over what *event* says."""
    text: bytes | str = event.raw
    try:
        text = _inner(event) or event.raw
        said = _said(_decode(text))
    except (*UNREADABLE, OverflowError):
        said = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return zlib.crc32(said) - 2**31


def _inner(event: Event) -> str | None:
    """The text of the inner event, where there is one: the kind has mostly taken it out of the record already."""
    text = getattr(event.seen, "text", None)
    if isinstance(text, str):
        return text
    return _outer(event.raw).CloudAuditEvent


def _said(body: Any) -> bytes:
    if isinstance(body, dict):
        for name in _NOT_SAID:
            body.pop(name, None)
    return _encode(body)
