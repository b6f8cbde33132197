"""The generated code gives what the interpreter gives: examples that are easy to get wrong, and jmespath's own suite."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EvaluationError
from engine.event import View
from engine.expression import ExpressionFault, parse
from engine.matching.codegen import truth_of, value_of

LISTS = {"names": frozenset({"deleteuser", "22"}), "nets": frozenset({"10.0.0.0/8"})}
SHARED = Path(os.environ.get("TOCSIN_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
COMPLIANCE = SHARED / "data" / "jmespath-compliance"


def outcome(search: Any) -> Any:
    try:
        return repr(search())  # repr: 1, 1.0 and true differ
    except EvaluationError as error:
        return f"error: {error}"


def check(text: str, data: Any) -> None:
    expression = parse(text, lists=LISTS)

    assert outcome(lambda: value_of(expression)(View(data))) == outcome(lambda: expression.search(data))
    assert outcome(lambda: truth_of(expression)(View(data))) == outcome(lambda: expression.holds(data))


VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    0.0,
    1.0,
    2,
    1.5,
    "",
    "a",
    "DeleteUser",
    "1",
    [],
    {},
    [0],
    [None],
    {"a": 1},
    [[1]],
]


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "!a",
        "a == `true`",
        "a == `1`",
        "a == `0`",
        "a != `false`",
        "`1` == a",
        "a == `null`",
        "a == `2`",
        "a == 'a'",
        "a == `[0]`",
        "a == a",
        "a < `1`",
        "a >= 'a'",
        "a > b",
        "a && 'x'",
        "a || 'x'",
        "(a || `0`) && a",
        "a[0]",
        "a[-1]",
        "a[::2]",
        "a[]",
        "a[*].a",
        "a[?@ == `0`]",
        "a.*",
        "[a, b]",
        "{x: a}",
        "a | [@, @]",
        "a.{x: a}",
        "starts_with(a, 'a')",
        "starts_with('a', a)",
        "ends_with(a, 'a')",
        "contains(a, 'a')",
        "contains(a, `null`)",
        "contains(['a', '1'], a)",
        'contains(`[1, "a"]`, a)',
        "a.contains(['a'], @)",
        "in_list(a, 'names')",
        "in_cidr(a, 'nets')",
        "matches(a, '^A')",
        "glob(a, 'D*')",
        "lower(a) == 'deleteuser'",
        "upper(a)",
        "length(a)",
        "length(to_string(a)) > `2`",
        "to_string(a)",
        "not_null(a, b, 'c')",
        "type(a)",
        "sort_by(a, &b)",
        "map(&a, a)",
        "json(a)",
        "keys(@)",
        "@",
        "@.a",
        "@ | a",
        "[0]",
        "[]",
        "*",
        "'a'",
        "\"a\" == 'a'",
    ],
)
def test_every_type_in_every_place(text: str) -> None:
    for value in VALUES:
        check(text, {"a": value, "b": 1})
        check(text, {"b": value})


def test_a_name_with_a_separator_in_it_is_one_name() -> None:
    check('"a\\u0000b"', {"a": {"b": 1}})


def test_an_event_that_is_read_by_parts_is_not_changed() -> None:
    data = {"a": {"b": [1, 2]}}

    value_of(parse("a.b[0]", lists={}))(View(data))

    assert data == {"a": {"b": [1, 2]}}


@pytest.mark.parametrize(
    "text",
    [
        " && ".join(f"a{n} == '{n}'" for n in range(90)),
        " || ".join(f"a{n}[?b == '{n}']" for n in range(20)),
        "a" + "[*].a" * 40,
        "(" * 40 + "a" + " || b)" * 40,
        "!(" * 45 + "a" + ")" * 45,
        "[a, " * 30 + "b" + "]" * 30,
    ],
)
def test_what_is_too_large_for_code_is_still_decided(text: str) -> None:
    check(text, {"a": "0", "b": True})
    check(text, {})


def test_text_of_a_rule_never_becomes_code() -> None:
    for text in ["'\"; import os #'", '"f\'k1"', "'\\n'", "`\"__import__('os')\"`", '{"x\'": a}']:
        check(text, {"a": 1})


# --- the compliance suite of jmespath

# The cases in which we deviate: a function given null gives null, our one stated difference.
OF_NULL = ["max(abc)", "min(abc)", "sort(abc)", "map(&a, badkey)"]


def cases() -> Iterator[tuple[Any, dict[str, Any]]]:
    for path in sorted(COMPLIANCE.glob("*.json")):
        for suite in json.loads(path.read_text()):
            for case in suite["cases"]:
                yield suite["given"], case


@pytest.mark.skipif(not COMPLIANCE.is_dir(), reason="the compliance suite is not beside the checkout")
def test_the_compiled_code_passes_the_compliance_suite_but_for_functions_of_null() -> None:
    wrong = []
    for given, case in cases():
        try:
            # An event is an object; other documents are asked for as its one field.
            text, data = (
                (case["expression"], given)
                if isinstance(given, dict)
                else ("doc | " + case["expression"], {"doc": given})
            )
            got: Any = ("gives", value_of(parse(text, lists={}))(View(data)))
        except (ExpressionFault, EvaluationError):
            got = ("error",)
        wanted = ("error",) if "error" in case else ("gives", case.get("result"))
        if got != wanted and "bench" not in case:
            wrong.append((case["expression"], wanted, got))

    assert wrong == [(text, ("error",), ("gives", None)) for text in OF_NULL]
