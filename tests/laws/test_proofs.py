"""The law of the checks: what is said to never hold, to always hold or to follow, does, on every event that we can make."""

from __future__ import annotations

import sys
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import EvaluationError
from engine.expression import Expression, parse
from engine.kinds import kind, schema
from engine.lint.possible import Possible
from engine.lint.proof import Prover
from engine.lint.schema import Schema

KIND = kind("tencent.cloudaudit", redaction_key=b"a key for tests only, 32 bytes..")
CLOUDTRAIL = kind("aws.cloudtrail", redaction_key=b"a key for tests only, 32 bytes..")
LISTS = {
    "calls": frozenset({"stop", "straße", "createtopic"}),
    "one": frozenset({"stop"}),
    "no": frozenset({"x", "1"}),
    "nets": frozenset({"10.0.0.0/9", "10.128.0.0/9", "fe80::/64"}),
}
PROVER = Prover(Schema.of(KIND.fields, uniform=True, aliases=schema(KIND.name).aliases), LISTS)
LOOSE = Prover(Schema.of(KIND.fields), LISTS)  # as for a kind whose types are not enforced
FREE = Prover(Schema.of(CLOUDTRAIL.fields, aliases=schema(CLOUDTRAIL.name).aliases), LISTS)

texts = st.sampled_from(
    ["Stop", "stop", "STOP", "ſtop", "createTopic", "CreateTopic", "strasse", "Straße", "", "0", "1", "x", "xy", "null"]
)
addresses = st.sampled_from(
    ["10.1.2.3", "10.200.0.1", "192.0.2.1", "::ffff:10.1.2.3", "fe80::1", "fe81::1", "AWS Internal", ""]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from([0.0, -0.0, 1.0, 2.5]) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
    max_leaves=4,
)
samples = st.fixed_dictionaries(
    {},
    optional={
        "eventName": texts | anything,
        "errorCode": st.sampled_from(["0", "4102", 0, 1, None]),
        "sourceIPAddress": addresses | anything,
        "apiErrorCode": st.sampled_from(["0", "UnauthorizedOperation", "LimitExceeded"]),
        "sensitiveAction": st.sampled_from([0, 1, "0", "1", True, False]) | anything,
        "eventTime": st.integers(0, 4) | anything,
        "actionType": st.sampled_from(["Read", "Write", "write"]),
        "resourceType": texts,
        "userIdentity": st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["Root", "CAMUser", "x"]),
                "userName": texts,
                "accountId": texts,
                "principalId": texts,
            },
        )
        | anything,
        "requestParameters": st.dictionaries(st.sampled_from(["a", "b"]), anything, max_size=2) | anything,
        "resources": st.lists(texts, max_size=2),
    },
)

paths = st.sampled_from(
    [
        "eventName", "errorCode", "sensitiveAction", "eventTime", "norm.outcome", "norm.actor_type", "norm.mfa", "norm.account",
        "norm.service", "userIdentity", "userIdentity.type", "userIdentity.userName", "requestParameters", "requestParameters.a",
        "requestParameters.a.b", "requestParameters.b", "zzz", "errorCode.x", "resources", "norm.action", "norm.action",
        "sourceIPAddress",
    ]
)  # fmt: skip
wrapped = paths | st.tuples(st.sampled_from(["lower", "upper", "to_string", "type", "length", "to_number", "to_array"]), paths).map(
    lambda t: f"{t[0]}({t[1]})"
) | paths.map(lambda path: f"lower(to_string({path}))") | paths.map(lambda path: f"not_null({path}, errorCode, 'x')")  # fmt: skip
literals = st.sampled_from(
    ["'Stop'", "'stop'", "'STOP'", "'0'", "'4102'", "'ok'", "'denied'", "'root'", "''", "'x'", "'string'", "'null'", "`0`", "`1`", "`1.0`",
     "`2`", "`true`", "`false`", "`null`", "`[]`", "`{}`", "`[1]`", "'createtopic'", "'CreateTopic'"]
)  # fmt: skip
networks = st.sampled_from(
    ["'10.0.0.0/8'", "'10.0.0.0/9'", "['10.0.0.0/9', '10.128.0.0/9']", "'192.0.2.0/24'", "'0.0.0.0/0'", "'::/0'", "'fe80::/10'", "'nets'"]
)  # fmt: skip
atoms = (
    st.tuples(wrapped, st.sampled_from(["==", "!=", "==", "<", "<=", ">", ">="]), literals).map(" ".join)
    | st.tuples(literals, st.sampled_from(["==", "!=", "<", ">="]), wrapped).map(" ".join)
    | st.tuples(wrapped, wrapped).map(lambda t: f"{t[0]} == {t[1]}")
    | wrapped
    | st.tuples(wrapped, st.sampled_from(sorted(LISTS))).map(lambda t: f"in_list({t[0]}, '{t[1]}')")
    | st.tuples(st.sampled_from(["starts_with", "ends_with", "contains"]), wrapped, st.sampled_from(["s", "st", "St", "x", "top", ""])).map(
        lambda t: f"{t[0]}({t[1]}, '{t[2]}')"
    )
    | wrapped.map(lambda t: f"contains(['stop', 'x', '0'], {t})")
    | wrapped.map(lambda t: f'contains(`[0, "x"]`, {t})')
    | wrapped.map(lambda t: f"matches({t}, '^s')")
    | st.tuples(st.just("sourceIPAddress") | wrapped, networks).map(lambda t: f"in_cidr({t[0]}, {t[1]})")
    | st.tuples(paths, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.sampled_from(["-1", "0", "1", "1.5", "3"])).map(
        lambda t: f"length({t[0]}) {t[1]} `{t[2]}`"
    )
    | st.sampled_from(["requestParameters.a[0]", "resources[?@ == 'x']", "requestParameters | a == 'x'", "(!requestParameters).a", "`true`", "@", "keys(@)", "requestParameters.*"])
)  # fmt: skip
conditions = st.recursive(
    atoms,
    lambda inner: (
        st.tuples(inner, inner).map(lambda t: f"({t[0]}) && ({t[1]})")
        | st.tuples(inner, inner).map(lambda t: f"({t[0]}) || ({t[1]})")
        | inner.map(lambda t: f"!({t})")
    ),
    max_leaves=5,
)


