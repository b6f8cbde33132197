"""What makes two readings of one event say the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.event import Event, Identity, Record
from engine.kinds import kind
from engine.kinds.body import ADDED_LATER, IN_THE_SITES_LANGUAGE, checksum

INNER = {
    "eventID": "e1",
    "eventName": "DeleteBucket",
    "eventTime": 1_790_000_000,
    "userIdentity": {"type": "CAMUser", "userName": "ana"},
    "requestParameters": '{"Bucket":"a"}',
    "updateEsTime": 17900000001234567,
    "@timestamp": "2026-09-21T14:13:21.115042",
}


def said(raw: bytes) -> int:
    return checksum(Event(Identity("k", "1", "e1"), time=1, name="x", raw=raw, decode=lambda _: {}))


def inner(**changes: Any) -> bytes:
    return json.dumps(INNER | changes).encode()


def outer(text: object, **changes: Any) -> bytes:
    return json.dumps({"EventId": "e1", "EventName": "DeleteBucket", "CloudAuditEvent": text, **changes}).encode()


@pytest.mark.parametrize("name", ADDED_LATER)
def test_what_cloudaudit_adds_later_does_not_count(name: str) -> None:
    assert said(inner(**{name: "1"})) == said(inner(**{name: "2"}))
    without = json.dumps({key: value for key, value in INNER.items() if key != name}).encode()
    assert said(inner(**{name: "1"})) == said(without)


@pytest.mark.parametrize("name", IN_THE_SITES_LANGUAGE)
def test_the_language_of_the_site_does_not_count_with_or_without_an_inner_event(name: str) -> None:
    text = inner().decode()
    assert said(outer(text, **{name: "登录"})) == said(outer(text, **{name: "Sign in"})) == said(outer(text))
    assert said(outer(None, **{name: "登录"})) == said(outer(None, **{name: "Sign in"})) == said(outer(None))


def test_an_event_says_the_same_inside_an_answer_and_by_itself() -> None:
    assert said(outer(inner().decode())) == said(inner())


def test_the_order_of_keys_and_how_characters_are_written_do_not_count() -> None:
    turned = dict(reversed(list((INNER | {"userAgent": "根/1"}).items())))
    assert said(inner(userAgent="根/1")) == said(json.dumps(turned, ensure_ascii=False, indent=1).encode())


@pytest.mark.parametrize("name", sorted(set(INNER) - set(ADDED_LATER)))
def test_every_other_field_counts(name: str) -> None:
    assert said(inner(**{name: "another"})) != said(inner())
    assert said(outer(inner(**{name: "another"}).decode())) != said(outer(inner().decode()))


def test_a_field_that_nobody_has_documented_counts() -> None:
    assert said(inner(surprise={"a": [1]})) != said(inner(surprise={"a": [2]}))


@pytest.mark.parametrize(
    "raw",
    [b"", b"no JSON", b"[1]", b"7", b"\xff\xfe", b'{"a":' + b"9" * 400 + b"}", b"[" * 5000, outer({"an": "object"}),
     outer('{"cut'), outer('"\\ud800"'), outer("\ud800")],
)  # fmt: skip
def test_whatever_the_bytes_there_is_a_checksum_of_four_bytes_and_it_is_the_same_again(raw: bytes) -> None:
    assert -(2**31) <= said(raw) < 2**31
    assert said(raw) == said(bytes(raw))


def test_a_text_that_was_cut_off_says_something_else_than_the_whole_one() -> None:
    text = inner().decode()
    assert said(outer(text[:80])) != said(outer(text))
    assert said(outer(text[:80])) != said(outer(text[:70]))


@pytest.mark.parametrize("raw", [inner(), outer(inner().decode(), AccountID=1)])
def test_it_is_the_same_whether_the_kind_has_taken_the_inner_event_out_or_not(raw: bytes) -> None:
    raw = raw.replace(b"CAMUser", b"Root").replace(b"userName", b"accountId")
    event = kind("tencent.cloudaudit", redaction_key=b"k" * 32).decode(Record(raw)).event

    assert event is not None
    assert event.seen is not None
    assert checksum(event) == said(raw)
