"""The clock, the endpoint, the pace, the form of a GET, and what tracking sets cover."""

from __future__ import annotations

import time
from typing import Any

import pytest

from engine.cloudaudit.answers import Filters, ResourceField, Track
from engine.cloudaudit.clock import Clock
from engine.cloudaudit.coverage import coverage
from engine.cloudaudit.endpoint import Site, is_clear_text, url
from engine.cloudaudit.form import flatten
from engine.cloudaudit.pace import Pace

NOW = 1_700_000_000.0
DATE = "Tue, 14 Nov 2023 22:20:23 GMT"  # 423 s later

# The clock


def test_the_difference_is_measured_between_sending_and_receiving() -> None:
    clock = Clock(lambda: NOW)
    clock.measure(DATE, sent=NOW - 1, received=NOW + 1)

    assert clock.skew == 423.5  # Date's second was half over, on average
    assert clock.now() == NOW


@pytest.mark.parametrize("date", [None, "", "yesterday", "Tue, 99 Nov 2023 22:20:23 GMT"])
def test_a_date_that_is_none_teaches_nothing(date: str | None) -> None:
    clock = Clock(lambda: NOW)
    clock.measure(date, sent=NOW, received=NOW)

    assert clock.skew is None
    assert not clock.correct()


def test_a_correction_that_changes_nothing_is_not_made_again() -> None:
    clock = Clock(lambda: NOW)
    clock.measure(DATE, sent=NOW, received=NOW)

    assert clock.correct()
    assert not clock.correct()
    assert clock.now() == NOW + 423.5


@pytest.mark.parametrize(
    ("skew", "text"),
    [
        (423, "this machine's clock is 7 min 3 s behind Tencent's"),
        (-30, "this machine's clock is 30 s ahead of Tencent's"),
        (86_400 * 2 + 3600, "this machine's clock is 2 d 1 h behind Tencent's"),
        (0.4, "this machine's clock agrees with Tencent's"),
        (None, "how far this machine's clock is off is not known: the answer has no Date"),
    ],
)
def test_the_difference_is_said_in_words(skew: float | None, text: str) -> None:
    clock = Clock()
    clock.skew = skew

    assert clock.describe() == text


# The endpoint


@pytest.mark.parametrize(
    ("site", "endpoint", "expected"),
    [
        ("cn", None, "https://cloudaudit.tencentcloudapi.com"),
        ("intl", None, "https://cloudaudit.intl.tencentcloudapi.com"),
        ("cn", "", "https://cloudaudit.tencentcloudapi.com"),
        (
            "cn",
            "cloudaudit.ap-shanghai-fsi.tencentcloudapi.com",
            "https://cloudaudit.ap-shanghai-fsi.tencentcloudapi.com",
        ),
        ("intl", "http://127.0.0.1:9999/", "http://127.0.0.1:9999"),
        ("cn", "http://[::1]:80", "http://[::1]:80"),
        ("cn", "https://emulator", "https://emulator"),
    ],
)
def test_the_endpoint_is_the_sites_or_the_one_named(site: Site, endpoint: str | None, expected: str) -> None:
    assert url("cloudaudit", site=site, endpoint=endpoint) == expected


@pytest.mark.parametrize(
    "endpoint",
    [
        "ftp://host",
        "http://",
        "https://user:pw@host",
        "https://host/path",
        "https://host?q=1",
        "https://host#f",
        "http://host:99999",
        "http://host:0",
        "http://ho st",
        "http://a..b",
        "//",
        "http://[::1",
    ],
)
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError):
        url("cloudaudit", endpoint=endpoint)


@pytest.mark.parametrize(
    ("base", "clear"),
    [
        ("https://203.0.113.7", False),
        ("http://127.0.0.1:9", False),
        ("http://[::1]:9", False),
        ("http://localhost:9", False),
        ("http://203.0.113.7", True),
        ("http://emulator:9", True),
    ],
)
def test_clear_text_is_http_to_another_machine(base: str, clear: bool) -> None:
    assert is_clear_text(base) is clear


# The pace


def test_no_second_sees_more_than_its_share_of_one_action() -> None:
    pace = Pace(per_second=5)
    began, ended = [], []
    for _ in range(11):
        with pace.turn("DescribeEvents"):
            began.append(time.monotonic())
            time.sleep(0.01)
            ended.append(time.monotonic())

    # Wherever within its exchange the server counts a request, the fifth after it is a second later.
    assert min(later - earlier for earlier, later in zip(ended, began[5:], strict=False)) >= 1
    assert began[10] - began[0] < 4


def test_an_exchange_that_fails_gives_its_token_back() -> None:
    pace = Pace(per_second=1)
    with pytest.raises(ZeroDivisionError), pace.turn("A"):
        raise ZeroDivisionError
    with pace.turn("A"):
        pass


def test_actions_do_not_wait_for_one_another() -> None:
    pace = Pace(per_second=1)
    began = time.monotonic()
    for action in ("A", "B", "C", "D"):
        with pace.turn(action):
            pass

    assert time.monotonic() - began < 0.9


# The form of a GET


def test_nested_parameters_become_dotted_names() -> None:
    flat = flatten(
        {
            "StartTime": 1,
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "x"}],
            "EventNames": ("a", "b"),
            "Storage": {"StorageType": "cos", "Compress": None},
        }
    )

    assert flat == {
        "StartTime": "1",
        "LookupAttributes.0.AttributeKey": "EventName",
        "LookupAttributes.0.AttributeValue": "x",
        "EventNames.0": "a",
        "EventNames.1": "b",
        "Storage.StorageType": "cos",
    }


# Coverage


def a_track(**fields: Any) -> Track:
    return Track(
        **{
            "name": "all",
            "status": 1,
            "action_type": "*",
            "resource_type": "*",
            "event_names": ("*",),
            **fields,
        }
    )


def filtered(*fields: ResourceField, status: int = 1) -> Track:
    return Track(name="many", status=status, filters=Filters(resource_fields=fields))


@pytest.mark.parametrize(
    "track",
    [
        a_track(),
        a_track(action_type="Write"),
        filtered(ResourceField(resource_type="*", action_type="Write", event_names=("*",))),
    ],
)
def test_a_set_that_takes_every_write_of_every_product_covers(track: Track) -> None:
    found = coverage([a_track(name="some", resource_type="cvm"), track])

    assert found.covered
    assert found.by == (track.name,)


@pytest.mark.parametrize(
    ("tracks", "reason"),
    [
        ([], "there is no tracking set: events are kept nowhere but in CloudAudit, for 90 days"),
        ([a_track(status=0)], "tracking set all would deliver every write event, but is switched off"),
        ([a_track(status=None)], "tracking set all would deliver every write event, but is switched off"),
        ([a_track(action_type="Read")], "no tracking set delivers every write event; all deliver some"),
        ([a_track(resource_type="cam")], "no tracking set delivers every write event; all deliver some"),
        ([a_track(event_names=("RunInstances",))], "no tracking set delivers every write event; all deliver some"),
        (
            [a_track(resource_type="cam", status=0, name=None, track_id=7)],
            "every tracking set is switched off: number 7",
        ),
        (
            [filtered(ResourceField(resource_type="cam", action_type="*", event_names=("*",)))],
            "no tracking set delivers every write event; many deliver some",
        ),
    ],
)
def test_what_does_not_cover_is_said_with_the_reason(tracks: list[Track], reason: str) -> None:
    found = coverage(tracks)

    assert (found.covered, found.reason) == (False, reason)
