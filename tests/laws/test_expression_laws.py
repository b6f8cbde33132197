"""Laws of the rule language, with jmespath.py as the oracle."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from engine.errors import EvaluationError
from engine.expression import ExpressionFault, parse, parse_template

names = st.sampled_from(["a", "b", "c", "norm", '"x-y"'])
scalars = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.sampled_from(["", "a", "abc", "0", "é漢"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c", "norm", "x-y"]), inner),
    max_leaves=12,
)
literals = st.sampled_from(
    ["'a'", "''", "'abc'", "`0`", "`1`", "`1.0`", "`true`", "`false`", "`null`", "`[]`", "`{}`", "`[1]`"]
)


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def of(*patterns: str) -> st.SearchStrategy[str]:
        return st.tuples(st.sampled_from(patterns), inner, inner).map(lambda t: t[0].format(t[1], t[2]))

    return of(
        "{0} && {1}",
        "{0} || {1}",
        "!({0})",
        "({0}) == ({1})",
        "({0}) != ({1})",
        "({0}) < ({1})",
        "({0}) >= ({1})",
        "({0}) | ({1})",
        "{0}[0]",
        "{0}[]",
        "{0}[*].a",
        "({0})[?{1}]",
        "({0})[?b == `1`].c",
        "({0})[::2]",
        "({0}).*",
        "[{0}, {1}]",
        "{{x: {0}, y: {1}}}",
    )


def calling(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    one = st.sampled_from(
        [
            "abs",
            "avg",
            "ceil",
            "floor",
            "keys",
            "length",
            "max",
            "min",
            "reverse",
            "sort",
            "sum",
            "to_array",
            "to_number",
            "to_string",
            "type",
            "values",
        ]
    )
    two = st.sampled_from(["contains", "ends_with", "starts_with", "join", "merge", "not_null"])
    by = st.sampled_from(["sort_by", "max_by", "min_by"])
    return (
        deeper(inner)
        | st.tuples(one, inner).map(lambda t: f"{t[0]}({t[1]})")
        | st.tuples(two, inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
        | st.tuples(by, inner, names).map(lambda t: f"{t[0]}({t[1]}, &{t[2]})")
        | st.tuples(names, inner).map(lambda t: f"map(&{t[0]}, {t[1]})")
    )


paths = st.lists(names, min_size=1, max_size=3).map(".".join)
without_functions = st.recursive(paths | literals | st.just("@"), deeper, max_leaves=6)
with_functions = st.recursive(paths | literals | st.just("@"), calling, max_leaves=6)


def outcome(search: Any) -> Any:
    try:
        return ("gives", repr(search()))  # repr: 1, 1.0 and true differ
    except (JMESPathError, EvaluationError, TypeError, ValueError, ArithmeticError):
        return ("error",)


@settings(max_examples=300, deadline=None)
@given(without_functions, values)
def test_without_functions_every_value_and_every_error_is_jmespaths(text: str, data: Any) -> None:
    assert outcome(lambda: parse(text, lists={}).search(data)) == outcome(lambda: jmespath.search(text, data))


@settings(max_examples=400, deadline=None)
@given(with_functions, values)
def test_what_jmespath_can_decide_we_decide_the_same(text: str, data: Any) -> None:
    theirs = outcome(lambda: jmespath.search(text, data))
    ours = outcome(lambda: parse(text, lists={}).search(data))

    assert theirs in (ours, ("error",))  # ours may be null, or what follows from it


@given(with_functions, values)
@settings(max_examples=200, deadline=None)
def test_nothing_but_an_evaluation_error_leaves_an_evaluation(text: str, data: Any) -> None:
    with suppress(EvaluationError):
        parse(text, lists={}).search(data)


def offsets(parsing: Callable[[], object]) -> list[int]:
    """Where the faults are that a text has; anything else that is raised fails the test."""
    try:
        parsing()
    except ExpressionFault as caught:
        return [fault.offset for fault in caught.faults]
    return []


tokens = st.sampled_from(
    [
        "a",
        "b",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ".",
        ",",
        ":",
        "*",
        "&",
        "&&",
        "|",
        "||",
        "!",
        "==",
        "=",
        "<",
        "'x'",
        "`1`",
        "`x",
        "'",
        '"',
        "`",
        '"q"',
        "[?",
        "1",
        "-1",
        "-",
        "@",
        "length",
        "contains",
        "in_list",
        "é",
        "#",
        "\n",
        "\\",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(tokens, max_size=12).map("".join) | st.text(max_size=30))
def test_any_text_is_an_expression_or_a_fault_inside_it(text: str) -> None:
    assert all(0 <= offset <= len(text) for offset in offsets(lambda: parse(text, lists={})))


@settings(max_examples=300, deadline=None)
@given(st.lists(tokens | st.sampled_from(["{", "}", "{{", "}}"]), max_size=12).map("".join), values)
def test_any_text_is_a_template_that_renders_or_a_fault_inside_it(text: str, data: Any) -> None:
    assert all(0 <= at <= len(text) for at in offsets(lambda: parse_template(text, lists={}).render(data)))


@given(st.text(max_size=40).filter(lambda text: "'" not in text and "\\" not in text))
def test_a_text_in_single_quotes_is_that_text(text: str) -> None:
    assert parse(f"'{text}'", lists={}).search({}) == text


@pytest.mark.parametrize("text", ["a.b", "a[0].b", "(a || b) && !c", "f == 'x'"])
def test_spaces_change_nothing(text: str) -> None:
    spaced = text.replace("(", " ( ").replace("==", "  ==\n").replace("&&", " &&\t")
    data = {"a": {"b": 1}, "c": False, "f": "x"}

    assert parse(spaced, lists={}).search(data) == parse(text, lists={}).search(data)
