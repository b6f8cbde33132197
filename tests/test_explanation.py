"""Why a rule fires on an event or does not, and the least change that turns the answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EvaluationError, Place
from engine.explanation import ABSENT, Part, explain, explain_expression, least_changes, why
from engine.explanation.change import answer
from engine.expression import Interpreter, parse, parse_template, truth
from engine.expression import part as part_of
from engine.functions import Functions
from engine.kinds import NORM_FIELDS, computed_from, kind
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
        [("ip", "10.0.0.1", "198.51.100.1")]
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


@pytest.mark.parametrize(
    ("match", "fields", "first"),
    [
        ("rules[?port == '22']", {"rules": [{"port": "80"}]}, [("rules[0].port", "80", "22")]),
        ("rules[?port == '22']", {}, [("rules", ABSENT, [{"port": "22"}])]),
        ("rules[?port == '22']", {"rules": [{"port": "22"}]}, [("rules[0].port", "22", "other")]),
        ("rules[?a == '1' && b]", {"rules": [{}, {"a": "1"}]}, [("rules[1].b", ABSENT, "1")]),
        (
            "length(rules[?port == '22']) > `1`",
            {"rules": [{"port": "22"}]},
            [("rules", [{"port": "22"}], [{"port": "22"}, {"port": "22"}])],
        ),
        ("contains(tags[].Key, 'x')", {"tags": [{"Key": "y"}]}, [("tags[0].Key", "y", "x")]),
        ("rules[0].port == '22'", {}, [("rules[0].port", ABSENT, "22")]),
        ("a[?b].c | contains(@, 'y')", {}, [("a", ABSENT, [{"c": "y", "b": "1"}])]),
        ("p.*.x", {}, [("p", ABSENT, {"1": {"x": "1"}})]),
        ("starts_with(a, 'pre') && ends_with(a, 'post')", {}, [("a", ABSENT, "prepost")]),
        ("matches(a, '^(foo|bar)-[0-9]{2,}$')", {"a": "x"}, [("a", "x", "foo-00")]),
        ("glob(a, 'arn:*:[!a-x]?')", {"a": "x"}, [("a", "x", "arn::0x")]),
        ("to_number(a) > `5`", {"a": "3"}, [("a", "3", "6")]),
        ("length(a) > `3`", {"a": "xx"}, [("a", "xx", "xxxx")]),
        ("contains(keys(a), 'X')", {"a": {"Y": "1"}}, [("a", {"Y": "1"}, {"Y": "1", "X": "1"})]),
        ("json(a).b == 'x'", {"a": "{}"}, [("a", "{}", '{"b": "x"}')]),
        ("join(',', a) == 'x,y'", {}, [("a", ABSENT, ["x", "y"])]),
        ("in_cidr(a, '10.0.0.0/8')", {"a": "10.1.1.1"}, [("a", "10.1.1.1", "198.51.100.1")]),
        ("userAgent != 'x'", {"userAgent": "x"}, [("userAgent", "x", "other")]),
        ("norm.mfa", {"norm": {"mfa": False}}, [("norm.mfa", False, True)]),
        ("starts_with(norm.mfa, 'x') || b", {"norm": {"mfa": True}}, [("norm.mfa", True, ABSENT)]),
        ("a.b == 'x'", {"a": "text"}, [("a", "text", {"b": "x"})]),  # what stands in the way is replaced
        ("a.b[0].c == 'x'", {"a": {"b": {"d": "1"}}}, [("a.b", {"d": "1"}, [{"c": "x"}])]),
        ("a.b == 'x' && a.c == 'y'", {"a": ["text"]}, [("a", ["text"], {"b": "x", "c": "y"})]),
        ("a[1] == 'x'", {}, [("a", ABSENT, ["1", "x"])]),
        ("a[2].b == 'x'", {"a": [{"b": "y"}]}, [("a", [{"b": "y"}], [{"b": "y"}, {}, {"b": "x"}])]),
        ("a[?!b]", {"a": []}, [("a", [], [{}])]),
        ("a > 'm'", {}, [("a", ABSENT, "m0")]),
        ("a < 'm'", {"a": "z"}, [("a", "z", "")]),
        ("ceil(a) == `2`", {"a": 5}, [("a", 5, 2)]),
        ("max(a) > `2`", {"a": [1]}, [("a", [1], [1, 3])]),
        ("sum(a) >= `2`", {}, [("a", ABSENT, [2])]),
        ("max_by(a, &b).b == `2`", {}, [("a", ABSENT, [{"b": 2}])]),
        ("contains(map(&b, a), 'x')", {"a": [{"b": "y"}]}, [("a[0].b", "y", "x")]),
        ("contains(map(&to_string(@), a.[b, c]), 'false')", {"a": {"b": True}}, [("a.b", True, "false")]),
        ("a[*].[b, c] | [?[1] == 'x']", {}, [("a", ABSENT, [{"b": "1", "c": "x"}])]),
        ("a[?b].{p: c, q: d} | [?p == 'x' && q]", {}, [("a", ABSENT, [{"c": "x", "d": "1", "b": "1"}])]),
        ("{p: a, q: b}.q == 'x'", {}, [("b", ABSENT, "x")]),
        ("to_number(eventName) > `5`", {}, [("eventName", ABSENT, "6")]),  # which is a text in every event
        ("length(eventName) > `2`", {}, [("eventName", ABSENT, "xxx")]),
        ("type(a) == 'object' && !(values(a)[?@ == '1'])", {}, [("a", ABSENT, {})]),
    ],
)
def test_the_change_that_is_named_first(
    match: str, fields: Mapping[str, Any], first: list[tuple[str, Any, Any]]
) -> None:
    assert changes(match, fields)[0] == first


def test_more_fields_than_can_be_tried_in_all_ways_are_found_together() -> None:
    match = " && ".join(f"a{number} == '{number}'" for number in range(9))

    (found,) = changes(match, {"a3": "3", "a4": "x"})

    assert [field for field, _, _ in found] == ["a0", "a1", "a2", "a4", "a5", "a6", "a7", "a8"]


def test_a_match_and_an_exception_that_both_stand_in_the_way_are_changed_together() -> None:
    match = "a == '1' && b == '2' && c == '3'"

    assert changes(match, {"d": "4"}, "d == '4'") == [
        [("a", ABSENT, "1"), ("b", ABSENT, "2"), ("c", ABSENT, "3"), ("d", "4", "other")]
    ]


def test_a_field_gets_no_value_of_a_type_that_it_never_has() -> None:
    assert changes("norm.mfa == 'x' || length(resources) > `1`", {"norm": {"mfa": True}}) == [
        [("resources", ABSENT, ["1", "2"])]
    ]


def test_what_cannot_be_turned_round_says_so() -> None:
    assert changes("max_by(a, &b).c == 'x'", {}) == []


names = st.sampled_from(["a", "b", "norm.outcome", "c.d", "l[0].a", "l[-1]"])
atoms = (
    st.tuples(
        names, st.sampled_from(["==", "!=", ">", "<="]), st.sampled_from(["'x'", "'1'", "`true`", "'ok'", "`2`"])
    ).map(" ".join)
    | names
)
calls = st.sampled_from(
    [
        "starts_with({0}, 'x')", "ends_with({0}, 'y')", "in_list({0}, 'calls')", "contains({0}, 'x')",
        "contains(['x', 'stop'], {0})", "in_cidr({0}, ['10.0.0.0/8', '::/64'])", "matches({0}, '^(x|st?op)[0-9]*$')",
        "glob({0}, 'x*[ab]')", "length({0}) > `1`", "length(to_array({0})) == `2`", "to_number({0}) >= `2`",
        "type({0}) == 'array'", "lower({0}) == 'stop'", "not_null({0}, b) == 'x'", "({0} || b) == 'x'",
    ]
)  # fmt: skip
inside = st.recursive(
    st.sampled_from(["a == 'x'", "b", "contains(a, 'x')", "!a", "@ == 'x'", "a != 'x'", "m[?b].a"]),
    lambda inner: st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
    max_leaves=3,
)
lists = st.tuples(
    st.sampled_from(
        [
            "l[?{0}]", "length(l[?{0}]) > `1`", "contains(l[?{0}].a, 'x')", "l[?{0}].a | [0] == 'x'", "l[].m[?{0}]",
            "contains(l[*].a, 'x')", "c.*.a", "l[?{0}].m[].a", "contains(keys(c), 'd')", "c.[d, e]", "!(l[?{0}])",
        ]
    ),
    inside,
).map(lambda drawn: drawn[0].format(drawn[1]))  # fmt: skip
conditions = st.recursive(
    atoms | st.tuples(calls, names).map(lambda drawn: drawn[0].format(drawn[1])) | lists,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
        | inner.map(lambda text: f"!({text})")
    ),
    max_leaves=5,
)
items = st.fixed_dictionaries(
    {},
    optional={
        "a": st.sampled_from(["x", "y", ["x"], 1]),
        "b": st.sampled_from([True, False, "1"]),
        "m": st.lists(st.fixed_dictionaries({}, optional={"a": st.just("x"), "b": st.booleans()}), max_size=2),
    },
)
events = st.fixed_dictionaries(
    {"norm": st.fixed_dictionaries({"outcome": st.sampled_from(["ok", "denied", "failed"])})},
    optional={
        "a": st.sampled_from(["x", "1", 2, True, None, [], "10.1.2.3", "xxy", ["x"]]),
        "b": st.sampled_from(["x", "stop", 2]),
        "c": st.sampled_from(["text", {}, {"d": "x"}, {"d": True}, {"e": {"a": "1"}}]),
        "l": st.lists(items | st.sampled_from(["x", None, 3]), max_size=3) | st.just("text"),
    },
)


def applied(value: Any, path: tuple[str | int, ...], wanted: Any) -> Any:
    """Another implementation of what a change says."""
    if not path:
        return wanted
    name, rest = path[0], path[1:]
    if isinstance(name, str):
        assert isinstance(value, dict | None)
        value = dict(value or {})
        below = applied(value.pop(name, None), rest, wanted)
        return value if below is ABSENT else value | {name: below}
    assert isinstance(value, list | None)
    value = list(value or [])
    assert 0 <= name <= len(value)
    changed = applied(value[name] if name < len(value) else None, rest, wanted)
    return [*value[:name], changed, *value[name + 1 :]]


@settings(max_examples=200, deadline=None)
@given(conditions, conditions, events)
def test_what_is_said_to_turn_the_answer_turns_it_and_takes_no_field_too_many(
    match: str, unless: str, fields: dict[str, Any]
) -> None:
    asked = rule(match, unless)
    given_answer = answer(asked, fields, TODAY)

    for together in least_changes(asked, fields, TODAY):
        for one in together:
            assert not any(one is not other and other.path[: len(one.path)] == one.path for other in together)
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


plain = st.recursive(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["== 'x'", "!= 'x'", "== 'y'", "!= `null`", ""])).map(" ".join),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
        | inner.map(lambda text: f"!({text})")
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    plain,
    st.none() | plain,
    st.fixed_dictionaries({}, optional=dict.fromkeys("abc", st.sampled_from(["x", "y", "z", ""]))),
)
def test_of_conditions_on_plain_fields_there_is_no_smaller_change(
    match: str, unless: str | None, fields: dict[str, Any]
) -> None:
    asked = rule(match, *([unless] if unless else []))
    given_answer = answer(asked, fields, TODAY)
    # These are all values between which such conditions can tell.
    every = [dict(zip("abc", values, strict=True)) for values in product(["x", "y", "z", "", None], repeat=3)]
    turning = [
        sum(fields.get(name) != value for name, value in other.items())
        for other in every
        if (answer(asked, other, TODAY) == "alert") is not (given_answer == "alert")
    ]

    found = least_changes(asked, fields, TODAY)

    assert {len(together) for together in found} == ({min(turning)} if turning else set())


@settings(max_examples=300, deadline=None)
@given(conditions, events)
def test_the_parts_have_the_values_that_the_interpreter_gives_them(match: str, fields: dict[str, Any]) -> None:
    asked = parse(match, lists=LISTS)
    listener = Listener(asked.text, Functions(LISTS))
    with suppress(EvaluationError):
        listener.visit(asked.tree, fields)

    def compared(part: Part) -> None:
        given = listener.given.get(part.text)
        if part.kind in TRUTHS:
            assert {truth(value) for value in part.values} <= {truth(value) for value in given or ()}
        elif given is not None:
            # Where only a truth is asked some code asks less, never more.
            assert all(value in given for value in part.values)
        assert (part.broke is not None) <= (part.text in listener.broke)
        for below in part.parts:
            compared(below)

    compared(explain_expression(asked, fields))


class Listener(Interpreter):
    """What jmespath's interpreter gives the parts, by their text."""

    def __init__(self, text: str, known: Functions) -> None:
        super().__init__(text, known)
        self.given: dict[str, list[Any]] = {}
        self.broke: set[str] = set()

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            value = super().visit(node, *args, **kwargs)
        except EvaluationError:
            self.broke.add(part_of(node, self._text))
            raise
        self.given.setdefault(part_of(node, self._text), []).append(value)
        return value


