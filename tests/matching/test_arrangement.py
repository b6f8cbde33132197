"""What the index has learned changes what it costs, and not what it finds."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest

from engine.event import Record
from engine.expression import parse
from engine.kinds import kind
from engine.matching import Matcher, index

LESSONS = 5
BASE = {
    "eventName": "DeleteUser", "eventID": "1", "eventTime": 1_700_000_000, "errorCode": "0", "apiErrorCode": 0,
    "userAgent": "curl", "sourceIPAddress": "10.0.0.1", "eventPlatform": "0", "requestParameters": "{}",
    "userIdentity": {"accountId": "100", "type": "CAMUser", "principalId": "7", "userName": "ann"},
}  # fmt: skip


def record(**fields: Any) -> bytes:
    return json.dumps({**BASE, **fields}).encode()


class Asked:
    """A matcher that has learned from a few plain events, asked of others with a kind of their own."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts
        self._kind = kind("tencent.cloudaudit", redaction_key=b"k" * 32)
        self._matcher = Matcher((parse(text, lists={}) for text in texts), self._kind.name)
        with patch.object(index, "LESSONS", LESSONS):
            for _ in range(2 * LESSONS):
                self(record())

    def __call__(self, raw: bytes) -> list[str]:
        event = self._kind.decode(Record(raw)).event
        assert event is not None
        return [self._texts[number] for number in self._matcher.candidates(event.view)]


PARAMETER = "requestParameters.Port == '22'"


@pytest.mark.parametrize(
    "text",
    [
        '{"Port": "22"}',
        '{"\\u0050ort": "22"}',
        '{"P\\u006frt": "\\u0032\\u0032"}',
        '{"Port": "1", "Port": "22"}',
        ' {"Port":"22"} ',
        '"{\\"Port\\": \\"22\\"}"',
        "%7B%22Port%22%3A%2222%22%7D",
        "%7B%22\\u0050ort%22%3A%2222%22%7D",
    ],
)
def test_no_way_of_writing_a_parameter_slips_past(text: str) -> None:
    asked = Asked(PARAMETER, "eventName == 'Other'")

    assert asked(record(requestParameters=text)) == [PARAMETER]


@pytest.mark.parametrize("value", [{"Port": "22"}, {"Port": "22", "x": None}])
def test_parameters_that_are_no_text_are_read_too(value: Any) -> None:
    assert Asked(PARAMETER)(record(requestParameters=value)) == [PARAMETER]


def test_where_the_inner_event_is_silent_the_outer_one_speaks() -> None:
    text = "sourceIPAddress == '1.2.3.4' && userIdentity.userName == 'bob'"
    asked = Asked(text)
    inner = {**BASE, "sourceIPAddress": "", "userIdentity": {"accountId": "100", "type": "CAMUser"}}
    for address, name, found in (("1.2.3.4", "bob", [text]), ("1.2.3.5", "bob", []), ("1.2.3.4", "eve", [])) * 2:
        outer = {"SourceIPAddress": address, "Username": name, "AccountID": 100, "CloudAuditEvent": json.dumps(inner)}
        assert asked(json.dumps(outer).encode()) == found


def test_that_a_rule_may_break_is_seen_behind_a_test_that_fails() -> None:
    text = "length(requestParameters.Ids) > `3` && userAgent == 'nobody'"
    asked = Asked(text)

    assert asked(record(requestParameters='{"Ids": ["a"]}')) == []
    assert asked(record(requestParameters='{"Ids": 5}')) == [text]
    assert asked(record(requestParameters='{"Ids": ["a", "b", "c", "d"]}')) == []
    assert asked(record(requestParameters='{"Ids": ["a", "b", "c", "d"]}', userAgent="nobody")) == [text]


@pytest.mark.parametrize(
    "text",
    [
        '{"Ids": ["a"], "Ids": 5}',
        '{"x": {"Ids": ["a"]}, "Ids": 5}',
        '{"Ids": 5, "x": {"Ids": ["a"]}}',
        '{"x": "\\"Ids\\": [", "Ids": 5}',
        '{"\\u0049ds": 5, "x": {"Ids": ["a"]}}',
        '{"Ids" : 5, "x": {"Ids": ["a"]}}',
        '{"x": ["Ids", [1]], "Ids": 5}',
        '{"x": "Ids", "Ids": 5}',
    ],
)
def test_a_quick_look_at_a_list_does_not_take_another_value_for_one(text: str) -> None:
    breaks = "length(requestParameters.Ids) > `3` && userAgent == 'nobody'"
    asked = Asked(breaks)

    assert [asked(record(requestParameters=text)) for _ in range(3)] == [[breaks]] * 3


def test_a_list_is_known_to_be_one_without_decoding_it() -> None:
    long, breaks = "length(requestParameters.Ids) > `3`", "starts_with(requestParameters.Ids, 'a')"
    asked = Asked(long, breaks, f"{long} && userAgent == 'nobody'")
    event = asked._kind.decode(Record(record(requestParameters='{"Ids": ["a"], "x": 1}'))).event
    assert event is not None
    assert event.seen is not None

    assert [asked._texts[number] for number in asked._matcher.candidates(event.seen)] == [long, breaks]
    assert not any(path.startswith("requestParameters") for path in event.view)
    assert asked(record(requestParameters='{"x": {"Ids": ["a"]}}')) == [long, breaks]  # or it lies deeper


