"""What the index leaves out, and what it must not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from engine.event import Event, Record
from engine.expression import parse
from engine.kinds import kind, schema
from engine.matching import Matcher
from engine.matching.conditions import MAX_CONJUNCTIONS, may_raise, necessary
from engine.matching.index import Index

LISTS = {"sensitive": frozenset({"deleteuser", "createaccesskey"})}
TENCENT = kind("tencent.cloudaudit", redaction_key=b"k" * 32)
AWS = kind("aws.cloudtrail", redaction_key=b"k" * 32)


def an_event(a_kind: Any = TENCENT, **fields: Any) -> Event:
    base = {"eventName": "DeleteUser", "eventID": "1", "eventTime": 1_700_000_000, "userIdentity": {"accountId": "100"}}
    if a_kind is AWS:
        base["eventTime"] = "2023-01-01T00:00:00Z"
    event = a_kind.decode(Record(json.dumps({**base, **fields}).encode())).event
    assert isinstance(event, Event)
    return event


def asked(texts: Iterable[str], event: Event) -> list[str]:
    """The conditions that the index leaves to be decided."""
    texts = list(texts)
    matcher = Matcher((parse(text, lists=LISTS) for text in texts), event.kind)
    return [texts[number] for number in matcher.candidates(event.view)]


@pytest.mark.parametrize(
    "text",
    [
        "eventName == 'DeleteUser'",
        "'DeleteUser' == eventName",
        "norm.action == 'DeleteUser'",
        "lower(eventName) == 'deleteuser'",
        "in_list(eventName, 'sensitive')",
        "contains(['DeleteUser', 'Other'], eventName)",
        'contains(`["DeleteUser"]`, norm.action)',
        "eventName == 'Other' || eventName == 'DeleteUser'",
        "!(eventName != 'DeleteUser')",
        "!(eventName == 'Other')",
        "starts_with(eventName, 'Delete') && norm.outcome == 'ok'",
        "(eventName == 'Other' && errorCode == '1') || (eventName == 'DeleteUser' && errorCode == '0')",
        "eventName == norm.action",
        "length(keys(@)) > `3`",
    ],
)
def test_a_rule_that_matches_is_asked(text: str) -> None:
    assert asked([text], an_event()) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "eventName == 'Other'",
        "in_list(norm.action, 'sensitive') && norm.outcome != 'ok'",
        "eventName == 'DeleteUser' && errorCode != '0'",
        "norm.outcome == 'denied'",
        "!(norm.outcome == 'ok')",
        "starts_with(eventName, 'Create')",
        "contains(eventName, 'Policy') || eventName == 'Create'",
        "sensitiveAction == `true`",
        "requestParameters.Port == '22'",
        "userIdentity.sessionContext.mfa == `false`",
        "(eventName == 'Other' && errorCode == '0') || (eventName == 'DeleteUser' && errorCode == '1')",
    ],
)
def test_a_rule_with_a_test_that_fails_is_not(text: str) -> None:
    assert asked([text], an_event()) == []


def test_a_rule_that_may_break_before_its_test_is_asked() -> None:
    text = "starts_with(userAgent, 'a') && eventName == 'Other'"

    assert asked([text], an_event(AWS, userAgent=5)) == [text]


def test_a_test_behind_what_cannot_break_counts() -> None:
    # CloudAudit's userAgent is a text or absent, whatever the record holds: the kind promises it.
    text = "starts_with(userAgent, 'a') && eventName == 'Other'"

    assert asked([text], an_event(userAgent=5)) == []


def test_a_value_of_another_type_is_the_rules_business() -> None:
    text = "contains(requestParameters.Port, '22')"

    assert asked([text], an_event(requestParameters={"Port": {"a": 1}})) == [text]


def test_candidates_come_in_the_order_of_the_rules_and_once() -> None:
    texts = [
        "errorCode == '0' || eventName == 'DeleteUser'",
        "eventName == 'Other'",
        "eventName == 'DeleteUser'",
        "`1`",
    ]

    assert asked(texts, an_event()) == [texts[0], texts[2], texts[3]]


def test_true_is_not_one() -> None:
    texts = ["requestParameters.x == `1`", "requestParameters.x == `true`"]

    assert texts[1] in asked(texts, an_event(requestParameters={"x": True}))
    assert texts[0] in asked(texts, an_event(requestParameters={"x": 1}))


def test_only_so_many_conjunctions_are_made_of_a_rule() -> None:
    either = " && ".join(f"(a{n} == 'x' || b{n} == 'x')" for n in range(8))

    assert len(necessary(parse(either, lists={}), {})) <= MAX_CONJUNCTIONS


def test_names_that_nobody_asks_for_do_not_fill_the_memory() -> None:
    known = schema("tencent.cloudaudit")
    conditions = [necessary(parse("eventName == 'A'", lists={}), known.types)]
    index = Index(conditions, known)

    for number in range(10_000):
        index.candidates(an_event(eventName=f"n{number}").view)

    arrangement = index.candidates.__closure__  # the tables that the generated function looks into
    tables = [cell.cell_contents for cell in arrangement or () if isinstance(cell.cell_contents, dict)]
    assert any("n9999" in table for table in tables)
    assert max(map(len, tables)) <= 4_096


@pytest.mark.parametrize(
    ("text", "raises"),
    [
        ("eventName == 'x'", False),
        ("lower(eventName) == 'x'", False),
        ("eventTime > `5`", False),
        ("eventName > `5`", True),
        ("requestParameters.x > `5`", True),
        ("contains(requestParameters.x, 'a')", True),
        ("contains(eventName, 'a')", False),
        ("in_list(eventName, 'sensitive')", False),
        ("in_list(requestParameters.x, 'sensitive')", True),
        ("matches(to_string(requestParameters), 'a')", False),
        ("sort(resources)", True),
        ("in_cidr(norm.ip, ['10.0.0.0/8'])", False),
        ("matches(eventName, userAgent)", True),
    ],
)
def test_what_may_raise_is_told_from_the_types_that_the_kind_promises(text: str, raises: bool) -> None:
    expression = parse(text, lists=LISTS)

    assert may_raise(expression.tree, schema("tencent.cloudaudit").types) is raises


def test_lower_case_folds_to_what_the_text_folds_to() -> None:
    # The index looks a rule's `lower(path) == 'x'` up under the folded text, so this must hold of every text.
    assert [c for c in map(chr, range(sys.maxunicode + 1)) if c.lower().casefold() != c.casefold()] == []
    assert "ΟΔΟΣ".lower().casefold() == "ΟΔΟΣ".casefold()  # the final sigma has a lower case of its own
