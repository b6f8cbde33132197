"""Poison events: only the event itself goes to the quarantine, its neighbours alert, and nothing stalls or grows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import kinds, packs
from engine.event import Page, Record
from engine.pipeline import Policy, Tally, ingest
from engine.route import Route
from engine.store import Store
from engine.store.sqlite import open_store
from notifiers.webhook import BODY
from notifiers.webhook import body as webhook_body

RULES = {
    "any": "eventName == 'DeleteBucket'",
    "text": "starts_with(requestParameters.Name, 'prod-')",
    "re": "matches(userAgent, '^(a+)+$')",
}
BEFORE, AFTER = "neighbour-before", "neighbour-after"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path) as found:
        yield found


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    store = open_store(str(folder / "tocsin.db"))
    try:
        yield store
    finally:
        store.close()


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = tmp_path_factory.mktemp("rules")
    for name, match in RULES.items():
        (folder / f"{name}.yaml").write_text(
            f"id: poison.{name}\ntitle: '{{eventName}}'\nseverity: high\nstatus: stable\nkind: tencent.cloudaudit\n"
            f'description: For these tests.\nmatch: "{match}"\n',
            encoding="utf-8",
        )
    return Policy(packs.load([str(folder)]), (Route(("hook",)),))


def an_event(event_id: str, **changes: Any) -> bytes:
    event = {
        "eventID": event_id,
        "eventName": "DeleteBucket",
        "eventTime": 1_790_000_000,
        "errorCode": "0",
        "userIdentity": {"type": "CAMUser", "accountId": "100000000001", "userName": "ana"},
        **changes,
    }
    return json.dumps(event).encode()


def with_text(place: bytes, value: bytes) -> bytes:
    """An event whose bytes hold *value*, unquoted, where JSON would have a value."""
    return an_event("poison", extra="PLACE").replace(b'"PLACE"', value).replace(b"extra", place)


def read(records: list[bytes], policy: Policy, store: Store) -> Tally:
    kind = kinds.kind("tencent.cloudaudit", redaction_key=b"k" * 32)
    page = Page(tuple(Record(raw, "poison:1") for raw in records))
    return ingest(page, "test", kind, policy, store, now=1_790_000_100.0)


def told(store: Store, rule: str = "poison.any") -> set[str]:
    return {event for alert in store.alerts(rule_id=rule) for event in alert.event_ids}


def outer(inner: str, **changes: Any) -> bytes:
    event = {
        "EventId": "poison",
        "EventName": "DeleteBucket",
        "EventTime": "1790000000",
        "AccountID": 100000000001,
        "Username": "ana",
        "ErrorCode": 0,
        "CloudAuditEvent": inner,
        **changes,
    }
    return json.dumps(event).encode()


UNREADABLE = {
    "not JSON at all": b"\x00\x01\x02 nothing",
    "empty": b"",
    "JSON cut short": an_event("poison")[:60],
    "an array": b"[1, 2, 3]",
    "a number": b"7",
    "arrays 100,000 deep": with_text(b"extra", b"[" * 100_000 + b"]" * 100_000),
    "objects 100,000 deep": with_text(b"extra", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "six megabytes": an_event("poison", requestParameters={"x": "a" * 6_000_000}),
}
READABLE = {
    "NaN": with_text(b"extra", b"NaN"),
    "Infinity": with_text(b"extra", b"-Infinity"),
    "1e999": with_text(b"extra", b"1e999"),
    "an integer of 400 digits": with_text(b"extra", b"9" * 400),
    "an integer of 10,000 digits": with_text(b"extra", b"9" * 10_000),
    "2^64": with_text(b"extra", b"18446744073709551616"),
    "a lone surrogate": with_text(b"extra", b'"\\ud800"'),
    "NUL": with_text(b"extra", b'"a\\u0000b"'),
    "a raw control character": with_text(b"extra", b'"a\x01b"'),
    "a byte order mark": b"\xef\xbb\xbf" + an_event("poison"),
    "bytes that are not UTF-8": with_text(b"extra", b'"\xff\xfe"'),
    "overlong UTF-8": with_text(b"extra", b'"\xc0\xaf"'),
    "a key twice": with_text(b"eventRegion", b'"x", "eventRegion": "y"'),
    "10,000 keys": an_event("poison", requestParameters={f"k{number}": number for number in range(10_000)}),
    "4 MB in one text": an_event("poison", requestParameters={"x": "a" * 4_000_000}),
    "100 kB in every text": an_event("poison", userAgent="a" * 100_000, eventSource="b" * 100_000),
    "fields of other types": an_event("poison", userAgent=[1], resources=7, requestParameters=None, eventRegion={}),
    "inner JSON cut short": outer('{"eventID": "poison", "eventName": "Delete'),
    "inner JSON that is a text": outer('"no event"'),
    "inner JSON 100,000 deep": outer("[" * 100_000),
    "nested text that only looks like JSON": an_event("poison", requestParameters='{"Name": "x'),
    "nested JSON in JSON in JSON": an_event("poison", requestParameters=json.dumps(json.dumps({"a": json.dumps([1])}))),
}


@pytest.mark.parametrize("poison", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_event_is_quarantined_with_its_reason_and_its_neighbours_alert(
    poison: bytes, policy: Policy, store: Store
) -> None:
    tally = read([an_event(BEFORE), poison, an_event(AFTER)], policy, store)

    (kept,) = store.quarantined()
    assert told(store) == {BEFORE, AFTER}
    assert tally.quarantined == 1
    assert kept["reason"]
    assert len(kept["raw"]) < 2_000_000


@pytest.mark.parametrize("poison", READABLE.values(), ids=READABLE)
def test_what_can_still_be_read_alerts_with_its_neighbours(poison: bytes, policy: Policy, store: Store) -> None:
    read([an_event(BEFORE), poison, an_event(AFTER)], policy, store)

    assert told(store) == {BEFORE, "poison", AFTER}


@pytest.mark.parametrize("poison", READABLE.values(), ids=READABLE)
def test_the_alert_of_a_strange_event_stays_within_what_a_receiver_takes(
    poison: bytes, policy: Policy, store: Store
) -> None:
    read([poison], policy, store)

    for alert in store.alerts(rule_id="poison.any"):
        assert len(webhook_body(alert)) <= BODY
        assert len(webhook_body(alert, evidence=True)) <= BODY


def test_an_event_without_an_id_is_known_again_by_its_content(policy: Policy, store: Store) -> None:
    nameless = json.loads(an_event("x"))
    del nameless["eventID"]
    raw = json.dumps(nameless).encode()

    read([raw], policy, store)
    again = read([raw], policy, store)

    assert len(told(store)) == 1
    assert again.events == 0


def test_a_rule_that_breaks_on_one_event_is_a_fault_and_the_other_rules_go_on(policy: Policy, store: Store) -> None:
    tally = read([an_event("odd", requestParameters={"Name": 7}), an_event(AFTER)], policy, store)

    (fault,) = store.faults()
    assert (fault["rule_id"], fault["event_id"], tally.faults) == ("poison.text", "odd", 1)
    assert told(store) == {"odd", AFTER}


def test_a_pattern_that_would_explode_elsewhere_is_linear_here(policy: Policy, store: Store) -> None:
    # `re` needs more than 5 s for 28 characters of this; RE2 is linear (github.com/google/re2, WhyRE2).
    tally = read(
        [an_event("long", userAgent="a" * 50_000 + "!"), an_event("hit", userAgent="a" * 50_000)], policy, store
    )

    assert tally.faults == 0
    assert told(store, "poison.re") == {"hit"}


# --- the same eventID with another body


def test_an_event_that_says_something_else_when_it_is_read_again_is_counted_and_alerts_once(
    policy: Policy, store: Store
) -> None:
    first = read([an_event("e1")], policy, store)
    other = an_event("e1", sourceIPAddress="198.51.100.7", requestParameters='{"Name":"prod-1"}')
    tallies = [read([other], policy, store) for _ in range(2)]
    assert (first.told, first.changed) == (1, 0)
    assert [(t.events, t.repeated, t.changed, t.matches, t.queued) for t in tallies] == [
        (0, 1, 1, 0, 0),
        (0, 1, 0, 0, 0),
    ]
    assert len(store.alerts()) == 1
    assert [one.source for one in store.changed("e1")] == ["test"]
    assert store.ledger().imbalance == 0


def test_two_bodies_under_one_id_on_one_page_are_one_alert(policy: Policy, store: Store) -> None:
    tally = read([an_event("e1"), an_event("e2"), an_event("e1", userAgent="other")], policy, store)
    assert (tally.events, tally.changed) == (2, 1)
    assert told(store) == {"e1", "e2"}


def test_what_cloudaudit_itself_changes_in_an_event_is_no_other_body(policy: Policy, store: Store) -> None:
    text = an_event("poison", updateEsTime=17900000001234567).decode()
    again = an_event("poison", updateEsTime=17900000501234567, tags=["a"]).decode()
    read([outer(text, EventNameCn="删除存储桶")], policy, store)
    tally = read([outer(again, EventNameCn="Delete bucket", Location="荷兰"), again.encode()], policy, store)
    assert (tally.repeated, tally.changed) == (2, 0)


def test_an_event_that_was_cut_off_at_first_is_noted_when_it_comes_whole(policy: Policy, store: Store) -> None:
    read([outer(an_event("poison").decode()[:60])], policy, store)
    tally = read([outer(an_event("poison").decode())], policy, store)
    assert (tally.events, tally.changed) == (0, 1)


def test_without_an_id_another_body_is_another_event(policy: Policy, store: Store) -> None:
    tally = read([an_event(""), an_event("", userAgent="other"), an_event("")], policy, store)
    assert (tally.events, tally.repeated, tally.changed) == (2, 1, 0)
