"""`tocsin test`, `tocsin rules` and `tocsin explain`, as people see them."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot

from engine.cli.explain import explain
from engine.cli.rules import rules
from engine.cli.test import test as run_tests

RULE = """\
id: mine.root.login
title: Root of {norm.account} signed in
severity: high
status: stable
description: Root should not.
kind: tencent.cloudaudit
match: |
  eventName == 'ConsoleLogin'
    && (norm.actor_type == 'root' || norm.actor_type == 'role')
    && norm.outcome == 'ok'
unless:
  - match: in_cidr(sourceIPAddress, '203.0.113.0/24')
    reason: a drill
    owner: secops@example.com
    expires: 2099-03-31
group_by: [norm.account, norm.ip]
tests:
  - {name: root signs in, event: {eventName: ConsoleLogin, userIdentity: {type: Root}}, expect: alert}
  - {name: a user signs in, event: {eventName: ConsoleLogin, userIdentity: {type: CAMUser}}, expect: nothing}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("login.yaml").write_text(RULE)
    return tmp_path


def ran(command: click.Command, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command, arguments, input=stdin, catch_exceptions=False)


def test_tests_that_end_as_expected_are_counted() -> None:
    result = ran(run_tests, "login.yaml")

    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        "ok      mine.root.login  2 tests\n2 tests of 1 rule: all as expected\n",
        "",
    )


def test_a_failing_test_is_shown_with_its_place_and_the_exit_code_is_1() -> None:
    Path("login.yaml").write_text(RULE.replace("CAMUser", "Root"))

    result = ran(run_tests, "login.yaml")

    assert result.exit_code == 1
    assert result.stdout == snapshot("""\
FAILED  mine.root.login  2 tests
        login.yaml:19:5: a user signs in: expected nothing, but the event raises the rule
2 tests of 1 rule: 1 failed
""")


def test_a_rule_without_tests_is_warned_of() -> None:
    Path("login.yaml").write_text(RULE.partition("tests:")[0])

    assert ran(run_tests, "login.yaml").stderr == snapshot(
        "login.yaml:1:5: warning: mine.root.login has no test with an event that raises it, nor with an event that must not raise it\n"
    )


def test_results_as_json() -> None:
    results = json.loads(ran(run_tests, "--format", "json", "login.yaml").stdout)

    assert [(result["test"], result["verdict"]) for result in results] == [
        ("root signs in", "passed"),
        ("a user signs in", "passed"),
    ]


def test_rules_are_listed() -> None:
    assert ran(rules, "list", "--rules", "login.yaml").stdout == snapshot("""\
ID               SEVERITY  STATUS  KIND                ON  TITLE
mine.root.login  high      stable  tencent.cloudaudit  on  Root of {norm.account} signed in
""")


def test_a_rule_is_shown_whole() -> None:
    shown = ran(rules, "show", "mine.root.login", "--rules", "login.yaml").stdout

    assert shown == snapshot("""\
id: mine.root.login
title: Root of {norm.account} signed in
severity: high
status: stable
kind: tencent.cloudaudit
enabled: yes
version: ef54e6275b5e
file: login.yaml
description: Root should not.
match:
  eventName == 'ConsoleLogin'
    && (norm.actor_type == 'root' || norm.actor_type == 'role')
    && norm.outcome == 'ok'
unless:
  - match: in_cidr(sourceIPAddress, '203.0.113.0/24'), reason: a drill, owner: secops@example.com, expires: 2099-03-31
group_by:
  - norm.account
  - norm.ip
quiet: 1h
tests:
  - name: root signs in, expect: alert
  - name: a user signs in, expect: nothing
""")


def test_a_rule_that_is_not_there_names_the_nearest() -> None:
    result = ran(rules, "show", "mine.root.logni", "--rules", "login.yaml")

    assert (result.exit_code, result.stderr) == (
        2,
        "tocsin: there is no rule 'mine.root.logni'; did you mean 'mine.root.login'?\n",
    )