def holds(expression: Expression, fields: Any) -> bool | None:
    """None: it breaks."""
    try:
        return expression.holds(fields)
    except EvaluationError:
        return None


@settings(max_examples=300, deadline=None)
@given(conditions, st.lists(samples, min_size=6, max_size=6))
@example(
    "in_list(eventName, 'calls') && !(lower(eventName) == 'stop') && in_list(eventName, 'one')", [{"eventName": "ſtop"}]
)
@example("upper(eventName) == 'STOP' && !in_list(eventName, 'one')", [{"eventName": "Stop"}])
def test_what_is_said_of_a_condition_is_so(text: str, events: list[dict[str, Any]]) -> None:
    expression = parse(text, lists=LISTS)
    answers = [holds(expression, KIND.view(event)) for event in events]

    if PROVER.never(expression.tree):
        assert True not in answers
    if PROVER.always(expression.tree):
        assert set(answers) <= {True}


@settings(max_examples=300, deadline=None)
@given(conditions, conditions, st.lists(samples, min_size=6, max_size=6))
def test_what_is_said_to_follow_follows(first: str, second: str, events: list[dict[str, Any]]) -> None:
    narrow, wide = parse(f"({first}) && ({second})", lists=LISTS), parse(f"({second}) || norm.mfa", lists=LISTS)
    one, other = parse(first, lists=LISTS), parse(second, lists=LISTS)

    for left, right in ((narrow, wide), (narrow, one), (one, other), (wide, narrow)):
        if PROVER.implies(left.tree, right.tree):
            for event in events:
                fields = KIND.view(event)
                assert not (holds(left, fields) is True and holds(right, fields) is not True)
    if not PROVER.together(one.tree, other.tree):
        assert not any(holds(one, fields) and holds(other, fields) for fields in map(KIND.view, events))


@settings(max_examples=300, deadline=None)
@given(
    conditions,
    st.dictionaries(st.sampled_from(["eventName", "errorCode", "userIdentity", "sensitiveAction"]), anything),
)
def test_without_enforced_types_nothing_rests_on_them(text: str, event: dict[str, Any]) -> None:
    expression = parse(text, lists=LISTS)
    fields = {**event, "norm": {"outcome": "ok", "actor_type": "root"}}

    if LOOSE.never(expression.tree):
        assert holds(expression, fields) is not True
    if LOOSE.always(expression.tree):
        assert holds(expression, fields) is True


@settings(max_examples=300, deadline=None)
@given(conditions, conditions, st.lists(samples, min_size=6, max_size=6))
@example("norm.action == '5'", "eventName == '5'", [{"eventName": 5}])
@example("in_list(eventName, 'one')", "in_list(eventName, 'calls')", [{"eventName": ["x", {}, "stop"]}])
def test_of_cloudtrail_is_said_what_is_so(first: str, second: str, events: list[dict[str, Any]]) -> None:
    one, other = parse(first, lists=LISTS), parse(second, lists=LISTS)
    both = parse(f"({first}) && ({second})", lists=LISTS)
    views = [CLOUDTRAIL.view(event) for event in events]

    for expression in (one, both):
        answers = [holds(expression, fields) for fields in views]
        assert not (FREE.never(expression.tree) and True in answers)
        assert not (FREE.always(expression.tree) and set(answers) != {True})
    for left, right in ((one, other), (both, one)):
        if FREE.implies(left.tree, right.tree):
            assert not any(holds(left, fields) is True and holds(right, fields) is not True for fields in views)


def test_case_folding_takes_no_notice_of_lower() -> None:
    characters = map(chr, range(sys.maxunicode + 1))

    assert [c for c in characters if c.lower().casefold() != c.casefold() or c.lower().lower() != c.lower()] == []


def test_upper_case_stays_upper_case() -> None:
    assert [c for c in map(chr, range(sys.maxunicode + 1)) if c.upper().upper() != c.upper()] == []


@settings(max_examples=500, deadline=None)
@given(conditions)
def test_what_a_quick_look_takes_for_possible_the_proof_does_not_refute(text: str) -> None:
    expression = parse(text, lists=LISTS)

    for prover in (PROVER, LOOSE, FREE):
        if Possible(prover)(expression):
            assert not prover.never(expression.tree)
