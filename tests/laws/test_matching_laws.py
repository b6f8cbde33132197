"""Laws of the matcher: the compiled code is the interpreter, and the index only prunes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EvaluationError
from engine.event import View
from engine.expression import ExpressionFault, parse
from engine.matching.codegen import truth_of, value_of

LISTS = {"l": frozenset({"a", "abc", "0", "straße".casefold()}), "n": frozenset({"10.0.0.0/8"})}

NAMES = ["a", "b", "c", "norm", "x-y"]
names = st.sampled_from(["a", "b", "c", "norm", '"x-y"'])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2)
    | st.sampled_from(["", "a", "abc", "ABC", "0", "é漢", "STRASSE", "10.1.2.3", '{"a": [1]}', "\ud800", "10.0.0.0/8"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
events = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)
literals = st.sampled_from(
    ["'a'", "''", "'abc'", "'l'", "'n'", "'^a'", "'a*'", "'0'", "`0`", "`1`", "`1.0`", "`-2`", "`true`", "`false`",
     "`null`", "`[]`", "`{}`", "`[1]`", '`["a", "0"]`', '`[1, "a", true]`', "['a', 'abc']"]
)  # fmt: skip
ONE = ["abs", "avg", "ceil", "floor", "keys", "length", "max", "min", "reverse", "sort", "sum", "to_array", "to_number",
       "to_string", "type", "values", "lower", "upper", "json"]  # fmt: skip
TWO = ["contains", "ends_with", "starts_with", "join", "merge", "not_null", "matches", "glob", "in_cidr"]


def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    patterns = st.sampled_from(
        ["{0} && {1}", "{0} || {1}", "!({0})", "({0}) == ({1})", "({0}) != ({1})", "({0}) < ({1})", "({0}) <= ({1})",
         "({0}) > ({1})", "({0}) >= ({1})", "({0}) | ({1})", "{0}[0]", "{0}[-1]", "{0}[]", "{0}[*].a", "({0})[?{1}]",
         "({0})[?b == `1`].c", "({0})[::2]", "({0}).*", "[{0}, {1}]", "{{x: {0}, y: {1}}}", "({0}).[{1}]",
         "({0}).{{x: {1}}}"]
    )  # fmt: skip
    joined = st.tuples(patterns, inner, inner).map(lambda t: t[0].format(t[1], t[2]))
    return (
        joined
        | st.tuples(st.sampled_from(ONE), inner).map(lambda t: f"{t[0]}({t[1]})")
        | st.tuples(st.sampled_from(TWO), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})")
        | inner.map("in_list({0}, 'l')".format)
        | st.tuples(st.sampled_from(["sort_by", "max_by", "min_by"]), inner, names).map(lambda t: f"{t[0]}({t[1]}, &{t[2]})")
        | st.tuples(names, inner).map(lambda t: f"map(&{t[0]}, {t[1]})")
    )  # fmt: skip


paths = st.lists(names, min_size=1, max_size=3).map(".".join)
expressions = st.recursive(paths | literals | paths | st.just("@"), deeper, max_leaves=8)


def outcome(search: Any) -> str:
    try:
        return repr(search())  # repr: 1, 1.0 and true differ
    except EvaluationError as error:
        return f"error: {error}"


@settings(max_examples=800, deadline=None)
@given(expressions, st.lists(events, min_size=1, max_size=4))
def test_compiled_code_gives_the_interpreters_values_and_its_errors(text: str, datas: list[Any]) -> None:
    try:
        expression = parse(text, lists=LISTS)
    except ExpressionFault:
        return
    search, holds = value_of(expression), truth_of(expression)
    for data in datas:
        assert outcome(lambda d=data: search(View(d))) == outcome(lambda d=data: expression.search(d))
        assert outcome(lambda d=data: holds(View(d))) == outcome(lambda d=data: expression.holds(d))