def test_the_schema_is_printed() -> None:
    assert json.loads(ran(rules, "schema").stdout)["title"] == "RuleFile"


def explained(event: dict[str, object], *arguments: str) -> str:
    Path("event.json").write_text(json.dumps(event))
    return ran(explain, "mine.root.login", "event.json", "--rules", "login.yaml", *arguments).stdout


def test_what_did_not_match_is_marked() -> None:
    event: dict[str, object] = {"eventName": "ConsoleLogin", "userIdentity": {"type": "CAMUser"}}

    assert explained(event) == snapshot("""\
mine.root.login: ConsoleLogin does not raise this rule
match
  * eventName == 'ConsoleLogin' && (norm.actor_type == 'root' || norm.actor_type == 'role') && norm.outcome == 'ok'  → false
  ├─   eventName == 'ConsoleLogin'  → true
  │  └─   eventName  → "ConsoleLogin"
  ├─ * norm.actor_type == 'root' || norm.actor_type == 'role'  → false
  │  ├─ * norm.actor_type == 'root'  → false
  │  │  └─ * norm.actor_type  → "user"
  │  └─ * norm.actor_type == 'role'  → false
  │     └─ * norm.actor_type  → "user"
  └─   norm.outcome == 'ok'  → (not reached)
The event would raise it if one field were something else:
  norm.actor_type would have to be 'root' (is 'user')
norm.actor_type is computed from eventPlatform, userIdentity.type, userIdentity.principalId, userIdentity.accountId and userIdentity.userName.
""")


def test_a_match_is_explained_with_its_exceptions() -> None:
    event: dict[str, object] = {
        "eventID": "e-1",
        "eventName": "ConsoleLogin",
        "userIdentity": {"type": "Root"},
        "sourceIPAddress": "203.0.113.9",
    }

    assert explained(event) == snapshot("""\
mine.root.login: ConsoleLogin e-1 satisfies this rule, and an exception hides it
match
  * eventName == 'ConsoleLogin' && (norm.actor_type == 'root' || norm.actor_type == 'role') && norm.outcome == 'ok'  → true
  ├─ * eventName == 'ConsoleLogin'  → true
  │  └─ * eventName  → "ConsoleLogin"
  ├─ * norm.actor_type == 'root' || norm.actor_type == 'role'  → true
  │  ├─ * norm.actor_type == 'root'  → true
  │  │  └─ * norm.actor_type  → "root"
  │  └─   norm.actor_type == 'role'  → (not reached)
  └─ * norm.outcome == 'ok'  → true
     └─ * norm.outcome  → "ok"
unless[0] a drill
  * in_cidr(sourceIPAddress, '203.0.113.0/24')  → true
  └─ * sourceIPAddress  → "203.0.113.9"
The event would raise it if one field were something else:
  sourceIPAddress would have to be '198.51.100.1' (is '203.0.113.9')
""")


def test_a_part_that_cannot_be_decided_is_named() -> None:
    Path("login.yaml").write_text(
        RULE.replace("norm.outcome == 'ok'", "starts_with(requestParameters, 'x')").replace("norm.actor_type", "x")
    )

    text = explained({"eventName": "ConsoleLogin", "x": "root", "requestParameters": {"a": "b"}})

    assert text == snapshot("""\
mine.root.login: ConsoleLogin breaks this rule: it cannot be decided
match
  * eventName == 'ConsoleLogin' && (x == 'root' || x == 'role') && starts_with(requestParameters, 'x')  → cannot be decided: starts_with() wants string, here it has object: starts_with(requestParameters, 'x')
  ├─   eventName == 'ConsoleLogin'  → true
  │  └─   eventName  → "ConsoleLogin"
  ├─   x == 'root' || x == 'role'  → true
  │  ├─   x == 'root'  → true
  │  │  └─   x  → "root"
  │  └─   x == 'role'  → (not reached)
  └─ * starts_with(requestParameters, 'x')  → cannot be decided: starts_with() wants string, here it has object: starts_with(requestParameters, 'x')
     └─ * requestParameters  → {"a": "b"}
The event could be decided if one field were something else:
  eventName would have to be 'other' (is 'ConsoleLogin')
  x would have to be 'other' (is 'root')
  requestParameters would have to be 'x' (is {"a": "b"})
""")


