"""What DescribeEvents and the protocol refuse, with the documented codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from engine.emulator import Emulator
from tests.emulator.calling import NOW, an_emulator, an_event, ask, refusal, refused, v1_form

DAY = 86_400


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with an_emulator() as running:
        running.add(an_event(f"e-{n}") for n in range(60))
        yield running


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"StartTime": None}, "InvalidParameter.Time"),
        ({"EndTime": None}, "InvalidParameter.Time"),
        ({"StartTime": "yesterday"}, "InvalidParameter.Time"),
        ({"StartTime": str(NOW)}, "InvalidParameter.Time"),
        ({"StartTime": NOW - 0.5}, "InvalidParameter.Time"),
        ({"StartTime": True}, "InvalidParameter.Time"),
        ({"StartTime": -1}, "InvalidParameter.Time"),
        ({"StartTime": NOW + 1}, "InvalidParameterValue.Time"),
        ({"StartTime": NOW - 30 * DAY}, "LimitExceeded.OverTime"),
        ({"StartTime": NOW - 90 * DAY - 1, "EndTime": NOW - 80 * DAY}, "LimitExceeded.OverTime"),
        ({"MaxResults": 51}, "InvalidParameterValue.MaxResult"),
        ({"MaxResults": 0}, "InvalidParameterValue.MaxResult"),
        ({"MaxResults": "10"}, "InvalidParameter"),
        ({"NextToken": "abc"}, "InvalidParameter"),
        ({"NextToken": 2**64}, "InvalidParameter"),
        ({"IsReturnLocation": 2}, "InvalidParameterValue"),
        ({"LookupAttributes": {"AttributeKey": "EventName"}}, "InvalidParameter"),
        ({"LookupAttributes": ["EventName"]}, "InvalidParameter"),
        ({"LookupAttributes": [{"AttributeValue": "x"}]}, "MissingParameter"),
        ({"LookupAttributes": [{"AttributeKey": "eventName"}]}, "InvalidParameterValue.attributeKey"),
        ({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": 1}]}, "InvalidParameter"),
        ({"LookupAttributes": [{"AttributeKey": "EventName", "Value": "x"}]}, "UnknownParameter"),
        ({"LookupAttributes": [{"AttributeKey": "Tags", "AttributeValue": "env"}]}, "InvalidParameterValue"),
        ({"MaxResult": 10}, "UnknownParameter"),
    ],
)
def test_a_broken_limit_has_its_documented_code(emulator: Emulator, changes: dict[str, Any], code: str) -> None:
    assert refused(emulator, "DescribeEvents", **{"StartTime": NOW - 60, "EndTime": NOW, **changes}) == code


@pytest.mark.parametrize(
    "changes",
    [
        {"StartTime": NOW - 30 * DAY + 1},
        {"StartTime": NOW - 90 * DAY, "EndTime": NOW - 70 * DAY},
        {"StartTime": NOW, "EndTime": NOW},
        {"EndTime": NOW + DAY},
        {"MaxResults": 50},
        {"NextToken": 2**64 - 1},
        {"NextToken": None, "LookupAttributes": []},
    ],
)
def test_what_is_just_within_the_limits_is_answered(emulator: Emulator, changes: dict[str, Any]) -> None:
    assert "Events" in ask(emulator, "DescribeEvents", **{"StartTime": NOW - 60, "EndTime": NOW, **changes})


def test_ten_events_are_the_default(emulator: Emulator) -> None:
    assert ask(emulator, "DescribeEvents", StartTime=NOW - 60, EndTime=NOW)["TotalCount"] == 10


def test_a_query_gives_lists_by_position_and_numbers_as_text(emulator: Emulator) -> None:
    query = v1_form(
        emulator.endpoint,
        "DescribeEvents",
        {
            "StartTime": NOW - 60,
            "EndTime": NOW,
            "MaxResults": 3,
            "LookupAttributes.0.AttributeKey": "EventName",
            "LookupAttributes.0.AttributeValue": "DescribeInstances",
            "LookupAttributes.10.AttributeKey": "EventId",
            "LookupAttributes.10.AttributeValue": "e-7",
            "LookupAttributes.2.AttributeKey": "ActionType",
            "LookupAttributes.2.AttributeValue": "Read",
        },
    )

    answer = httpx.get(f"{emulator.endpoint}/?{query}", trust_env=False, verify=False).json()["Response"]

    assert [event["EventId"] for event in answer["Events"]] == ["e-7"]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"A.B.C": "1"}, "UnknownParameter"),
        ({"A..B": "1"}, "UnknownParameter"),
        ({"LookupAttributes": "x", "LookupAttributes.0": "y"}, "InvalidParameter"),
        ({"MaxResults": "ten"}, "InvalidParameter"),
        ({"LookupAttributes.x.AttributeKey": "EventName"}, "InvalidParameter"),
    ],
)
def test_a_muddled_query_is_refused(emulator: Emulator, parameters: dict[str, str], code: str) -> None:
    window = {"StartTime": NOW - 60, "EndTime": NOW}
    query = v1_form(emulator.endpoint, "DescribeEvents", {**window, **parameters})

    assert refusal(httpx.get(f"{emulator.endpoint}/?{query}", trust_env=False, verify=False)) == code


def test_the_21st_request_of_an_action_within_a_second_is_refused() -> None:
    seconds = [0.0]
    with an_emulator(rate=20, monotonic=lambda: seconds[0]) as emulator:
        codes = [ask(emulator, "ListAudits").get("Error", {}).get("Code") for _ in range(21)]
        assert codes == [None] * 20 + ["RequestLimitExceeded"]

        assert "Error" not in ask(emulator, "InquireAuditCredit")  # each action has a rate of its own
        seconds[0] = 1.0
        assert "Error" not in ask(emulator, "ListAudits")

    assert emulator.requests == {"ListAudits": 22, "InquireAuditCredit": 1}
    assert emulator.outcomes == {"ok": 22, "RequestLimitExceeded": 1}
