"""The tests that rules carry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine import kinds, packs
from engine.errors import ConfigurationError, DecodeError
from engine.event import Fields
from engine.examples import Result, Verdict, run
from engine.kinds import Kind

HEAD = """\
id: a.rule
title: t
severity: high
description: d
kind: tencent.cloudaudit
match: eventName == 'X' && norm.actor_type == 'root'
"""


def results(folder: Path, text: str) -> list[Result]:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    rules = packs.load([str(folder / "a.yaml")])
    return run(rules, lambda name: kinds.kind(name, redaction_key=bytes(32)))


def outcomes(folder: Path, *tests: str, head: str = HEAD) -> list[tuple[Verdict, str]]:
    found = results(folder, head + "tests:\n" + "".join(f"  - {{name: t, {test}}}\n" for test in tests))
    return [(result.verdict, result.reason) for result in found]


def test_samples_pass_through_the_same_decode_as_real_events(tmp_path: Path) -> None:
    assert outcomes(tmp_path, "event: {eventName: X, userIdentity: {type: root}}, expect: alert") == [
        (Verdict.PASSED, "")
    ]


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("event: {eventName: Y}, expect: alert", "expected an alert, but no event raises the rule"),
        (
            "event: {eventName: X, userIdentity: {type: Root}}, expect: nothing",
            "expected nothing, but the event raises the rule",
        ),
        (
            "events: [{eventName: Y}, {eventName: X, userIdentity: {type: Root}}], expect: nothing",
            "expected nothing, but event 2 raises the rule",
        ),
    ],
)
def test_a_test_that_does_not_end_as_expected_says_why(tmp_path: Path, test: str, reason: str) -> None:
    assert outcomes(tmp_path, test) == [(Verdict.FAILED, reason)]


def test_an_exception_counts_even_after_it_expired(tmp_path: Path) -> None:
    head = HEAD + "unless:\n  - {match: a == 'drill', reason: a drill, owner: me, expires: 2001-01-01}\n"
    event = "event: {eventName: X, a: drill, userIdentity: {type: Root}}"

    passed, failed = outcomes(tmp_path, f"{event}, expect: nothing", f"{event}, expect: alert", head=head)

    assert passed == (Verdict.PASSED, "")
    assert failed[1].startswith("expected an alert, but an exception holds: a drill")


def test_a_rule_that_breaks_on_a_sample_fails_the_test(tmp_path: Path) -> None:
    head = HEAD.replace("eventName == 'X'", "starts_with(requestParameters, 'X')")

    ((verdict, reason),) = outcomes(tmp_path, "event: {requestParameters: {a: b}}, expect: nothing", head=head)

    assert verdict is Verdict.FAILED
    assert reason.startswith("the event breaks the rule: match: starts_with() wants string, here it has object")


FAIL = "event: {eventName: X, userIdentity: {type: Root}}"
COUNT = HEAD + "count: {at_least: 3, within: 15m}\n"
ABSENT = HEAD.split("match", maxsplit=1)[0] + (
    "sequence: {within: 1h, steps: [{match: eventName == 'Open'}, {absent: eventName == 'Close'}]}\n"
)


@pytest.mark.parametrize(
    ("head", "test"),
    [
        (COUNT, f"{FAIL}, repeat: {{every: 1m, times: 3}}, expect: alert"),
        (COUNT, f"{FAIL}, repeat: {{every: 1m, times: 5}}, expect: [{{at: 2m, count: 5}}]"),
        (COUNT, f"{FAIL}, repeat: {{every: 1m, times: 5}}, expect: alert, alerts: [{{at: 2m}}]"),
        (COUNT, f"{FAIL}, repeat: {{every: 15m, times: 9}}, expect: nothing"),
        (COUNT, f"{FAIL}, repeat: {{every: 15m, times: 9}}, expect: []"),
        (ABSENT, "event: {eventName: Open}, until: 1h, expect: [{at: 1h}]"),
        (ABSENT, "event: {eventName: Open}, expect: nothing"),
        (ABSENT, "events: [{eventName: Open}, {event: {eventName: Close}, at: 9m}], until: 2h, expect: nothing"),
        (HEAD + "silent: {for: 10m}\n", f"{FAIL}, at: 1m, until: 11m, expect: [{{at: 11m}}]"),
        (HEAD + "first_seen: {values: [userIdentity.userName], over: 1d}\n", f"{FAIL}, expect: nothing"),
    ],
)
def test_a_rule_with_memory_is_tested_over_time(tmp_path: Path, head: str, test: str) -> None:
    assert outcomes(tmp_path, test, head=head) == [(Verdict.PASSED, "")]


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        (
            f"{FAIL}, repeat: {{every: 1m, times: 2}}, expect: alert",
            "expected an alert, but no story comes of the 2 of 2 events that match",
        ),
        (
            f"{FAIL}, repeat: {{every: 1m, times: 4}}, expect: nothing",
            "expected nothing, but there is 1 alert: at 0:02:00 of 4",
        ),
        (
            f"{FAIL}, repeat: {{every: 1m, times: 4}}, expect: [{{at: 3m, count: 3}}]",
            "expected 1 alert: at 0:03:00 of 3, but there is 1 alert: at 0:02:00 of 4",
        ),
    ],
)
def test_a_test_over_time_that_fails_says_what_there_is(tmp_path: Path, test: str, reason: str) -> None:
    assert outcomes(tmp_path, test, head=COUNT) == [(Verdict.FAILED, reason)]


def test_a_repeated_event_can_carry_its_number(tmp_path: Path) -> None:
    event = "event: {eventName: X, a: 'user{n}', b: [{c: '{n}'}], userIdentity: {type: Root}}"
    rules = HEAD + "count: {at_least: 3, within: 15m, distinct: a}\n"

    assert outcomes(
        tmp_path, f"{event}, repeat: {{every: 1m, times: 3}}, expect: [{{at: 2m, count: 3}}]", head=rules
    ) == [(Verdict.PASSED, "")]


def test_a_rule_without_memory_has_no_test_over_time(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="one of a rule with memory"):
        results(tmp_path, HEAD + f"tests:\n  - {{name: t, {FAIL}, until: 1h, expect: alert}}\n")


def test_rules_that_are_off_are_tested_too(tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").write_text("version: 1\ntitle: p\ndisabled: [a.rule]\n")

    assert outcomes(tmp_path, "event: {eventName: Y}, expect: alert") == [
        (Verdict.FAILED, "expected an alert, but no event raises the rule")
    ]


def test_a_sample_that_is_no_event_fails_its_test(tmp_path: Path) -> None:
    class Refusing:
        def view(self, sample: Mapping[str, Any]) -> Fields:
            raise DecodeError("eventTime is no time")

    (tmp_path / "a.yaml").write_text(HEAD + "tests:\n  - {name: t, event: {a: b}, expect: nothing}\n")
    refusing: Any = Refusing()

    def kind_of(name: str) -> Kind:
        kind: Kind = refusing
        return kind

    (result,) = run(packs.load([str(tmp_path / "a.yaml")]), kind_of)

    assert (result.verdict, result.reason) == (Verdict.FAILED, "the event is no event: eventTime is no time")


def test_a_result_knows_where_its_test_stands(tmp_path: Path) -> None:
    (result,) = results(tmp_path, HEAD + "tests:\n  - name: first\n    event: {a: b}\n    expect: nothing\n")

    assert (result.rule_id, result.test, result.place.line, result.place.column) == ("a.rule", "first", 8, 5)