TRUTHS = {"and_expression", "or_expression", "not_expression"}


@settings(max_examples=200, deadline=None)
@given(conditions, events)
def test_a_part_that_was_asked_and_alone_decided_is_marked(match: str, fields: dict[str, Any]) -> None:
    tree = explain_expression(parse(match, lists=LISTS), fields)

    def marked(part: Part) -> None:
        if part.decided and part.kind in TRUTHS and part.values and part.broke is None:
            assert any(below.decided for below in part.parts)
        for below in part.parts:
            assert part.decided or not below.decided
            marked(below)

    marked(tree)


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
        'would not match if eventName were "other"',
    )


def test_of_a_field_inside_a_list_an_alert_keeps_all_values_and_not_just_the_last() -> None:
    (line, _) = why(rule("rules[?port == '22'].cidr"), {"rules": [{"port": "22", "cidr": "::/0"}, {"port": "80"}]})

    assert """port is "22", then "80\"""" in line


def test_lines_and_values_are_cut() -> None:
    match = " && ".join(f"a{number} != 'x'" for number in range(15))

    lines = why(rule(match), {f"a{number}": "y" * 500 for number in range(15)})

    assert (len(lines), lines[-1], len(lines[0])) == (
        10,
        'would not match if a0 were "x"',
        len("a0 != 'x': a0 is ") + 80,
    )
    assert lines[-2] == "… and 7 more"


