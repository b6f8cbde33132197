"""The rule language: what it gives, what it refuses, and where it points."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EvaluationError
from engine.expression import MAX_DEPTH, Expression, ExpressionFault, item_start, parse, parse_template

LISTS = {
    "sensitive actions": frozenset({"deleteuser", "createaccesskey"}),
    "offices": frozenset({"203.0.113.0/24", "2001:db8::/32"}),
    "ports": frozenset({"22", "3389"}),
}


def value(text: str, fields: Any = None) -> Any:
    return parse(text, lists=LISTS).search({} if fields is None else fields)


def faults(text: str) -> list[str]:
    """The faults of a text, each as a caret line and a sentence."""
    with pytest.raises(ExpressionFault) as caught:
        parse(text, lists=LISTS)
    return [f"{' ' * fault.offset}^ {fault.message}" for fault in caught.value.faults]


# --- null, truth and type errors


@pytest.mark.parametrize(
    "text",
    [
        "starts_with(absent, 'a')",
        "starts_with('a', absent)",
        "ends_with(absent, 'a')",
        "contains(absent, 'a')",
        "contains('abc', absent)",
        "length(absent)",
        "keys(absent)",
        "join(',', absent)",
        "max(absent)",
        "sort_by(absent, &a)",
        "map(&a, absent)",
        "merge(`{}`, absent)",
        "abs(absent)",
        "in_list(absent, 'ports')",
        "in_cidr(absent, '10.0.0.0/8')",
        "in_cidr('10.0.0.1', absent)",
        "matches(absent, 'a')",
        "glob(absent, 'a*')",
        "lower(absent)",
        "upper(absent)",
        "json(absent)",
    ],
)
def test_a_function_given_null_where_it_wants_a_value_gives_null(text: str) -> None:
    assert value(text) is None


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("type(absent)", "null"),
        ("not_null(absent, 'x')", "x"),
        ("to_string(absent)", "null"),
        ("to_array(absent)", [None]),
        ("to_number(absent)", None),
        ("contains(`[null]`, absent)", True),
    ],
)
def test_a_function_that_takes_anything_takes_null(text: str, gives: Any) -> None:
    assert value(text) == gives


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("starts_with(n, 'a')", "starts_with() wants string, here it has number: starts_with(n, 'a')"),
        ("a && (b || length(n))", "length() wants string or array or object, here it has number: length(n)"),
        ("'a' > n", "a text and a number have no order: 'a' > n"),
        ("contains('abc', n)", "contains() cannot be decided: a text can only contain a text: contains('abc', n)"),
        ("sum([n, 'a'])", "sum() wants array-number, here it has string: sum([n, 'a'])"),
        ("in_list(`true`, 'ports')", "in_list() wants string or number or array, here it has boolean"),
        ("matches(a, b)", "matches() cannot be decided: not an RE2 pattern: missing ): ("),
    ],
)
def test_any_other_type_error_is_an_evaluation_error_that_quotes_the_part(text: str, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        value(text, {"a": "x", "b": "(" if "matches" in text else "", "n": 5})

    assert str(caught.value).startswith(message)


def test_what_is_not_reached_cannot_break() -> None:
    assert value("a && starts_with(n, 'x')", {"a": False, "n": 5}) is False


@pytest.mark.parametrize(
    ("text", "holds"),
    [("`0`", True), ("''", False), ("`[]`", False), ("`{}`", False), ("`false`", False), ("absent", False)],
)
def test_truth_is_jmespaths_own(text: str, holds: bool) -> None:
    assert parse(text, lists={}).holds({}) is holds


def test_numbers_and_flags_are_not_equal() -> None:
    assert value("a == `true`", {"a": 1}) is False


def test_ordering_with_null_is_null() -> None:
    assert value("absent > `1`") is None


# --- our functions


@pytest.mark.parametrize(
    ("given", "is_in"),
    [
        ("DeleteUser", True),
        ("DELETEUSER", True),
        ("Other", False),
        (["Other", "deleteuser"], True),
        ([None, "Other"], False),
        ([], False),
    ],
)
def test_in_list_takes_a_text_or_any_of_several_whatever_their_case(given: Any, is_in: bool) -> None:
    assert value("in_list(x, 'sensitive actions')", {"x": given}) is is_in


def test_in_list_takes_a_number_by_its_text() -> None:
    assert value("in_list(x, 'ports')", {"x": 22}) is True


@pytest.mark.parametrize(
    ("address", "networks", "inside"),
    [
        ("10.1.2.3", "'10.0.0.0/8'", True),
        ("11.1.2.3", "'10.0.0.0/8'", False),
        ("10.1.2.3", "'10.1.2.3'", True),
        ("10.1.2.3", "['192.168.0.0/16', '10.0.0.0/8']", True),
        ("10.1.2.3", '`["10.0.0.0/8"]`', True),
        ("203.0.113.9", "'offices'", True),
        ("2001:db8::1", "'offices'", True),
        ("::ffff:10.1.2.3", "'10.0.0.0/8'", True),
        ("not an address", "'10.0.0.0/8'", False),
        ("10.1.2.3:443", "'10.0.0.0/8'", False),
        ("", "'10.0.0.0/8'", False),
    ],
)
def test_in_cidr_takes_a_network_several_or_a_list(address: str, networks: str, inside: bool) -> None:
    assert value(f"in_cidr(ip, {networks})", {"ip": address}) is inside


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [
        ("fooBar", "^foo[A-Z]", True),
        ("xfooBar", "foo", True),
        ("FOO", "(?i)foo", True),
        ("a\ud800b", "^a.b$", True),
    ],
)
def test_matches_searches_with_re2(text: str, pattern: str, found: bool) -> None:
    assert value(f"matches(x, '{pattern}')", {"x": text}) is found


def test_matches_takes_linear_time_on_hostile_text() -> None:
    assert value("matches(x, '^(a+)+$')", {"x": "a" * 50_000 + "!"}) is False


@pytest.mark.parametrize(
    ("text", "pattern", "whole"),
    [
        ("qcs::cam::uin/1:root", "qcs::cam::*", True),
        ("abc", "a?c", True),
        ("abc", "ab", False),
        ("a.c", "a.c", True),
        ("abc", "a.c", False),
        ("a\nc", "a*c", True),
        ("b", "[!a]", True),
        ("a]", "a[]]", True),
        ("[x", "[x", True),
        ("ABC", "abc", False),
        ("aXb", "a[W-Z]b", True),
    ],
)
def test_glob_is_about_the_whole_text_and_its_case(text: str, pattern: str, whole: bool) -> None:
    assert value(f"glob(x, '{pattern}')", {"x": text}) is whole


@pytest.mark.parametrize(
    ("text", "gives"),
    [('{"a": [1]}', {"a": [1]}), ("not json", None), ("NaN", None), ("1e999", None), ("[" * 50_000, None), ("", None)],
)
def test_json_reads_json_or_gives_null(text: str, gives: Any) -> None:
    assert value("json(x)", {"x": text}) == gives


def test_lower_and_upper() -> None:
    assert value("[lower(x), upper(x)]", {"x": "AbÉ"}) == ["abé", "ABÉ"]


# --- what jmespath lets through


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "starts_with(eventName 'B')",
            ["                      ^ a comma is missing between the arguments of starts_with()"],
        ),
        (
            "contains(a, )",
            [
                "^ contains() takes 2 arguments, here it has 1",
                "          ^ a comma too many after the arguments of contains()",
            ],
        ),
        ("{a: b c: d}", ["      ^ a comma is missing between the keys of an object"]),
        ("a && &x", ["     ^ '&' can stand only before an argument of a function; 'and' is '&&'"]),
        ("contain(a, b)", ["^ there is no function contain(); did you mean 'contains'?"]),
        ("a || length(a, b)", ["     ^ length() takes 1 argument, here it has 2"]),
        ("not_null()", ["^ not_null() takes at least 1 argument, here it has 0"]),
        ("sort_by(a, b)", ["           ^ sort_by() wants an expression here: write '&' before it"]),
        ("length(&a)", ["       ^ length() takes no '&' expression here"]),
        ("(a)(b)", ["  ^ only the name of a function can stand before '('"]),
        ('"length"(b)', ["^ the name of a function has no quotes"]),
        ("a[::0]", ["  ^ the step of a slice cannot be 0"]),
        ("a[:1 2]", ["     ^ a colon is missing"]),
        ("`NaN`", ["^ NaN and Infinity are not JSON"]),
        ("in_list(a, 'sensitive')", ["           ^ there is no list 'sensitive'; did you mean 'sensitive actions'?"]),
        ("in_list(a, b)", ["           ^ the name of a list is a text in single quotes"]),
        ("matches(a, '(')", ["           ^ not an RE2 pattern: missing ): ("]),
        ("glob(a, '[z-a]')", ["        ^ not a glob: invalid character class range: z-a"]),
        ("in_cidr(a, '10.0.0.1/8')", None),
        ("in_cidr(a, ['10.0.0.0/8', '1.2.3'])", None),
        ("in_cidr(a, `5`)", ["           ^ in_cidr() wants a network, a list of networks or the name of a list"]),
        ("in_cidr(a, 'office')", ["           ^ there is no list 'office'; did you mean 'offices'?"]),
        ("in_cidr(a, 'ports')", None),
    ],
)
def test_what_could_only_fail_later_is_refused_at_its_place(text: str, shown: list[str] | None) -> None:
    found = faults(text)

    assert found == shown if shown is not None else len(found) == 1


def test_every_fault_of_an_expression_is_reported() -> None:
    assert faults("nope(a) && starts_with(a 'x') || contains(b)") == [
        "^ there is no function nope()",
        "                         ^ a comma is missing between the arguments of starts_with()",
        "                                 ^ contains() takes 2 arguments, here it has 1",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a = 'b'", "  ^ '=' is no operator; equality is '=='"),
        ("'abc", "^ the ' that opens here is never closed"),
        ("a ==", "    ^ the expression ends too early"),
        ("a b", "  ^ 'b' cannot stand here"),
        ("a # b", "  ^ unknown character '#'"),
        ("  ", "^ the expression is empty"),
        ('"a', '^ the " that opens here is never closed'),
    ],
)
def test_syntax_errors_are_plain_and_placed(text: str, shown: str) -> None:
    assert faults(text) == [shown]


@pytest.mark.parametrize(
    "text",
    ["(" * 4000, "!" * 4000, "a|" * 1500 + "a", "[*]" * 1000, "a||" * 1000 + "a", "`" + "[" * 4000 + "`", "a" * 5000],
)
def test_expressions_that_would_exhaust_the_stack_are_refused(text: str) -> None:
    with pytest.raises(ExpressionFault):
        parse(text, lists={})


def test_depth_up_to_the_limit_is_evaluated() -> None:
    text = "!" * (MAX_DEPTH - 1) + "a"

    assert parse(text, lists={}).search({"a": 1}) is False


def test_an_expression_knows_which_lists_it_asks() -> None:
    assert parse("in_list(a, 'ports') || in_cidr(b, 'offices')", lists=LISTS).uses() == {"ports", "offices"}


def test_an_expression_may_be_shared_between_threads() -> None:
    expression = parse("sum(a[].b) > `3` && starts_with(c, 'x')", lists={})
    events = [{"a": [{"b": n}, {"b": 2}], "c": "x" * (n % 2)} for n in range(200)]
    alone = [expression.holds(event) for event in events]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(expression.holds, events)) == alone


# --- templates


def rendered(text: str, fields: Any) -> str:
    return parse_template(text, lists={}).render(fields)


@pytest.mark.parametrize(
    ("text", "fields", "shown"),
    [
        ("Root of {norm.account}", {"norm": {"account": "1"}}, "Root of 1"),
        ("{absent} and {''}", {}, "- and -"),
        ("{a}", {"a": ["x", 1, True, None, {"k": "é"}]}, 'x, 1, true, -, {"k":"é"}'),
        ("{a}", {"a": {"k": [1]}}, '{"k":[1]}'),
        ("{{literal}} {a}", {"a": 0}, "{literal} 0"),
        ("{ {k: a} }", {"a": 1}, '{"k":1}'),
        ("{ {k: a}}", {"a": 1}, '{"k":1}'),
        ("{'}'}", {}, "}"),
        ("{starts_with(a, 'x')}", {"a": 5}, "-"),
        ("plain", {}, "plain"),
    ],
)
def test_a_template_shows_values_as_text(text: str, fields: Any, shown: str) -> None:
    assert rendered(text, fields) == shown


def test_long_values_are_cut() -> None:
    assert rendered("{a}!", {"a": "x" * 5000}) == "x" * 199 + "…!"


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("a {b", 2, "the { that opens here is never closed; a brace itself is {{"),
        ("a } b", 2, "this } closes nothing; a brace itself is }}"),
        ("a {nope(b)}", 3, "there is no function nope()"),
        ("a {}", 3, "the expression is empty"),
        ("{{{b ==}}}", 7, "the expression ends too early"),
    ],
)
def test_faults_of_a_template_are_placed_in_its_text(text: str, offset: int, message: str) -> None:
    with pytest.raises(ExpressionFault) as caught:
        parse_template(text, lists={})

    assert (caught.value.offset, caught.value.message) == (offset, message)


# --- the specification's own cases, when the folder is there


def compliance() -> Path:
    named = os.environ.get("TOCSIN_SHARED")
    shared = Path(named) if named else Path(__file__).resolve().parents[1].parent / "shared"
    return shared / "data" / "jmespath-compliance"


# Functions of null give null instead of an error: our one stated difference.
OF_NULL = {"max(abc)", "min(abc)", "sort(abc)", "map(&a, badkey)"}


def cases() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for file in sorted(compliance().glob("*.json")):
        for suite in json.loads(file.read_text()):
            for case in suite["cases"]:
                yield file.name, suite["given"], case


@pytest.mark.skipif(not compliance().is_dir(), reason="the compliance suite is not beside the checkout")
def test_the_compliance_suite_holds_but_for_functions_of_null() -> None:
    wrong = []
    for name, given, case in cases():
        try:
            got: Any = ("gives", parse(case["expression"], lists={}).search(given))
        except (ExpressionFault, EvaluationError):
            got = ("error",)
        wanted = ("error",) if "error" in case else ("gives", case.get("result"))
        if case["expression"] in OF_NULL:
            wanted = ("gives", None)
        if got != wanted and "bench" not in case:
            wrong.append((name, case["expression"], wanted, got))

    assert wrong == []


def test_two_expressions_of_the_same_text_are_equal() -> None:
    assert parse("a == 'b'", lists={}) == parse("a == 'b'", lists=LISTS)
    assert isinstance(parse("a", lists={}), Expression)


def test_a_long_list_is_one_literal_whose_items_still_have_their_places() -> None:
    names = [f"Name{number}" for number in range(30)]
    text = "contains([\n  " + ",\n  ".join(f"'{name}'" for name in names) + "], eventName)"
    items = parse(text, lists={}).tree["children"][0]

    assert items["type"] == "literal"
    assert items["value"] == names
    assert [text[item_start(items, index) or 0 :].startswith(f"'{name}'") for index, name in enumerate(names)] == [
        True
    ] * 30


def test_a_long_list_that_is_asked_of_an_element_stays_what_it_is() -> None:
    names = ", ".join(f"'n{number}'" for number in range(20))
    listed = parse(f"requestParameters.a[?contains([{names}], @)]", lists={})
    absent = parse(f"requestParameters.a.[{names}]", lists={})

    assert listed.search({"requestParameters": {"a": ["n3", "x"]}}) == ["n3"]
    assert absent.search({"requestParameters": {}}) is None