def test_an_explanation_as_json() -> None:
    whole = json.loads(explained({"eventName": "Other"}, "--format", "json"))

    assert (whole["answer"], whole["match"]["values"], whole["match"]["parts"][0]["decided"]) == (
        "nothing",
        [False],
        True,
    )


def test_the_least_change_for_programs() -> None:
    event: dict[str, object] = {"eventName": "ConsoleLogin", "userIdentity": {"type": "Root"}, "errorCode": "4102"}

    assert json.loads(explained(event, "--format", "json"))["least_changes"] == [
        [
            {
                "field": "norm.outcome",
                "is": "denied",
                "must_be": "ok",
                "computed_from": ["errorCode", "apiErrorCode"],
            }
        ]
    ]


BURST = """\
id: mine.burst
title: t
severity: high
description: d
kind: tencent.cloudaudit
match: eventName == 'ConsoleLogin' && norm.outcome == 'denied'
count: {at_least: 3, within: 5m}
"""


def burst(event: dict[str, object], *arguments: str) -> str:
    Path("burst.yaml").write_text(BURST)
    Path("event.json").write_text(json.dumps(event))
    return ran(explain, "mine.burst", "event.json", "--rules", "burst.yaml", *arguments).stdout


def test_one_event_counts_for_a_rule_with_memory_and_does_not_raise_it() -> None:
    assert burst({"eventName": "ConsoleLogin"}) == snapshot("""\
mine.burst: ConsoleLogin does not count for this rule
match
  * eventName == 'ConsoleLogin' && norm.outcome == 'denied'  → false
  ├─   eventName == 'ConsoleLogin'  → true
  │  └─   eventName  → "ConsoleLogin"
  └─ * norm.outcome == 'denied'  → false
     └─ * norm.outcome  → "ok"
The event would count for it if one field were something else:
  norm.outcome would have to be 'denied' (is 'ok')
norm.outcome is computed from errorCode and apiErrorCode.
The rule also looks at other events before it alerts; this is about one event alone.
""")
    assert burst({"eventName": "ConsoleLogin", "errorCode": "1"}) == snapshot("""\
mine.burst: ConsoleLogin counts for this rule
match
  * eventName == 'ConsoleLogin' && norm.outcome == 'denied'  → true
  ├─ * eventName == 'ConsoleLogin'  → true
  │  └─ * eventName  → "ConsoleLogin"
  └─ * norm.outcome == 'denied'  → true
     └─ * norm.outcome  → "denied"
The event would not count for it if one field were something else:
  eventName would have to be 'other' (is 'ConsoleLogin')
  norm.outcome would have to be 'ok' (is 'denied')
norm.outcome is computed from errorCode and apiErrorCode.
The rule also looks at other events before it alerts; this is about one event alone.
""")


def test_an_explanation_as_json_says_whether_the_rule_has_memory() -> None:
    assert json.loads(burst({"eventName": "Other"}, "--format", "json"))["memory"] is True
    assert json.loads(explained({"eventName": "Other"}, "--format", "json"))["memory"] is False


