"""Pages of DescribeEvents: which events, in which order, when, how often."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.emulator import Emulator
from tests.emulator.calling import HOUR, NOW, an_emulator, an_event, ask, event_ids, pages


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with an_emulator() as running:
        yield running


EVENTS = st.lists(
    st.tuples(
        st.integers(NOW - 2 * HOUR, NOW),
        st.sampled_from(["RunInstances", "StopInstances", "DescribeInstances"]),
        st.sampled_from(["Read", "Write"]),
        st.none() | st.integers(0, 30),
    ),
    max_size=120,
)


@settings(max_examples=20, deadline=None)
@given(
    listed=EVENTS,
    most=st.none() | st.integers(1, 50),
    start=st.integers(NOW - 2 * HOUR, NOW - HOUR),
    end=st.integers(NOW - HOUR, NOW),
    names=st.sets(st.sampled_from(["RunInstances", "StopInstances"])),
    kind=st.none() | st.sampled_from(["Read", "Write"]),
    shuffle=st.booleans(),
    seed=st.integers(0, 99),
)
def test_while_nothing_is_added_each_visible_event_is_paged_exactly_once(
    listed: list[tuple[int, str, str, int | None]],
    most: int | None,
    start: int,
    end: int,
    names: set[str],
    kind: str | None,
    shuffle: bool,
    seed: int,
) -> None:
    attributes = [{"AttributeKey": "EventName", "AttributeValue": name} for name in names]
    attributes += [{"AttributeKey": "ActionType", "AttributeValue": kind}] if kind else []
    expected = {
        f"e-{n}"
        for n, (at, name, action, lag) in enumerate(listed)
        if start <= at <= end and (not names or name in names) and kind in (None, action) and at + (lag or 0) <= NOW
    }
    with an_emulator(shuffle=shuffle, late=0.0, seed=seed) as emulator:
        for n, (at, name, action, lag) in enumerate(listed):
            indexed = {} if lag is None else {"updateEsTime": (at + lag) * 10**7}
            emulator.add([an_event(f"e-{n}", at, eventName=name, actionType=action, **indexed)])

        found = list(pages(emulator, StartTime=start, EndTime=end, MaxResults=most, LookupAttributes=attributes))

    ids = [event["EventId"] for page in found for event in page["Events"]]
    assert Counter(ids) == Counter(expected)
    assert all(len(page["Events"]) == page["TotalCount"] <= (most or 10) for page in found)
    assert [page["ListOver"] for page in found] == [False] * (len(found) - 1) + [True]


def test_events_come_newest_index_time_first(emulator: Emulator) -> None:
    emulator.add([an_event("old", NOW - 30), an_event("late", NOW - 50, updateEsTime=(NOW - 5) * 10**7)])
    emulator.add([an_event("new", NOW - 10)])

    assert event_ids(emulator) == ["late", "new", "old"]


def test_the_token_is_the_index_time_of_the_last_event_as_an_exact_integer(emulator: Emulator) -> None:
    emulator.add([an_event("a", NOW - 9, updateEsTime=17_000_000_000_000_001 - 2 * 10**7), an_event("b", NOW - 1)])

    page = ask(emulator, "DescribeEvents", StartTime=NOW - 60, EndTime=NOW)

    assert page["NextToken"] == 17_000_000_000_000_001 - 2 * 10**7
    assert page["ListOver"] is True


def test_an_empty_page_repeats_the_token_or_has_none(emulator: Emulator) -> None:
    assert ask(emulator, "DescribeEvents", StartTime=NOW - 60, EndTime=NOW)["NextToken"] == 0
    assert ask(emulator, "DescribeEvents", StartTime=NOW - 60, EndTime=NOW, NextToken=7)["NextToken"] == 7


def test_both_ends_of_the_window_belong_to_it(emulator: Emulator) -> None:
    emulator.add(an_event(f"e-{at}", NOW - at) for at in (21, 20, 15, 10, 9))

    assert event_ids(emulator, StartTime=NOW - 20, EndTime=NOW - 10) == ["e-10", "e-15", "e-20"]


def test_events_of_one_second_have_index_times_of_their_own(emulator: Emulator) -> None:
    emulator.add(an_event(f"e-{n}", NOW) for n in range(120))

    assert Counter(event_ids(emulator, MaxResults=7)) == Counter(f"e-{n}" for n in range(120))


def test_an_event_is_hidden_until_its_delay_is_over() -> None:
    clock = [float(NOW)]
    with an_emulator(now=lambda: clock[0], visibility_delay=4.0) as emulator:
        emulator.add([an_event("a", NOW), an_event("b", NOW), an_event("given", NOW, updateEsTime=NOW * 10**7)])

        clock[0] = NOW + 3.9
        assert event_ids(emulator) == []
        clock[0] = NOW + 4.0
        assert sorted(event_ids(emulator)) == ["a", "b", "given"]


def test_an_index_time_beyond_the_delay_is_kept(emulator: Emulator) -> None:
    emulator.add([an_event("late", NOW, updateEsTime=(NOW + 1) * 10**7)])

    assert event_ids(emulator) == []
    assert len(emulator) == 1


def test_new_events_do_not_disturb_a_reader_between_two_pages() -> None:
    clock = [float(NOW)]
    with an_emulator(now=lambda: clock[0]) as emulator:
        emulator.add(an_event(f"e-{n}", NOW - n) for n in range(20))
        first = ask(emulator, "DescribeEvents", StartTime=NOW - 60, EndTime=NOW)
        clock[0] += 1
        emulator.add([an_event("new", NOW)])

        rest = ask(emulator, "DescribeEvents", StartTime=NOW - 60, EndTime=NOW, NextToken=first["NextToken"])

    assert [event["EventId"] for event in first["Events"] + rest["Events"]] == [f"e-{n}" for n in range(20)]


def test_duplicates_are_the_same_event_under_another_index_time() -> None:
    with an_emulator(duplicate=1.0) as emulator:
        emulator.add(an_event(f"e-{n}", NOW - 100) for n in range(40))
        found = [event for page in pages(emulator) for event in page["Events"]]

    inner = [json.loads(event["CloudAuditEvent"]) for event in found]
    assert Counter(event["eventID"] for event in inner) == {f"e-{n}": 2 for n in range(40)}
    assert len({event["updateEsTime"] for event in inner}) == 80


def test_late_events_are_indexed_up_to_the_lateness_after_the_others() -> None:
    with an_emulator(late=0.5, lateness=30.0) as emulator:
        emulator.add(an_event(f"e-{n}", NOW - 100) for n in range(200))
        found = [json.loads(event["CloudAuditEvent"]) for page in pages(emulator) for event in page["Events"]]

    lags = [event["updateEsTime"] / 10**7 - event["eventTime"] for event in found]
    assert 60 < sum(lag > 0.1 for lag in lags) < 140
    assert max(lags) <= 30


def test_shuffled_pages_hold_the_events_of_quiet_ones() -> None:
    listed = [an_event(f"e-{n:02}", NOW - n) for n in range(40)]
    with an_emulator(shuffle=True, late=0.0) as emulator:
        emulator.add(listed)
        shuffled = [[event["EventId"] for event in page["Events"]] for page in pages(emulator, MaxResults=20)]

    quiet = [[f"e-{n:02}" for n in range(20)], [f"e-{n:02}" for n in range(20, 40)]]
    assert shuffled != quiet
    assert [sorted(page) for page in shuffled] == quiet


def test_the_same_seed_gives_the_same_misfortune() -> None:
    def run(seed: int) -> list[Any]:
        with an_emulator(shuffle=True, duplicate=0.3, seed=seed) as emulator:
            emulator.add(an_event(f"e-{n}", NOW - 200 - n) for n in range(40))
            return event_ids(emulator)

    assert run(1) == run(1) != run(2)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("RequestId", "r-1"),
        ("EventId", "wanted"),
        ("EventName", "RunInstances"),
        ("EventName", "Nothing, RunInstances"),
        ("ActionType", "Write"),
        ("ReadOnly", "false"),
        ("PrincipalId", "100000000077"),
        ("Username", "ann"),
        ("ResourceType", "vpc"),
        ("ResourceId", "ins-1"),
        ("ResourceName", "ins-1"),
        ("ResourceName", "instance/ins-1"),
        ("ResourceName", "instance/ins-1|volume/disk-2"),
        ("ResourceName", "disk-2"),
        ("AccessKeyId", "AKIDann"),
        ("SensitiveAction", "1"),
        ("ApiErrorCode", "ResourceNotFound"),
        ("CamErrorCode", "4102"),
        ("SourceIPAddress", "203.0.113.9"),
        ("Tags", '[{"key":"env","value":"*"}]'),
        ("EventPlatform", "1"),
        ("OnlyRecordNotSeen", "1"),
    ],
)
def test_each_lookup_attribute_finds_what_it_names(emulator: Emulator, key: str, value: str) -> None:
    emulator.add(
        [
            an_event("other"),
            an_event(
                "wanted",
                requestID="r-1",
                eventName="RunInstances",
                actionType="Write",
                resourceType="vpc",
                resourceName="instance/ins-1|volume/disk-2",
                sensitiveAction="1",
                apiErrorCode="ResourceNotFound",
                errorCode="4102",
                sourceIPAddress="203.0.113.9",
                tags=[{"key": "env", "value": "prod"}],
                eventPlatform="1",
                onlyRecordNotSeen="1",
                userIdentity={"principalId": "100000000077", "userName": "ann", "secretId": "AKIDann"},
            ),
        ]
    )

    assert event_ids(emulator, LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}]) == ["wanted"]


def test_a_lookup_attribute_without_a_value_does_not_filter(emulator: Emulator) -> None:
    emulator.add([an_event("any")])

    assert event_ids(emulator, LookupAttributes=[{"AttributeKey": "Username"}]) == ["any"]


def test_the_place_of_the_address_comes_only_when_asked_for(emulator: Emulator) -> None:
    emulator.add([an_event("a", sourceIPAddress="203.0.113.9")])

    (without,) = pages(emulator)
    (told,) = pages(emulator, IsReturnLocation=1)

    assert "Location" not in without["Events"][0]
    assert told["Events"][0].pop("Location") == "中国 江苏省 南京市 中国联通"
    assert told["Events"] == without["Events"]


def test_two_seconds_are_found_among_many_days_worth_of_events() -> None:
    with an_emulator() as emulator:
        emulator.add(an_event(f"e-{n}", NOW - 4 * n) for n in range(20_000))
        page = ask(emulator, "DescribeEvents", StartTime=NOW - 70_000, EndTime=NOW - 69_999, MaxResults=50)

    assert [event["EventTime"] for event in page["Events"]] == [str(NOW - 70_000)]