def test_control_characters_of_an_event_are_escaped_in_the_lines() -> None:
    assert why(rule("a"), {"a": "\x1b[31m\n"}) == (
        'a: a is "\\u001b[31m\\n"',
        "would not match if a were absent",
    )


def test_an_exception_that_ends_is_no_change_that_is_kept_with_an_alert() -> None:
    asked = rule("a", "a == 'x'")
    ends = replace(asked, unless=(replace(asked.unless[0], expires=date(2030, 1, 1)),))

    assert why(ends, {"a": "y"})[-1] == "would not match if a were absent"


# --- what norm is computed from -----------------------------------------------------------------------------------------

RECORDS = {
    "tencent.cloudaudit": st.fixed_dictionaries(
        {},
        optional={
            "eventName": st.sampled_from(["A", "B"]),
            "resourceType": st.sampled_from(["cam", ""]),
            "eventSource": st.sampled_from(["cvm.tencentcloudapi.com", "x"]),
            "errorCode": st.sampled_from([0, 1]),
            "apiErrorCode": st.sampled_from(["0", "AuthFailure", "LimitExceeded"]),
            "eventPlatform": st.sampled_from(["as", ""]),
            "eventRegion": st.just("ap-x"),
            "sourceIPAddress": st.sampled_from(["10.0.0.1", "203.0.113.9", "x"]),
            "cliIp": st.sampled_from(["10.0.0.2", "203.0.113.8"]),
            "eventTime": st.sampled_from([1600000000, "2024-01-01T00:00:00Z"]),
            "httpMethod": st.just("POST"),
            "userIdentity": st.fixed_dictionaries(
                {},
                optional={
                    "type": st.sampled_from(["Root", "CAMUser", "AssumedRole"]),
                    "userName": st.sampled_from(["root", "ann"]),
                    "principalId": st.sampled_from(["1", "2"]),
                    "accountId": st.sampled_from(["1", "3"]),
                    "sessionContext": st.fixed_dictionaries(
                        {}, optional={"mfa": st.booleans(), "ownerUin": st.just(7), "userIp": st.just("203.0.113.7")}
                    ),
                },
            ),
        },
    ),
    "aws.cloudtrail": st.fixed_dictionaries(
        {},
        optional={
            "eventName": st.sampled_from(["A", "B"]),
            "eventSource": st.sampled_from(["signin.amazonaws.com", "ec2.amazonaws.com"]),
            "errorCode": st.sampled_from(["AccessDenied", "Throttled", ""]),
            "errorMessage": st.sampled_from(["Failed authentication", "x"]),
            "responseElements": st.sampled_from([{"ConsoleLogin": "Failure"}, {"ConsoleLogin": "Success"}]),
            "recipientAccountId": st.sampled_from(["1", ""]),
            "awsRegion": st.just("eu-x"),
            "sourceIPAddress": st.sampled_from(["10.0.0.1", "AWS Internal"]),
            "eventTime": st.just("2024-01-01T00:00:00Z"),
            "additionalEventData": st.sampled_from([{"MFAUsed": "Yes"}, {"MFAUsed": "No"}, {}]),
            "userAgent": st.just("x"),
            "userIdentity": st.fixed_dictionaries(
                {},
                optional={
                    "type": st.sampled_from(["Root", "IAMUser", "AssumedRole"]),
                    "userName": st.just("ann"),
                    "principalId": st.just("P"),
                    "accountId": st.just("3"),
                    "invokedBy": st.just("ec2.amazonaws.com"),
                    "arn": st.sampled_from(["arn:aws:sts::1:assumed-role/r/s", "arn:aws:iam::1:user/ann"]),
                    "sessionContext": st.fixed_dictionaries(
                        {},
                        optional={
                            "sessionIssuer": st.just({"userName": "issuer"}),
                            "attributes": st.sampled_from([{"mfaAuthenticated": "true"}, {}]),
                        },
                    ),
                },
            ),
        },
    ),
}


