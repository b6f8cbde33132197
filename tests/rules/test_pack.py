"""The built-in pack for Tencent Cloud, as a whole: what holds for every rule of it, through the real loader and decode."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from engine.alert import Match
from engine.emulator.traffic import intrusion, ordinary
from engine.evaluate import evaluate
from engine.event import Event, Identity, Record
from engine.examples import run
from engine.kinds import Kind, kind
from engine.lint import lint
from engine.packs.files import builtin_root
from engine.packs.loader import Examined, examine
from engine.rule import Rule, RuleSet, Severity
from engine.stream import Stream
from tests.rules.shapes import STRANGE, paths, with_value

ROOT = builtin_root()
EXAMINED: Examined = examine(["builtin:tencent"])
RULES: RuleSet = EXAMINED.rules
KIND: Kind = kind("tencent.cloudaudit", redaction_key=b"a key for tests only, 32 bytes..")
TODAY = date(2026, 1, 1)

each_rule = pytest.mark.parametrize("rule", list(RULES), ids=lambda rule: rule.id)


def _evaluated(rules: RuleSet, sample: Mapping[str, Any]) -> tuple[list[Match], list[str]]:
    """What *rules* make of a hand-written event, and the messages of their faults."""
    fields = KIND.view(sample)
    event = Event(Identity(KIND.name, "1", "1"), time=0, name="", raw=b"", decode=lambda _: fields)
    matches, faults = evaluate(rules, event, TODAY)
    return matches, [f"{fault.rule_id}: {fault.message}" for fault in faults]


def _alone(rule: Rule) -> RuleSet:
    return RuleSet((replace(rule, enabled=True),), RULES.lists)


def _samples(rule: Rule, expect: str) -> list[Mapping[str, Any]]:
    return [event for test in rule.tests if test.expect == expect for event in test.events]


# --- the files ---------------------------------------------------------------------------------------------------------


def test_the_pack_loads_without_a_problem() -> None:
    assert [str(problem) for problem in EXAMINED.problems] == []


def test_the_checks_find_nothing_doubtful() -> None:
    assert [str(problem) for problem in lint(EXAMINED, lambda _: KIND.fields, TODAY)] == []


def test_there_are_at_least_forty_rules_and_no_two_share_an_id() -> None:
    ids = [rule.id for rule in RULES]

    assert len(ids) >= 40
    assert [rule_id for rule_id, times in Counter(ids).items() if times > 1] == []


def test_every_file_below_a_folder_is_a_rule() -> None:
    files = sorted((ROOT / "tencent").glob("*/*.yaml"))

    assert sorted(Path(rule.place.file).resolve() for rule in RULES) == [file.resolve() for file in files]


@each_rule
def test_a_rule_stands_where_its_id_says(rule: Rule) -> None:
    pack, area, name = rule.id.split(".")

    assert Path(rule.place.file).relative_to(ROOT).parts == (pack, area, f"{name}.yaml")


def test_every_list_is_named_as_its_file_and_used_by_a_rule() -> None:
    files = {path.stem for path in (ROOT / "lists").glob("*.yaml") if not path.stem.startswith("aws_")}
    asked = {name for rule in RULES for name in re.findall(r"in_list\([^']*'([^']+)'\)", rule.match.text)}

    assert files <= set(RULES.lists)
    assert sorted(files - asked) == []


@each_rule
def test_a_rule_names_current_techniques_of_attack(rule: Rule) -> None:
    assert rule.attack is not None
    assert rule.attack.version == 18
    assert [t for t in rule.attack.techniques if not re.fullmatch(r"T\d{4}(\.\d{3})?", t)] == []
    pages = {f"https://attack.mitre.org/techniques/{t.replace('.', '/')}/" for t in rule.attack.techniques}
    assert pages <= set(rule.references)


@each_rule
def test_a_rule_says_what_to_do_in_three_to_six_steps(rule: Rule) -> None:
    steps = re.findall(r"^(\d)\. ", rule.runbook, re.MULTILINE)

    assert steps == [str(number + 1) for number in range(len(steps))]
    assert 3 <= len(steps) <= 6
    assert rule.false_positives
    assert [r for r in rule.references if "cloud.tencent.com" in r]


@each_rule
def test_a_rule_compares_names_of_events_without_regard_to_case(rule: Rule) -> None:
    assert "eventName" not in re.sub(r"lower\(eventName\)|in_list\(eventName,", "", rule.match.text)
    assert [n for n in re.findall(r"lower\(eventName\) [!=]= '([^']+)'", rule.match.text) if n != n.lower()] == []


# --- the tests that rules carry ----------------------------------------------------------------------------------------


@each_rule
def test_a_rule_shows_at_least_two_events_that_raise_it_and_two_that_must_not(rule: Rule) -> None:
    assert len(_samples(rule, "alert")) >= 2
    assert len(_samples(rule, "nothing")) >= 2
    assert [name for name, times in Counter(test.name for test in rule.tests).items() if times > 1] == []


@each_rule
def test_the_tests_of_a_rule_pass(rule: Rule) -> None:
    results = run([rule], lambda _: KIND)

    assert [f"{r.place}: {r.test}: {r.reason}" for r in results if r.verdict != "passed"] == []


@each_rule
def test_the_first_event_that_raises_a_rule_fills_the_title(rule: Rule) -> None:
    fields = KIND.view(_samples(rule, "alert")[0])
    norm = {expression.text: expression.search(fields) for expression, _ in rule.title.expressions()}

    assert {text: value for text, value in norm.items() if text.startswith("norm.") and not value} == {}
    assert "{" not in rule.title.render(fields).replace('{"', "")


# --- robustness --------------------------------------------------------------------------------------------------------


@each_rule
def test_no_shape_of_an_event_breaks_a_rule(rule: Rule) -> None:
    rules = _alone(rule)
    broken: list[str] = []
    for sample in _samples(rule, "alert")[:4]:
        for path in paths(sample):
            if path:
                for value in STRANGE:
                    broken += _evaluated(rules, with_value(sample, path, value))[1]

    assert sorted(set(broken)) == []


def test_no_rule_breaks_on_the_events_of_another() -> None:
    broken = [
        fault for rule in RULES for test in rule.tests for event in test.events for fault in _evaluated(RULES, event)[1]
    ]

    assert broken == []


def test_an_empty_event_raises_nothing() -> None:
    alone = [rule for rule in RULES if rule.memory is None]  # the others do not tell by one event
    every = RuleSet(tuple(replace(rule, enabled=True) for rule in alone), RULES.lists)

    assert _evaluated(every, {}) == ([], [])


def _matches(rules: RuleSet, event: Mapping[str, Any]) -> bool:
    return bool(_evaluated(rules, event)[0])


@each_rule
def test_parameters_as_a_json_string_say_the_same_as_an_object(rule: Rule) -> None:
    rules = _alone(rule)
    for test in rule.tests:
        for event in test.events:
            if isinstance(event.get("requestParameters"), dict):
                text = {**event, "requestParameters": json.dumps(event["requestParameters"])}
                assert bool(_evaluated(rules, text)[0]) == _matches(rules, event), test.name


@each_rule
def test_an_outer_event_says_the_same_as_the_inner_one(rule: Rule) -> None:
    rules = _alone(rule)
    for test in rule.tests:
        for event in test.events:
            outer = {
                "EventId": "1",
                "EventName": event.get("eventName"),
                "EventTime": "1742884755",
                "CloudAuditEvent": json.dumps(event),
            }
            assert bool(_evaluated(rules, outer)[0]) == _matches(rules, event), test.name


# --- what people get ---------------------------------------------------------------------------------------------------


def _told(event: Mapping[str, Any]) -> list[Rule]:
    decoded = KIND.decode(Record(json.dumps(event).encode()))
    assert decoded.event is not None
    matches, faults = evaluate(RULES, decoded.event, TODAY)
    assert faults == []
    return [match.rule for match in matches if match.rule.memory is None]


def test_an_ordinary_hour_adds_up_to_nothing() -> None:
    stream = Stream(RULES)
    for event in ordinary(11, 1.7e9, 1.7e9 + 3600, 0.5):
        decoded = KIND.decode(Record(json.dumps(event).encode()))
        assert decoded.event is not None
        for match in evaluate(RULES, decoded.event, TODAY)[0]:
            if match.rule.memory is not None:
                assert stream.take(match) == []
    stream.advance(int(1.7e9 + 3600))

    assert [alert.title for alert in stream.alerts.values()] == []


def test_an_ordinary_hour_wakes_nobody() -> None:
    loud = [
        rule.id
        for event in ordinary(11, 1.7e9, 1.7e9 + 3600, 0.5)
        for rule in _told(event)
        if rule.severity >= Severity.HIGH
    ]

    assert loud == []


def test_every_step_of_an_intrusion_is_told_as_high_or_critical() -> None:
    loud = {
        event["eventName"]: {rule.id for rule in _told(event) if rule.severity >= Severity.HIGH}
        for event in intrusion(1.7e9)
    }

    assert {name: rules for name, rules in loud.items() if not rules} == {}
    assert "tencent.root.console_login" in loud["ConsoleLogin"]


def test_experimental_rules_are_off_or_tell_their_matches_as_stories() -> None:
    floods = [
        rule.id
        for rule in RULES
        if rule.enabled and rule.status == "experimental" and not (rule.group_by and rule.quiet)
    ]

    assert floods == []
    assert [rule.id for rule in RULES if rule.severity == Severity.INFO and rule.enabled] == []


@pytest.mark.parametrize(
    "name", ["delete_audit_track", "unbind_mfa", "attach_user_policy", "destroy_key", "rewrite_logs"]
)
def test_sensitive_calls_hold_the_calls_of_critical_rules(name: str) -> None:
    assert RULES.lists[name] <= RULES.lists["sensitive_calls"]
