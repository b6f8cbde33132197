"""The index only prunes: with it and without it, the same rules match and the same rules break."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EvaluationError, Place
from engine.evaluate import evaluate
from engine.event import Record
from engine.expression import ExpressionFault, parse, parse_template
from engine.kinds import kind
from engine.kinds.aws_cloudtrail import ROWS as AWS_ROWS
from engine.matching import index
from engine.rule import Rule, RuleSet, Severity, Status
from tests.laws.test_projection_laws import (
    AWS,
    TENCENT,
    aws_identity,
    inner_events,
    outer_fields,
    records,
)

SHARED = Path(os.environ.get("TOCSIN_SHARED") or Path(__file__).resolve().parents[2].parent / "shared") / "data"
LISTS = {
    "names": frozenset({"aa", "consolelogin", "deleteuser", "createuser"}),
    "errors": frozenset({"0", "1", "unauthorizedoperation.camnoauth", "accessdenied"}),
}
DAY = date(2026, 1, 1)

PATHS = ["eventName", "norm.action", "norm.outcome", "norm.actor_type", "norm.ip", "norm.mfa", "norm.service", "errorCode",
         "sourceIPAddress", "userAgent", "userIdentity.type", "userIdentity.userName", "userIdentity.sessionContext.mfa",
         "userIdentity.sessionContext.attributes.mfaAuthenticated", "requestParameters.a", "requestParameters.Ingress.a",
         "requestParameters.Ids", "requestParameters.Filter.Ids", "Value", "userIdentity.Value", "sensitiveAction", "eventTime", "resources", "unknownField", "eventSource", "awsRegion"]  # fmt: skip
TEXTS = ["Aa", "aa", "ConsoleLogin", "0", "ok", "denied", "root", "1", "", "10.", "Root", "AccessDenied", "AssumeRole",
         "iam.amazonaws.com", "us-east-1"]  # fmt: skip
paths = st.sampled_from(PATHS)
texts = st.sampled_from(TEXTS)


def conditions() -> st.SearchStrategy[str]:
    """Conditions as people write them, and some that break on the wrong type."""
    names = st.just("eventName") | st.just("norm.action")
    return st.one_of(
        st.tuples(names, texts).map(lambda t: f"{t[0]} == '{t[1]}'"),
        names.map(lambda p: f"in_list({p}, 'names')"),
        st.tuples(names, st.lists(texts, min_size=1)).map(lambda t: f"contains(`{json.dumps(t[1])}`, {t[0]})"),
        st.tuples(names, texts).map(lambda t: f"lower({t[0]}) == '{t[1].lower()}'"),
        st.tuples(paths, st.sampled_from(["==", "!="]), texts).map(lambda t: f"{t[0]} {t[1]} '{t[2]}'"),
        st.tuples(paths, st.sampled_from(["`true`", "`false`", "`null`", "`0`", "`1`"])).map(lambda t: f"{t[0]} == {t[1]}"),
        st.tuples(paths, texts).map(lambda t: f"starts_with({t[0]}, '{t[1]}')"),
        st.tuples(paths, texts).map(lambda t: f"contains({t[0]}, '{t[1]}')"),
        paths.map(lambda p: f"in_list({p}, 'errors')"),
        paths.map(lambda p: f"{p} > `1`"),
        paths.map(lambda p: f"length({p}) > `1`"),
        paths.map(lambda p: f"!{p}"),
        paths.map(lambda p: f"matches({p}, '(?i)^a')"),
        paths.map(lambda p: f"in_cidr({p}, '10.0.0.0/8')"),
        paths.map(lambda p: f"{p}[?a == 'x']"),
        st.tuples(paths, paths).map(lambda t: f"{t[0]} == {t[1]}"),
        st.sampled_from(["keys(@)", "length(@) > `20`", "`0`", "'x'", "norm", "userIdentity", "length(norm) > `9`"]),
    )  # fmt: skip


def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.tuples(inner, st.sampled_from(["&&", "||", "&&"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
        | st.tuples(inner, st.sampled_from(["&&", "||", "&&"]), inner).map(lambda t: f"{t[0]} {t[1]} {t[2]}")
        | inner.map(lambda text: f"!({text})")
    )


expressions = st.recursive(conditions(), joined, max_leaves=7)


def rules_of(kind_name: str, matches: list[str], *, indexed: bool) -> RuleSet:
    rules = []
    for number, text in enumerate(matches):
        try:
            match = parse(text, lists=LISTS)
        except ExpressionFault:
            continue
        rules.append(
            Rule(
                f"r.{number}",
                parse_template("t", lists={}),
                Severity.LOW,
                Status.STABLE,
                kind_name,
                "",
                match,
                Place("rules.yaml"),
                "1",
            )
        )
    return RuleSet(tuple(rules), LISTS, indexed=indexed)


def outcomes(rules: RuleSet, a_kind: Any, raw: bytes) -> Any:
    event = a_kind.decode(Record(raw)).event
    if event is None:
        return None
    matches, faults = evaluate(rules, event, DAY)
    return [match.rule.id for match in matches], [(fault.rule_id, fault.message) for fault in faults]


def interpreted(rules: RuleSet, a_kind: Any, raw: bytes) -> Any:
    """The same without anything of the matcher: a loop over the interpreter, on the full decode."""
    event = a_kind.decode(Record(raw)).event
    if event is None:
        return None
    met, broken = [], []
    for rule in rules:
        try:
            if rule.match.holds(a_kind.whole(raw)):
                met.append(rule.id)
        except EvaluationError as error:
            broken.append((rule.id, f"match: {error}"))
    return met, broken


def compare(a_kind: Any, matches: list[str], raws: list[bytes], *, lessons: int) -> None:
    """
    Every event twice, so that what is remembered is used; after *lessons* the index reads as it has learned.

    The kind is a new one each time: what its structs hold depends on what has been asked before.
    """
    on, off = (rules_of(a_kind.name, matches, indexed=indexed) for indexed in (True, False))
    a_kind = kind(a_kind.name, redaction_key=b"k" * 32)
    with patch.object(index, "LESSONS", lessons):
        for raw in raws * 2:
            wanted = interpreted(off, a_kind, raw)
            assert outcomes(on, a_kind, raw) == wanted
            assert outcomes(off, a_kind, raw) == wanted


@settings(max_examples=150, deadline=None)
@given(
    st.lists(expressions, min_size=1, max_size=12),
    st.lists(st.tuples(inner_events, st.none() | outer_fields), max_size=6),
    st.integers(1, 8),
)
def test_on_odd_cloudaudit_events(matches: list[str], pairs: list[Any], lessons: int) -> None:
    raws = [
        json.dumps(inner if outer is None else {**outer, "CloudAuditEvent": json.dumps(inner)}).encode()
        for inner, outer in pairs
    ]

    compare(TENCENT, matches, raws, lessons=lessons)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(expressions, min_size=1, max_size=12),
    st.lists(records(AWS_ROWS, aws_identity), max_size=6),
    st.integers(1, 8),
)
def test_on_odd_cloudtrail_records(matches: list[str], found: list[dict[str, Any]], lessons: int) -> None:
    compare(AWS, matches, [json.dumps(record).encode() for record in found], lessons=lessons)


ALIKE: list[Any] = [0, False, 0.0, "0", 1, True, 1.0, "1", None, ""]
ONE_BY_ONE = ["errorCode", "apiErrorCode", "userAgent", "sourceIPAddress", "sensitiveAction", "eventSource"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(ONE_BY_ONE), st.lists(st.sampled_from(ALIKE), min_size=2, max_size=12), st.booleans(), st.booleans()
)
def test_equal_keys_of_different_types_are_not_taken_for_one_another(
    field: str, values: list[Any], outer: bool, learned: bool
) -> None:
    """0, false, 0.0 and "0" are three equal keys and a text: each must be read for itself."""
    same = {"eventName": "Aa", "eventID": "1", "eventTime": 1_700_000_000, "userIdentity": {"accountId": "1"}}
    events = [{**same, field: value} for value in ([] if learned else ["x", "y", "z", "z"]) + values]
    raws = [
        json.dumps({"AccountID": 1, "CloudAuditEvent": json.dumps(one)} if outer else one).encode() for one in events
    ]
    rules = [f"{field} == '{text}'" for text in ("0", "1", "true", "false")]

    compare(TENCENT, rules, raws, lessons=3)


def real_records() -> Iterator[bytes]:
    for path in sorted(SHARED.glob("*.jsonl*")) if SHARED.is_dir() else []:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for line in lines:
                value = json.loads(line)
                event = value.get("event", value) if isinstance(value, dict) else value
                if isinstance(event, dict) and "eventName" in event:
                    yield json.dumps(event).encode()


REAL = [
    "eventName == 'ConsoleLogin' && norm.outcome == 'ok'",
    "eventSource == 'iam.amazonaws.com' && contains(['CreateUser', 'CreateAccessKey', 'AttachUserPolicy'], eventName)",
    "eventName == 'StopLogging' || eventName == 'DeleteTrail' || eventName == 'UpdateTrail'",
    "userIdentity.type == 'Root' && !(userIdentity.invokedBy) && eventType != 'AwsServiceEvent'",
    "norm.actor_type == 'root' && norm.outcome != 'ok'",
    "starts_with(eventName, 'Delete') && norm.outcome == 'ok'",
    "contains(userAgent, 'aws-cli') && norm.mfa == `false`",
    "errorCode == 'AccessDenied' && !starts_with(eventName, 'List')",
    "contains(to_string(requestParameters), '0.0.0.0/0')",
    "eventName == 'AuthorizeSecurityGroupIngress' && requestParameters.ipPermissions.items[?ipRanges.items[?cidrIp == '0.0.0.0/0']]",
    "requestParameters.roleArn && !(userIdentity.sessionContext.attributes.mfaAuthenticated == 'true')",
    "in_cidr(sourceIPAddress, '10.0.0.0/8')",
    "length(requestParameters.instancesSet.items) > `5`",
    "readOnly == `false` && managementEvent == `true` && awsRegion != 'us-east-1'",
    "sort(requestParameters.x) || eventName > `1`",
    *(f"lower(eventName) == '{name.lower()}' && norm.outcome == 'denied'" for name in ("AssumeRole", "GetObject", "PutObject")),
]  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real events are not beside the checkout")
def test_on_real_cloudtrail_records() -> None:
    on, off = (rules_of("aws.cloudtrail", REAL, indexed=indexed) for indexed in (True, False))
    a_kind = kind("aws.cloudtrail", redaction_key=b"k" * 32)
    matched = 0
    for number, raw in enumerate(real_records()):
        if number % 4:  # a quarter of them keeps this short; the bench takes all
            continue
        found = outcomes(on, a_kind, raw)
        assert found == outcomes(off, a_kind, raw)
        matched += bool(found and found[0])

    assert matched > 100