TENCENT = {"EventName": "ConsoleLogin", "EventId": "e", "EventTime": "1742884755", "CloudAuditEvent": "{}"}
AWS = {"eventName": "ConsoleLogin", "eventID": "e", "eventTime": "2025-01-01T00:00:00Z", "awsRegion": "eu-west-1"}


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("aws.cloudtrail", json.dumps(TENCENT), "is a tencent.cloudaudit event; the rule looks at aws.cloudtrail"),
        (
            "aws.cloudtrail",
            json.dumps({"eventName": "ConsoleLogin", "eventRegion": "ap-guangzhou"}),
            "is a tencent.cloudaudit event; the rule looks at aws.cloudtrail",
        ),
        (
            "aws.cloudtrail",
            f"{json.dumps(TENCENT)}\n{json.dumps(TENCENT)}\n",
            "holds 2 tencent.cloudaudit events; the rule looks at aws.cloudtrail",
        ),
        ("tencent.cloudaudit", json.dumps(AWS), "is an aws.cloudtrail event; the rule looks at tencent.cloudaudit"),
        (
            "tencent.cloudaudit",
            json.dumps({"Records": [AWS]}),
            "holds an aws.cloudtrail event; the rule looks at tencent.cloudaudit",
        ),
    ],
)
@pytest.mark.parametrize("file", ["event.json", "-"])
def test_an_event_of_another_cloud_is_not_read_as_one_of_the_rules(kind: str, text: str, said: str, file: str) -> None:
    Path("other.yaml").write_text(BURST.replace("tencent.cloudaudit", kind))
    Path("event.json").write_text(text)

    result = ran(explain, "mine.burst", file, "--rules", "other.yaml", stdin=text)

    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"tocsin: {file} {said}\n")


@pytest.mark.parametrize("kind", ["aws.cloudtrail", "tencent.cloudaudit"])
def test_a_few_fields_by_hand_are_an_event_of_any_kind(kind: str) -> None:
    Path("other.yaml").write_text(BURST.replace("tencent.cloudaudit", kind))
    event = json.dumps({"eventName": "ConsoleLogin", "userIdentity": {"type": "Root"}})

    result = ran(explain, "mine.burst", "-", "--rules", "other.yaml", stdin=event)

    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "said", "code"),
    [
        (None, "event.json: No such file or directory", 74),
        ("[1, 2]", "event.json:1: not a JSON object", 2),
        ("42", "event.json:1: not a JSON object", 2),
        ("", "event.json holds no such events, exactly one is needed", 2),
    ],
)
def test_what_is_no_event_is_told_in_one_line(text: str | None, said: str, code: int) -> None:
    if text is not None:
        Path("event.json").write_text(text)

    result = ran(explain, "mine.root.login", "event.json", "--rules", "login.yaml")

    assert (result.exit_code, result.stderr) == (code, f"tocsin: {said}\n")


def test_an_event_of_an_api_answer_is_explained() -> None:
    inner = {"eventName": "ConsoleLogin", "eventID": "e-7", "eventTime": 1600000000, "userIdentity": {"accountId": "1"}}
    Path("answer.json").write_text(json.dumps({"Response": {"Events": [{"CloudAuditEvent": json.dumps(inner)}]}}))

    text = ran(explain, "mine.root.login", "answer.json", "--rules", "login.yaml", "--event-id", "e-7").stdout

    assert text.startswith("mine.root.login: ConsoleLogin e-7 does not raise this rule\n")


def test_escapes_in_events_cannot_reach_the_terminal() -> None:
    assert "\x1b" not in explained({"eventName": "\x1b[31mConsoleLogin"})


def test_a_file_of_several_events_needs_an_id() -> None:
    login = {"eventName": "ConsoleLogin", "eventTime": 1600000000, "userIdentity": {"type": "Root", "accountId": "1"}}
    lines = [json.dumps(login | {"eventID": event_id}) for event_id in ("e-1", "e-2")]
    Path("events.jsonl").write_text("\n".join(lines))

    alone = ran(explain, "mine.root.login", "events.jsonl", "--rules", "login.yaml")
    named = ran(explain, "mine.root.login", "events.jsonl", "--rules", "login.yaml", "--event-id", "e-2")

    assert (alone.exit_code, alone.stderr) == (
        2,
        "tocsin: events.jsonl holds 2 such events, exactly one is needed; name it with --event-id\n",
    )
    assert named.stdout.startswith("mine.root.login: ConsoleLogin e-2 raises this rule\n")


def test_an_event_may_come_from_standard_input() -> None:
    result = ran(explain, "mine.root.login", "-", "--rules", "login.yaml", stdin='{"eventName": "Other"}')

    assert result.stdout.startswith("mine.root.login: Other does not raise this rule\n")
