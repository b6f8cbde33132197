"""Why a rule fires on an event or does not, and the least change that turns the answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Place
from engine.explanation import ABSENT, explain, least_changes, why
from engine.explanation.change import answer
from engine.expression import parse, parse_template
from engine.rule import Exception_, Rule, Severity, Status

TODAY = date(2027, 1, 1)
LISTS = {"calls": frozenset({"stop", "start"})}


def rule(match: str, *unless: str) -> Rule:
    exceptions = tuple(
        Exception_(parse(text, lists=LISTS), "known good", "ann", None, Place("r.yaml")) for text in unless
    )
    return Rule(
        id="mine.rule",
        title=parse_template("t", lists={}),
        severity=Severity.HIGH,
        status=Status.STABLE,
        kind="tencent.cloudaudit",
        description="d",
        match=parse(match, lists=LISTS),
        place=Place("r.yaml"),
        version="1",
        unless=exceptions,
    )


def changes(match: str, fields: Mapping[str, Any], *unless: str) -> list[list[tuple[str, Any, Any]]]:
    found = least_changes(rule(match, *unless), dict(fields), TODAY)
    return [[(change.field, change.value, change.wanted) for change in together] for together in found]


# --- the least change -------------------------------------------------------------------------------------------------


def test_the_one_field_that_stands_in_the_way_is_named() -> None:
    assert changes("eventName == 'A' && errorCode == '0'", {"eventName": "A", "errorCode": "4102"}) == [
        [("errorCode", "4102", "0")]
    ]


def test_two_fields_are_named_only_when_one_is_not_enough() -> None:
    assert changes("eventName == 'A' && errorCode == '0'", {"eventName": "B", "errorCode": "1"}) == [
        [("eventName", "B", "A"), ("errorCode", "1", "0")]
    ]


def test_of_alternatives_the_cheaper_one_is_taken() -> None:
    match = "(a == '1' && b == '2') || c == '3'"

    assert changes(match, {"a": "x", "b": "y", "c": "z"}) == [[("c", "z", "3")]]


def test_what_would_silence_a_match_is_named() -> None:
    assert changes("norm.outcome == 'ok'", {"norm": {"outcome": "ok"}}) == [[("norm.outcome", "ok", "denied")]]


def test_a_closed_field_gets_no_value_that_it_never_has() -> None:
    assert changes("norm.outcome == 'nonsense'", {"norm": {"outcome": "ok"}}) == []


def test_what_would_lift_an_exception_is_named() -> None:
    assert changes("a == '1'", {"a": "1", "ip": "10.0.0.1"}, "in_cidr(ip, '10.0.0.0/8')") == [
        [("ip", "10.0.0.1", "other")]
    ]


def test_what_would_make_a_broken_rule_decidable_is_named() -> None:
    assert changes("starts_with(a, 'x')", {"a": 5}) == [[("a", 5, "x")]]


@pytest.mark.parametrize(
    ("match", "wanted"),
    [
        ("lower(a) == 'x'", "x"),
        ("in_list(a, 'calls')", "start"),
        ("in_cidr(a, '10.1.0.0/16')", "10.1.0.0"),
        ("starts_with(a, 'pre')", "pre"),
        ("a > `5`", 6),
        ("a <= `5`", 5),
        ("length(to_array(a)) >= `3`", ["1", "2", "3"]),
        ("to_number(to_string(a)) > `7`", 8),
        ("contains(['p', 'q'], a)", "p"),
        ("contains(a, 'mid')", "mid"),
        ("matches(a, '(?i)^kali-[0-9]*')", "kali-"),
        ("type(a) == 'object'", {"1": "1"}),
        ("a", "1"),
        ("a.b.c == 'x'", "x"),
        ("a == b", "bee"),
    ],
)
def test_values_are_read_off_the_condition(match: str, wanted: Any) -> None:
    ((found,),) = changes(match, {"b": "bee"})[:1]

    assert found[1:] == (ABSENT, wanted)


def test_a_condition_that_nothing_turns_says_so() -> None:
    assert changes("a == '1' && a == '2'", {"a": "1"}) == []


def test_a_list_of_objects_is_beyond_it() -> None:
    assert changes("rules[?port == '22']", {"rules": [{"port": "80"}]}) == []


names = st.sampled_from(["a", "b", "norm.outcome", "c.d"])
atoms = (
    st.tuples(names, st.sampled_from(["==", "!="]), st.sampled_from(["'x'", "'1'", "`true`", "'ok'", "`2`"])).map(
        " ".join
    )
    | names
)
conditions = st.recursive(
    atoms | names.map(lambda name: f"starts_with({name}, 'x')") | names.map(lambda name: f"in_list({name}, 'calls')"),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
        | inner.map(lambda text: f"!({text})")
    ),
    max_leaves=5,
)
events = st.fixed_dictionaries(
    {"norm": st.fixed_dictionaries({"outcome": st.sampled_from(["ok", "denied", "failed"])})},
    optional={
        "a": st.sampled_from(["x", "1", 2, True, None, []]),
        "b": st.sampled_from(["x", "stop", 2]),
        "c": st.sampled_from(["text", {}, {"d": "x"}, {"d": True}]),
    },
)


def applied(fields: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    name, rest = path[0], path[1:]
    if not rest:
        return {key: kept for key, kept in fields.items() if key != name} | ({} if value is ABSENT else {name: value})
    below = fields.get(name)
    return fields | {name: applied(below if isinstance(below, dict) else {}, rest, value)}


@settings(max_examples=200, deadline=None)
@given(conditions, conditions, events)
def test_what_is_said_to_turn_the_answer_turns_it_and_takes_no_field_too_many(
    match: str, unless: str, fields: dict[str, Any]
) -> None:
    asked = rule(match, unless)
    given_answer = answer(asked, fields, TODAY)

    for together in least_changes(asked, fields, TODAY):
        changed = fields
        for change in together:
            before = changed
            changed = applied(changed, change.path, change.wanted)
            assert changed != before
        now = answer(asked, changed, TODAY)
        assert now == "alert" if given_answer in {"nothing", "excepted"} else now not in {given_answer, "fault"}
        for left_out in together:  # each of them is needed
            fewer = fields
            for change in together:
                if change is not left_out:
                    fewer = applied(fewer, change.path, change.wanted)
            still = answer(asked, fewer, TODAY)
            assert still != "alert" if given_answer in {"nothing", "excepted"} else still in {given_answer, "fault"}


@settings(max_examples=200, deadline=None)
@given(conditions, events)
def test_the_explained_answer_is_the_answer(match: str, fields: dict[str, Any]) -> None:
    asked = rule(match)

    assert explain(asked, fields, TODAY).answer == answer(asked, fields, TODAY)


# --- the lines kept with an alert -------------------------------------------------------------------------------------


def test_an_alert_keeps_the_parts_that_decided_with_their_values() -> None:
    match = "lower(eventName) == 'stop' && (a.b == '1' || a.b == '2') && !(ip && in_cidr(ip, '10.0.0.0/8'))"

    assert why(rule(match), {"eventName": "Stop", "a": {"b": "2"}, "ip": "8.8.8.8"}) == (
        "lower(eventName) == 'stop': eventName is \"Stop\"",
        "a.b == '2': a.b is \"2\"",
        "!(ip && in_cidr(ip, '10.0.0.0/8')): ip is \"8.8.8.8\"",
    )


def test_lines_and_values_are_cut() -> None:
    match = " && ".join(f"a{number} != 'x'" for number in range(15))

    lines = why(rule(match), {f"a{number}": "y" * 500 for number in range(15)})

    assert (len(lines), lines[-1], len(lines[0])) == (10, "… and 6 more", len("a0 != 'x': a0 is ") + 80)


def test_control_characters_of_an_event_are_escaped_in_the_lines() -> None:
    assert why(rule("a"), {"a": "\x1b[31m\n"}) == ('a: a is "\\u001b[31m\\n"',)
