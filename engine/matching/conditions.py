"""
What must be so for a rule to match: necessary conditions, each on one path, read off its expression.

An expression becomes conjunctions of tests, of which one must hold as a whole (disjunctive normal form). A test is any
part of the expression that reads a single path, whatever it does with it; what reads more is taken to hold. The
promise, which the index relies on: if every conjunction has a test that fails, then the expression is false *and
raises nothing*. So there are conjunctions for being true and others for raising: in `a && b`, where a part may raise by
the types that the kind promises, "a raises" is one, and "a holds and b raises" another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from engine import functions
from engine.errors import EvaluationError
from engine.expression import Expression, Node, children
from engine.matching.codegen import literal_texts, truth_at
from engine.matching.reads import path_of, reads

Types = Mapping[str, str]  # path -> "string", "integer", "boolean", "array", "object": what a kind promises of it

MAX_CONJUNCTIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Test:
    """
    A condition on the value of one path.

    *values*, if known, are the texts (case-folded) of which a text or null must be one, or else the test fails and
    raises nothing. *key* is equal where two tests ask the same.
    """

    path: str
    key: str
    values: frozenset[str] | None = field(compare=False)
    expression: Expression = field(compare=False, repr=False)
    node: Node = field(compare=False, repr=False)
    positive: bool = field(compare=False, default=True)
    breaking: bool = field(compare=False, default=False)  # it passes where the part of the rule raises, and only there

    def passing(self) -> Callable[[Any], bool]:
        """A function of a value of the path: False only where the part of the rule is false and raises nothing."""
        holds, positive = truth_at(self.expression, self.node, self.path), self.positive
        if self.breaking:
            return _raising(holds)

        def passes(value: Any) -> bool:
            try:
                return holds(value) is positive
            except EvaluationError:
                return True

        return passes

    @property
    def of_shape(self) -> bool:
        """Whether the test says the same of all lists of one length."""
        return _is_of_shape(self.node)

    @property
    def fails_on_lists(self) -> bool:
        """Whether it is known to fail on every list: as what breaks by the type of the value, and not on lists."""
        return self.breaking and _breaks_by_type(self.node) and not self.passing()([])

    def atom(self) -> tuple[Atom, bool]:
        """What sort of question to a text or null the test is, and the answer that passes."""
        node, positive = self.node, self.positive
        if self.breaking:
            return ("other", None), True
        while node["type"] == "not_expression":
            node, positive = node["children"][0], not positive
        kind, below = node["type"], node["children"]
        if kind == "comparator" and node["value"] in ("eq", "ne"):
            for one, other in (below, below[::-1]):
                if _is_text(other) and path_of(one) is not None:
                    return ("is", frozenset((other["value"],))), positive is (node["value"] == "eq")
        if kind == "function_expression" and len(below) == 2:
            subject, other = below
            if node["value"] == "in_list" and path_of(subject) is not None and _is_text(other):
                return ("folds to", self.expression.lists[other["value"]]), positive
            if node["value"] == "contains" and path_of(other) is not None:
                texts = literal_texts(subject, at_root=True)
                if texts is not None:
                    return ("is", texts), positive
            if node["value"] in ("contains", "starts_with") and path_of(subject) is not None and _is_text(other):
                return (node["value"], other["value"]), positive
        return ("other", None), positive


Atom = tuple[str, Any]  # ("is" or "folds to", texts), ("contains" or "starts_with", a text), or ("other", None)
Conjunction = tuple[Test, ...]


def necessary(expression: Expression, types: Types) -> tuple[Conjunction, ...]:
    """The conjunctions of which one must hold; an empty one always does: such a rule is asked of every event."""
    found = _Reader(expression, types).outcomes(expression.tree, positive=True)
    either = found.holds + found.breaks
    return tuple(either) if len(either) <= MAX_CONJUNCTIONS and () not in either else ((),)


def _raising(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def raises(value: Any) -> bool:
        try:
            holds(value)
        except EvaluationError:
            return True
        return False

    return raises


class _Outcomes(NamedTuple):
    """Conjunctions of which one holds where a part of a rule is true, and those of which one does where it raises."""

    holds: list[Conjunction]
    breaks: list[Conjunction]


class _Reader:
    def __init__(self, expression: Expression, types: Types) -> None:
        self._expression = expression
        self._types = types

    def outcomes(self, node: Node, *, positive: bool) -> _Outcomes:
        """When *node* is true (or, not *positive*, false), and when it raises."""
        kind = node["type"]
        if kind == "not_expression":
            return self.outcomes(node["children"][0], positive=not positive)
        test = self._test(node, positive)
        if test or kind not in ("and_expression", "or_expression"):
            breaks = [tuple(replace(one, breaking=True, key=f"!{one.key}", values=None) for one in test)]
            return _Outcomes([test], breaks if may_raise(node, self._types) else [])
        first, second = (self.outcomes(child, positive=positive) for child in node["children"])
        if (kind == "and_expression") is not positive:
            # The second is asked only where the first is not so; that is left out, since it says little.
            return _Outcomes(_either(first.holds, second.holds), _either(first.breaks, second.breaks))
        return _Outcomes(
            _both(first.holds, second.holds), _either(first.breaks, _both(first.holds, second.breaks))
        )  # fmt: skip

    def _test(self, node: Node, positive: bool) -> Conjunction:
        """The test that *node* is; none if it reads more than one path, or no one in particular."""
        paths = reads(node)
        if paths is None or len(paths) != 1:
            return ()
        (path,) = paths
        text = self._expression.text[node["start"] : node["end"]] if "start" in node else repr(node)
        values = self._values(node, positive)
        return (Test(path, f"{positive:d}{text}", values, self._expression, node, positive),)

    def _values(self, node: Node, positive: bool) -> frozenset[str] | None:
        """The texts, case-folded, of which the path must hold one for *node* to be true (or, not *positive*, false)."""
        kind, below = node["type"], node["children"]
        if kind == "not_expression":
            return self._values(below[0], not positive)
        if kind in ("and_expression", "or_expression"):
            first, second = self._values(below[0], positive), self._values(below[1], positive)
            if (kind == "and_expression") is positive:  # what may raise is an outcome too, whatever stands behind it
                return second if first is None and not may_raise(below[0], self._types) else first
            return None if first is None or second is None else first | second
        if kind == "comparator":
            if node["value"] != ("eq" if positive else "ne"):
                return None
            for one, other in (below, reversed(below)):
                if _is_text(other) and _folds(one):
                    return frozenset((other["value"].casefold(),))
            return None
        if kind != "function_expression" or not positive:
            return None
        if node["value"] == "contains" and _folds(below[1]):
            texts = literal_texts(below[0], at_root=True)
            return None if texts is None else frozenset(text.casefold() for text in texts)
        if node["value"] == "in_list" and _folds(below[0]) and _is_text(below[1]):
            return self._expression.lists.get(below[1]["value"])
        return None


def _either(one: list[Conjunction], other: list[Conjunction]) -> list[Conjunction]:
    both = list(dict.fromkeys(one + other))
    return both if len(both) <= MAX_CONJUNCTIONS and () not in both else [()]


def _both(one: list[Conjunction], other: list[Conjunction]) -> list[Conjunction]:
    if len(one) * len(other) > MAX_CONJUNCTIONS:
        return min(one, other, key=len)
    return [first + second for first in one for second in other]


def _is_of_shape(node: Node) -> bool:
    kind, below = node["type"], node["children"]
    if kind in ("not_expression", "and_expression", "or_expression", "comparator"):
        return all(map(_is_of_shape, below))
    return kind == "literal" or (
        kind == "function_expression" and node["value"] == "length" and path_of(below[0]) is not None
    )


_BY_TYPE: Final = frozenset({"length", "contains", "starts_with", "ends_with", "lower", "upper", "matches", "glob"})


def _breaks_by_type(node: Node) -> bool:
    """Whether the types of the values that *node* reads are all that decides whether it raises."""
    kind, below = node["type"], node["children"]
    if kind == "not_expression":
        return _breaks_by_type(below[0])
    if kind == "comparator" or (kind == "function_expression" and node["value"] in _BY_TYPE):
        return all(
            child["type"] == "literal"
            or path_of(child) is not None
            or (kind == "comparator" and _breaks_by_type(child))
            for child in below
        )
    return False


def _is_text(node: Node) -> bool:
    return node["type"] == "literal" and isinstance(node["value"], str)


def _folds(node: Node) -> bool:
    """A path, or lower() of one: what it equals tells the case-folded text that stands there."""
    if node["type"] == "function_expression" and node["value"] == "lower":
        node = node["children"][0]
    return path_of(node) is not None


# --- what may raise ---------------------------------------------------------------------------------------------------

# Functions that raise nothing but for the types of their arguments, and what they give (null aside).
_TOTAL: Final = {
    "starts_with": "boolean", "ends_with": "boolean", "contains": "boolean", "in_list": "boolean", "glob": "boolean",
    "matches": "boolean", "in_cidr": "boolean", "lower": "string", "upper": "string", "length": "number",
    "to_string": "string", "type": "string", "to_number": "number", "json": None, "not_null": None, "to_array": "array",
}  # fmt: skip
_JSON_TYPES: Final = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}


def may_raise(node: Node, types: Types) -> bool:
    """Whether evaluating *node* on an event of these *types* might be an EvaluationError; rather yes than no."""
    kind = node["type"]
    if any(may_raise(child, types) for child in children(node)):
        return True
    if kind == "comparator" and node["value"] not in ("eq", "ne"):
        left, right = (_type(child, types) for child in node["children"])
        return left is None or left != right
    if kind == "function_expression":
        return not _safe_call(node, types)
    return False


def _safe_call(node: Node, types: Types) -> bool:
    name, given = node["value"], node["children"]
    if name not in _TOTAL:
        return False
    for child, allowed in zip(given, functions.wanted(name, len(given)), strict=True):
        if allowed and _type(child, types) not in allowed and not _is_networks(name, child):
            return False
    if name == "contains":
        return _type(given[0], types) == "array" or _type(given[1], types) == "string"
    if name == "in_list":  # a list may hold what no list of names can
        return _type(given[0], types) != "array"
    if name in ("matches", "glob"):
        return _is_text(given[1])  # checked when the rule was loaded
    return name != "in_cidr" or given[1]["type"] == "literal" or _is_networks(name, given[1])


def _is_networks(name: str, node: Node) -> bool:
    return name == "in_cidr" and (
        node["type"] == "literal" or (node["type"] == "multi_select_list" and all(map(_is_text, node["children"])))
    )


def _type(node: Node, types: Types) -> str | None:
    """The JSON type that *node* gives where it gives anything but null; None if that cannot be told."""
    kind = node["type"]
    if kind == "literal":
        return _JSON_TYPES.get(type(node["value"]))
    if kind in ("comparator", "not_expression"):
        return "boolean"
    if kind in ("multi_select_list", "projection", "filter_projection", "value_projection", "flatten"):
        return "array"
    if kind == "function_expression":
        return _TOTAL.get(node["value"])
    if kind == "or_expression":
        first, second = (_type(child, types) for child in node["children"])
        return first if first == second else None
    path = path_of(node)
    found = types.get(path) if path is not None else None
    return "number" if found == "integer" else found