def only(record: Any, paths: tuple[str, ...]) -> Any:
    """*record* with nothing but what stands at *paths*."""
    kept: dict[str, Any] = {}
    for path in paths:
        name, _, rest = path.partition(".")
        if name in record:
            below = tuple(other.partition(".")[2] for other in paths if other.partition(".")[0] == name)
            kept[name] = only(record[name], below) if rest else record[name]
    return kept


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_every_field_of_norm_is_computed_from_the_fields_that_are_named_for_it(name: str) -> None:
    reader = kind(name, redaction_key=b"a key for tests only, 32 bytes..")

    @settings(max_examples=150, deadline=None)
    @given(RECORDS[name])
    def computed(record: dict[str, Any]) -> None:
        norm = reader.view(record)["norm"]
        for path in NORM_FIELDS:
            field = path.removeprefix("norm.")
            sources = computed_from(name, path)
            assert sources
            assert reader.view(only(record, sources))["norm"].get(field) == norm.get(field)

    computed()


def test_other_fields_are_computed_from_nothing() -> None:
    assert computed_from("tencent.cloudaudit", "eventName") == computed_from("no.such", "norm.time") == ()


def test_a_list_that_is_written_out_is_no_part_of_the_tree() -> None:
    def texts(part: Part) -> list[str]:
        return [part.text, *(text for child in part.parts for text in texts(child))]

    short = explain_expression(parse("contains(['a', 'b'], x)", lists={}), {"x": "a"})
    mapped = explain_expression(parse("map(&contains([['q']], @), ['r'])", lists={}), {})
    open_list = explain_expression(parse("contains([x, 'b'], 'a')", lists={}), {"x": "a"})

    assert texts(short) == ["contains(['a', 'b'], x)", "x"]
    assert texts(mapped) == ["map(&contains([['q']], @), ['r'])", "contains([['q']], @)"]
    assert texts(open_list) == ["contains([x, 'b'], 'a')", "[x, 'b']", "x"]