def test_odd_types_step_aside_and_nothing_is_lost() -> None:
    texts = ("contains(to_string(userAgent), 'curl')", "userIdentity.text == 'x'", "errorCode != '0'")
    asked = Asked(*texts)

    assert asked(record(userAgent=["curl"])) == [texts[0]]
    assert asked(record(userIdentity="x", userAgent="")) == [texts[1]]
    assert asked(record(errorCode={"a": 1})) == [texts[0], texts[2]]
    assert asked(record(errorCode=False)) == [texts[0]]


def test_two_kinds_that_share_a_matcher_do_not_disturb_each_other() -> None:
    text = "userAgent == 'curl'"
    asked = Asked(text)
    asked._kind = kind("tencent.cloudaudit", redaction_key=b"x" * 32)  # its structs hold nothing yet

    assert [asked(record()), asked(record(userAgent="x")), asked(record())] == [[text], [], [text]]


@pytest.mark.parametrize("many", [1, 1000])
def test_many_tests_on_one_path_are_looked_up_by_bits_with_the_same_result(many: int) -> None:
    texts = [f"eventName == 'DeleteUser' && userIdentity.userName == 'u{number}'" for number in range(40)]
    texts += [f"eventName == 'DeleteUser' && userIdentity.userName != 'u{number}'" for number in range(0, 40, 7)]
    several = (
        "eventName == 'DeleteUser' && starts_with(userIdentity.userName, 'u') && ends_with(userIdentity.userName, '3')"
    )
    with patch("engine.matching.arrangement._MANY", many):
        asked = Asked(*texts, several)
        for name in ("u3", "u33", "u7", "x3", "nobody"):
            who = {**BASE["userIdentity"], "userName": name}  # type: ignore[dict-item]
            wanted = [text for text in [*texts, several] if parse(text, lists={}).holds({**BASE, "userIdentity": who})]
            assert asked(record(userIdentity=who)) == wanted


def test_masks_are_forgotten_before_they_fill_the_memory() -> None:
    text = "eventName == 'DeleteUser' && userAgent == 'curl' && sourceIPAddress != '10.0.0.1'"
    with patch("engine.matching.arrangement._MAX_ALL_MASKS", 3):
        asked = Asked(text, "eventName == 'DeleteUser' && contains(userAgent, 'x')")
        for number in range(50):
            agent = "curl" if number % 2 else f"x{number}"
            found = asked(record(userAgent=agent, sourceIPAddress=f"10.0.0.{number % 3}"))
            assert (text in found) is (agent == "curl" and number % 3 != 1)


@pytest.mark.parametrize("name", ["inner", "identity", "text_of_requestParameters", "more"])
def test_a_parameter_may_be_called_like_a_variable_of_the_generated_code(name: str) -> None:
    text = f"eventName == 'X' && requestParameters.{name} == 'z'"
    asked = Asked(text)
    seen = [
        asked(record(eventName="X", requestParameters=json.dumps(value))) for value in ({}, {}, {}, {name: "z"}) * 2
    ]

    assert seen == [[], [], [], [text]] * 2


def test_a_member_of_a_cloudtrail_record_may_be_called_so_too() -> None:
    text = "eventName == 'X' && requestParameters.record == 'z'"
    cloudtrail = kind("aws.cloudtrail", redaction_key=b"k" * 32)
    matcher = Matcher([parse(text, lists={})], cloudtrail.name)
    base = {"eventID": "1", "eventTime": "2023-01-01T00:00:00Z", "recipientAccountId": "1", "eventName": "Y"}
    found = []
    with patch.object(index, "LESSONS", LESSONS):
        for value in [None] * 2 * LESSONS + ["q", "q", "q", "z", "q", "z"]:
            more = {} if value is None else {"eventName": "X", "requestParameters": {"record": value}}
            event = cloudtrail.decode(Record(json.dumps({**base, **more}).encode())).event
            assert event is not None
            found.append(len(matcher.candidates(event.view)))

    assert found[-6:] == [0, 0, 0, 1, 0, 1]


def test_a_number_that_no_struct_can_hold_is_read_otherwise() -> None:
    text = "eventName == 'X' && userAgent == 'z'"
    asked = Asked(text)
    odd = record(eventName="X", userAgent="ODD").replace(b'"ODD"', b"1e999")

    assert [asked(odd), asked(record(eventName="X", userAgent="z")), asked(odd)] == [[], [text], []]


def test_what_came_of_events_is_forgotten_as_a_whole() -> None:
    names = [f"eventName == 'DeleteUser' && userIdentity.userName == 'user-{number}'" for number in range(300)]
    with patch("engine.matching.arrangement._MAX_ALL_MASKS", 50):
        asked = Asked(*names)
        for number in range(2000):
            asked(record(userIdentity={**BASE["userIdentity"], "userName": f"user-{number}"}))  # type: ignore[dict-item]
        arrangement = next(
            cell.cell_contents.__self__
            for cell in asked._matcher._index.candidates.__closure__  # type: ignore[union-attr]
            if hasattr(cell.cell_contents, "__self__") and hasattr(cell.cell_contents.__self__, "slowly")
        )
    held = [
        masks for groups in arrangement._folded.values() for group in groups for _, _, masks in arrangement.steps(group)
    ]

    assert held
    assert sum(len(masks) + sum(len(known) for _, known in masks._parts) for masks in held) <= 2 * 50
