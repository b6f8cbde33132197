"""What is doubtful about a rule that loads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from engine import packs
from engine.errors import ConfigurationError, Problem
from engine.event import Fields
from engine.expression import ExpressionFault, parse
from engine.kinds import Field, kind
from engine.lint import MEANINGS, Schema, findings, lint
from engine.packs.loader import fields_of

TODAY = date(2027, 1, 1)
KIND = kind("tencent.cloudaudit", redaction_key=b"a key for tests only, 32 bytes..")
SCHEMA = Schema.of(
    [
        Field("eventName", "string", ""),
        Field("errorCode", "string", ""),
        Field("eventTime", "integer", ""),
        Field("sensitiveAction", "boolean", ""),
        Field("actionType", "string", "", ("Read", "Write")),
        Field("userIdentity", "object", ""),
        Field("userIdentity.type", "string", ""),
        Field("requestParameters", "object", "", open=True),
        Field("resources", "array", ""),
        Field("anything", "any", ""),
    ]
)


def said(text: str) -> list[tuple[str, str]]:
    """(code and offset, sentence with suggestion) of each finding."""
    tree = parse(text, lists={}).tree
    return [
        (f"{item.code}@{item.offset}", item.message + (f" ({item.suggestion})" if item.suggestion else ""))
        for item in findings(tree, text, SCHEMA)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "eventName == 'X' && userIdentity.type != 'Root'",
        "requestParameters.PolicyId[0].x.y == `5`",
        "anything.at.all",
        "resources[?Key == 'x'].Value",
        "resources[0].a",
        "contains(resources, 'x')",
        "length(keys(@)) > `3`",
        "norm.outcome == 'ok'",
        "eventTime > `5`",
        "sensitiveAction == `true`",
        "actionType == 'Write'",
        "errorCode == `null`",
        "userIdentity | type == 'Root'",
        "requestParameters.\"x-y\" == 'a'",
        "sort_by(resources, &Name)[0]",
        "{a: eventName}.a == 'x'",
    ],
)
def test_sound_conditions_are_left_alone(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (
            "eventNam == 'X'",
            ("unknown-field@0", "no event of this kind is known to have the field eventNam (did you mean eventName?)"),
        ),
        (
            "a && eventname",
            ("unknown-field@5", "no event of this kind is known to have the field eventname (did you mean eventName?)"),
        ),
        (
            "userIdentity.tpye == 'x'",
            (
                "unknown-field@13",
                "no event of this kind is known to have the field userIdentity.tpye (did you mean userIdentity.type?)",
            ),
        ),
        ("eventName.x", ("unknown-field@10", "eventName is a text and has no field x (write eventName)")),
        (
            "errorCode != `0`",
            (
                "comparison-type@13",
                "errorCode is a text and this is a number: the comparison is always true (write '0')",
            ),
        ),
        (
            "`0` == errorCode",
            ("comparison-type@0", "errorCode is a text and this is a number: the comparison is never true (write '0')"),
        ),
        (
            "eventTime > '5'",
            (
                "comparison-type@12",
                "eventTime is an integer and this is a text: the comparison is never true (write `5`)",
            ),
        ),
        (
            "sensitiveAction == '1'",
            (
                "comparison-type@19",
                "sensitiveAction is a flag and this is a text: the comparison is never true (write `true`)",
            ),
        ),
        ("actionType == 'write'", ("unknown-value@14", "actionType is never 'write' (did you mean 'Write'?)")),
        (
            "norm.outcome == 'success'",
            ("unknown-value@16", "norm.outcome is never 'success' (it is one of ok, denied, failed)"),
        ),
        (
            'eventName == "ConsoleLogin"',
            (
                "quoted-identifier@13",
                "\"ConsoleLogin\" in double quotes is the field of that name, not a text (write 'ConsoleLogin')",
            ),
        ),
        (
            'contains(["Root"], userIdentity.type)',
            ("quoted-identifier@10", "\"Root\" in double quotes is the field of that name, not a text (write 'Root')"),
        ),
        (
            "contains(['ok', 'Denied'], norm.outcome)",
            ("unknown-value@16", "norm.outcome is never 'Denied' (did you mean 'denied'?)"),
        ),
        (
            'contains(`["Root", "root"]`, norm.actor_type)',
            ("unknown-value@9", "norm.actor_type is never 'Root' (did you mean 'root'?)"),
        ),
        (
            'contains(resources, "x")',
            ("quoted-identifier@20", "\"x\" in double quotes is the field of that name, not a text (write 'x')"),
        ),
        (
            'requestParameters.x[?Key == "k"]',
            ("quoted-identifier@28", "\"k\" in double quotes is the field of that name, not a text (write 'k')"),
        ),
        (
            "starts_with(eventName, `5`)",
            ("argument-type@23", "starts_with() wants string as argument 2, here it has a number (write '5')"),
        ),
        (
            "length(eventTime)",
            (
                "argument-type@7",
                "length() wants array or object or string as argument 1, here it has eventTime, a number",
            ),
        ),
        (
            "eventName == `Root`",
            ("old-literal@13", "backticks hold JSON; a bare text between them is an old form (write 'Root')"),
        ),
    ],
)
def test_what_is_doubtful_is_told_at_its_place(text: str, finding: tuple[str, str]) -> None:
    assert finding in said(text)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (
            "!resources[?a]",
            (
                "not-precedence@0",
                "! binds tighter than what follows: this is a member of a flag, null on every event (write !(resources[?a]))",
            ),
        ),
        (
            "!resources[]",
            (
                "not-precedence@0",
                "! binds tighter than what follows: this is a member of a flag, null on every event (write !(resources[]))",
            ),
        ),
        (
            "!requestParameters.*",
            (
                "not-precedence@0",
                "! binds tighter than the dot: this is a member of a flag, null on every event (write !(requestParameters.*))",
            ),
        ),
        (
            'resources[?contains(cidr, "0.0.0.0/0")]',
            (
                "quoted-identifier@26",
                "\"0.0.0.0/0\" in double quotes is the field of that name, not a text (write '0.0.0.0/0')",
            ),
        ),
        (
            "in_cidr('10.0.0.0/8', sourceIPAddress)",
            (
                "argument-type@8",
                (
                    "in_cidr() wants an address as argument 1, and '10.0.0.0/8' is none: never true "
                    "(write in_cidr(sourceIPAddress, '10.0.0.0/8'))"
                ),
            ),
        ),
        (
            "contains(eventName, ['A', 'B'])",
            (
                "argument-type@20",
                (
                    "contains() looks in eventName, a text, for another text; here it has an array "
                    "(write contains(['A', 'B'], eventName))"
                ),
            ),
        ),
        (
            "contains(eventName, resources[*].x)",
            (
                "argument-type@20",
                "contains() looks in eventName, a text, for another text; here it has an array",
            ),
        ),
        (
            "contains(lower(errorCode), `5`)",
            (
                "argument-type@27",
                "contains() looks in lower(errorCode), a text, for another text; here it has a number (write '5')",
            ),
        ),
        (
            "contains('Root', eventTime)",
            ("argument-type@17", "contains() looks in 'Root', a text, for another text; here it has a number"),
        ),
        (
            "eventName == ['ConsoleLogin']",
            (
                "comparison-type@13",
                (
                    "eventName is a text and this is an array: the comparison is never true "
                    "(write contains(['ConsoleLogin'], eventName))"
                ),
            ),
        ),
        (
            '`["A"]` != eventName',
            (
                "comparison-type@0",
                'eventName is a text and this is an array: the comparison is always true (write !contains(`["A"]`, eventName))',
            ),
        ),
        (
            "['a'] != lower(eventName)",
            (
                "comparison-type@0",
                (
                    "lower(eventName) is a text and this is an array: the comparison is always true "
                    "(write !contains(['a'], lower(eventName)))"
                ),
            ),
        ),
        (
            "resources[*].Key == 'x'",
            (
                "comparison-type@0",
                "'x' is a text and this is an array: the comparison is never true (write contains(resources[*].Key, 'x'))",
            ),
        ),
        (
            "eventTime == {a: eventName}",
            ("comparison-type@13", "eventTime is an integer and this is an object: the comparison is never true"),
        ),
        (
            "contains(['RunInstances', 'createuser'], lower(eventName))",
            ("never-holds@10", "lower() never gives a text with 'RunInstances' in it (write 'runinstances')"),
        ),
        (
            "contains(['1', '2', '3', '4', '5', '6', '7', 'x', 'createuser', '8'], upper(eventName))",
            ("never-holds@50", "upper() never gives a text with 'createuser' in it (write 'CREATEUSER')"),
        ),
        (
            "starts_with(lower(eventName), 'Create')",
            ("never-holds@30", "lower() never gives a text with 'Create' in it (write 'create')"),
        ),
        (
            "starts_with('Delete', eventName)",
            (
                "swapped-arguments@12",
                (
                    "starts_with() looks in its first argument for its second, and the first is the same for every event "
                    "(write starts_with(eventName, 'Delete'))"
                ),
            ),
        ),
        (
            "sensitiveAction == false && eventName == 'X'",
            ("bare-literal@19", "false without backticks is the field of that name (write `false`)"),
        ),
        (
            "resources[?enabled == True]",
            ("bare-literal@22", "True without backticks is the field of that name (write `true`)"),
        ),
    ],
)
def test_what_is_swapped_or_mistyped_is_told_at_its_place(text: str, finding: tuple[str, str]) -> None:
    assert finding in said(text)


@pytest.mark.parametrize(
    "text",
    [
        "requestParameters.false == 'x'",
        "anything == ['a']",
        "requestParameters.Names == ['a', 'b']",
        "resources == ['a']",
        "resources[*].Key == ['a']",
        "resources[*].Key | [0] == 'a'",
        "(resources[*].Key)[0] == 'a'",
        "(requestParameters.a || 'none') == 'none'",
        "not_null(`null`) == 'a'",
        "resources[].Key == `null`",
        "contains(requestParameters.Names, `5`)",
        "contains(requestParameters.Names, ['a'])",
        "contains(anything, resources)",
        "contains(eventName, errorCode)",
        "contains(eventName, `null`)",
        "contains(['a', 'b-1'], lower(eventName))",
        "contains(lower(eventName), 'a')",
        "contains('A', lower(eventName)) || eventName == 'x'",
        "in_cidr('10.1.2.3', requestParameters.Cidr)",
        "resources[?contains(eventName, `5`)]",
        "!resources[*].x",
        "!(resources[])",
        "!resources[0]",
        "resources[?\"x-y\" == 'a']",
    ],
)
def test_what_only_looks_swapped_or_mistyped_is_left_alone(text: str) -> None:
    new = {
        "argument-type", "comparison-type", "never-holds", "swapped-arguments", "bare-literal", "not-precedence",
        "quoted-identifier",
    }  # fmt: skip
    assert [(code, message) for code, message in said(text) if code.partition("@")[0] in new] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("errorCode != 0", "'0' cannot stand here; a number is `0`, a text '0'"),
        ("eventTime > -1.5", "'-1' cannot stand here; a number is `-1.5`, a text '-1.5'"),
        ("5 == errorCode", "'5' cannot stand here; a number is `5`, a text '5'"),
        ("requestParameters.a[1 2]", "'2' cannot stand here"),
    ],
)
def test_a_number_without_backticks_is_told_how_to_be_written(text: str, said: str) -> None:
    with pytest.raises(ExpressionFault) as fault:
        parse(text, lists={})

    assert fault.value.message == said


def test_a_kind_may_have_a_field_called_true() -> None:
    tree = parse("true == 'x'", lists={}).tree
    assert findings(tree, "true == 'x'", Schema.of([Field("true", "string", "")])) == []


def test_a_capital_under_lower_is_an_error_only_where_the_rule_cannot_hold_without_it() -> None:
    def errors(text: str) -> list[bool]:
        return [item.error for item in findings(parse(text, lists={}).tree, text, SCHEMA)]

    assert errors("eventName == 'X' && starts_with(lower(eventName), 'Create')") == [True]
    assert errors("eventName == 'X' || starts_with(lower(eventName), 'Create')") == [False]


def test_a_field_that_nobody_documents_and_that_resembles_none_is_only_a_warning() -> None:
    (finding,) = findings(parse("zzzzzz == 'x'", lists={}).tree, "zzzzzz == 'x'", SCHEMA)

    assert (finding.code, finding.error) == ("unknown-field", False)


RULE = """\
id: mine.root.login
title: "{eventNam}"
severity: high
description: d
kind: tencent.cloudaudit
match: lower(eventName) == 'consolelogin'
unless:
  - {match: "errorCode == `0`", reason: r, owner: ann, expires: 2020-01-01}
"""


def test_findings_about_a_file_have_places_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.yaml").write_text(RULE)

    problems = lint(packs.examine(["other.yaml"]), lambda _: SCHEMA.fields.values(), TODAY)

    assert [(f"{p.place.line}:{p.place.column}", p.severity, p.code) for p in problems] == [
        ("1:1", "warning", "file-name"),
        ("1:1", "warning", "no-firing-test"),
        ("1:1", "warning", "no-quiet-test"),
        ("2:10", "error", "unknown-field"),
        ("8:27", "error", "comparison-type"),
        ("8:56", "warning", "expired-exception"),
    ]


@pytest.mark.parametrize("name", ["login.yaml", "root_login.yaml", "mine.root.login.yaml", "root-login.yaml"])
def test_a_file_may_be_called_by_any_end_of_the_id(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(RULE)

    problems = lint(packs.examine([str(tmp_path / name)]), lambda _: (), date(2019, 1, 1))

    assert "file-name" not in {problem.code for problem in problems}


def view(_: str, sample: Mapping[str, Any]) -> Fields:
    return KIND.view(sample)


def rule(match: str, rule_id: str = "mine.test", extra: str = "", tests: str = "") -> str:
    """A rule file, its match in a block scalar from line 7 on, its tests complete unless they are given."""
    tests = tests or (
        "tests:\n  - {name: a, event: {eventName: ConsoleLogin}, expect: alert}\n"
        "  - {name: b, event: {eventName: StopLogging}, expect: nothing}\n"
    )
    return (
        f"id: {rule_id}\ntitle: t\nseverity: high\ndescription: d\nkind: tencent.cloudaudit\n"
        f"match: |\n  {match}\n{extra}{tests}"
    )


def checked(folder: Path, *texts: str, **files: str) -> list[Problem]:
    """The findings of rules called test.yaml, test1.yaml …, in a pack, with further *files*; the built-in lists are there."""
    (folder / "lists").mkdir(exist_ok=True)
    (folder / "pack.yaml").write_text("kind: tencent.cloudaudit\nversion: 1\ntitle: t\n")
    for number, text in enumerate(texts):
        (folder / f"test{number or ''}.yaml").write_text(text)
    for name, text in files.items():
        (folder / name.replace("__", "/")).with_suffix(".yaml").write_text(text)
    examined = packs.examine([str(folder)])
    assert [str(problem) for problem in examined.problems] == []
    return lint(examined, fields_of, TODAY, view=view)


def codes(folder: Path, match: str) -> set[str]:
    return {problem.code for problem in checked(folder, rule(match))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pack"
    made.mkdir()
    return made


# --- what is proven ---------------------------------------------------------------------------------------------------

LOGIN = "lower(eventName) == 'consolelogin'"


@pytest.mark.parametrize(
    "match",
    [
        f"{LOGIN} && norm.outcome == 'ok' && norm.actor_type != 'root'",
        "in_list(eventName, 'delete_audit_track')",
        f"{LOGIN} && norm.mfa == `false`",
        f"{LOGIN} && (userIdentity.userName == 'a' || userIdentity.userName == 'b')",
        f"{LOGIN} && to_number(to_string(requestParameters.Days)) > `5`",
        f"{LOGIN} && requestParameters.Rules[?Port == '22']",
        f"{LOGIN} && norm.account && norm.account != to_string(requestParameters.Uin)",
        f"{LOGIN} && userIdentity.userName && userIdentity.userName == userIdentity.principalId",
    ],
)
def test_nothing_is_said_of_a_sound_rule(folder: Path, match: str) -> None:
    assert [str(problem) for problem in checked(folder, rule(match))] == []


@pytest.mark.parametrize(
    ("match", "reason"),
    [
        ("eventName == 'ConsoleLogin' && eventName == 'StopLogging'", "eventName == 'ConsoleLogin' and eventName == 'StopLogging' exclude each other"),
        ("eventName == 'ConsoleLogin' && in_list(eventName, 'delete_audit_track')", "eventName == 'ConsoleLogin' and in_list(eventName, 'delete_audit_track') exclude each other"),
        ("lower(eventName) == 'ConsoleLogin'", "lower(eventName) == 'ConsoleLogin' is impossible"),
        ("eventTime > `5` && eventTime < `3`", "eventTime > `5` and eventTime < `3` exclude each other"),
        ("norm.outcome != 'ok' && norm.outcome != 'denied' && norm.outcome != 'failed'", "norm.outcome != 'ok' and norm.outcome != 'denied' and norm.outcome != 'failed' exclude each other"),
        ("errorCode && errorCode == `null`", "errorCode and errorCode == `null` exclude each other"),
        ("userIdentity == `null` && userIdentity.type == 'Root'", "userIdentity == `null` and userIdentity.type == 'Root' exclude each other"),
        ("eventName && !eventName", "it asks for something and for its opposite"),
        ("starts_with(eventName, 'Delete') && lower(eventName) == 'createuser'", "starts_with(eventName, 'Delete') and lower(eventName) == 'createuser' exclude each other"),
        ("in_list('ConsoleLogin', 'delete_audit_track')", "it reads nothing of the event, and is false"),
        ("starts_with(eventName, 'Create') && starts_with(eventName, 'Delete')", "starts_with(eventName, 'Create') and starts_with(eventName, 'Delete') exclude each other"),
        ("in_cidr(sourceIPAddress, '10.0.0.0/8') && in_cidr(sourceIPAddress, '192.168.0.0/16')", "in_cidr(sourceIPAddress, '10.0.0.0/8') and in_cidr(sourceIPAddress, '192.168.0.0/16') exclude each other"),
        ("in_cidr(norm.ip, ['10.0.0.0/8', '::/0']) && in_cidr(norm.ip, ['192.168.0.0/16', '11.0.0.0/8'])", "in_cidr(norm.ip, ['10.0.0.0/8', '::/0']) and in_cidr(norm.ip, ['192.168.0.0/16', '11.0.0.0/8']) exclude each other"),
        ("in_cidr(sourceIPAddress, '10.1.0.0/16') && !(in_cidr(sourceIPAddress, ['10.0.0.0/9', '10.128.0.0/9']))", "in_cidr(sourceIPAddress, '10.1.0.0/16') and not in_cidr(sourceIPAddress, ['10.0.0.0/9', '10.128.0.0/9']) exclude each other"),
        ("in_cidr(sourceIPAddress, '10.0.0.0/8') && !(in_cidr(sourceIPAddress, ['10.0.0.0/9', '10.128.0.0/9']))", "in_cidr(sourceIPAddress, '10.0.0.0/8') and not in_cidr(sourceIPAddress, ['10.0.0.0/9', '10.128.0.0/9']) exclude each other"),
        ("userIdentity.userName != userIdentity.userName", "userIdentity.userName != userIdentity.userName is impossible"),
        ("eventName == 'ConsoleLogin' && 'norm.outcome' == 'ok'", "'norm.outcome' == 'ok' reads nothing of the event, and is false"),
        ("length(requestParameters.Ids) < `0`", "length(requestParameters.Ids) < `0` is impossible"),
        ("length(requestParameters.Ids) == `-1`", "length(requestParameters.Ids) == `-1` is impossible"),
        ("`2.5` == length(userIdentity.userName)", "`2.5` == length(userIdentity.userName) is impossible"),
        ("length(requestParameters.Ids) > `2` && length(requestParameters.Ids) < `3`", "length(requestParameters.Ids) > `2` and length(requestParameters.Ids) < `3` exclude each other"),
        ("requestParameters.Ids && length(requestParameters.Ids) < `1`", "requestParameters.Ids and length(requestParameters.Ids) < `1` exclude each other"),
        ("eventName == 'ConsoleLogin' && norm.action == 'StopLogging'", "eventName == 'ConsoleLogin' and norm.action == 'StopLogging' exclude each other"),
        ("in_list(norm.action, 'delete_audit_track') && lower(eventName) == 'consolelogin'", "lower(eventName) == 'consolelogin' and in_list(norm.action, 'delete_audit_track') exclude each other"),
        ("sensitiveAction && norm.mfa && type(sensitiveAction) == 'string'", "sensitiveAction and type(sensitiveAction) == 'string' exclude each other"),
    ],
)  # fmt: skip
def test_a_condition_that_can_never_hold_is_an_error_with_its_reason(folder: Path, match: str, reason: str) -> None:
    (found,) = [problem for problem in checked(folder, rule(match)) if problem.code == "never-holds"]

    assert (found.severity, found.place.line) == ("error", 7)
    assert found.message == "no event satisfies this condition" + (": " if reason else "") + reason


@pytest.mark.parametrize(
    "match",
    [
        "norm.outcome != 'ok' || norm.outcome != 'denied'", "eventName || !eventName", "errorCode != `null`", "`true`",
        "length(norm.outcome) >= `0`", "length(errorCode) > `-1`", "!(norm.action) || eventName",
    ],
)  # fmt: skip
def test_a_condition_that_always_holds_is_told(folder: Path, match: str) -> None:
    assert "always-holds" in codes(folder, match)


def test_a_rule_that_waits_for_silence_may_mean_every_event(folder: Path) -> None:
    assert "always-holds" not in {p.code for p in checked(folder, rule("`true`", extra="silent: {for: 30m}\n"))}


def test_a_part_that_cannot_hold_is_told_at_its_place(folder: Path) -> None:
    problems = checked(folder, rule(f"{LOGIN} || (eventName == 'A' && eventName == 'B')"))

    assert [(p.code, p.severity, p.place.column) for p in problems if p.code == "never-holds"] == [
        ("never-holds", "warning", 42)
    ]


@pytest.mark.parametrize("part", ["'norm.outcome' != 'failed'", "userIdentity.userName == userIdentity.userName"])
def test_a_part_that_always_holds_is_told_at_its_place(folder: Path, part: str) -> None:
    problems = checked(folder, rule(f"{LOGIN} && {part}"))

    assert [(p.code, p.severity, p.place.column) for p in problems] == [("always-holds", "warning", 41)]


def test_a_negated_typo_is_true_on_every_event(folder: Path) -> None:
    found = codes(folder, f"{LOGIN} && qwertz != 'x'")

    assert {"always-holds", "unknown-field"} <= found


@pytest.mark.parametrize("path", ["userIdentity.qwertz", "norm.qwertz"])
def test_a_negated_typo_below_a_documented_object_is_so_too(folder: Path, path: str) -> None:
    assert "always-holds" in codes(folder, f"{LOGIN} && {path} != 'x'")
    assert "always-holds" not in codes(folder, f"{LOGIN} && requestParameters.qwertz != 'x'")


def test_norm_has_its_types_in_every_kind(folder: Path) -> None:
    text = rule("norm.mfa == 'false'").replace("tencent.cloudaudit", "aws.cloudtrail")

    assert [(p.code, p.severity) for p in checked(folder, text) if p.code == "comparison-type"] == [
        ("comparison-type", "error")
    ]


def test_null_equals_null(folder: Path) -> None:
    assert "null-equality" in codes(folder, f"{LOGIN} && userIdentity.userName == userIdentity.principalId")
    assert "null-equality" in codes(folder, f"{LOGIN} && qwertz == asdfgh")
    assert "null-equality" in codes(folder, f"{LOGIN} && !(userIdentity.userName != userIdentity.principalId)")
    assert "null-equality" in codes(folder, f"{LOGIN} && requestParameters.a[0].x == requestParameters.b")
    assert "null-equality" not in codes(folder, f"{LOGIN} && userIdentity.userName != userIdentity.principalId")


@pytest.mark.parametrize(
    ("match", "code"),
    [
        ("!userIdentity.type", "not-precedence"),
        ("!eventName == 'ConsoleLogin'", "not-precedence"),
        ("contains('ConsoleLogin,StopLogging', eventName)", "contains-membership"),
        ("contains(eventName, 'ConsoleLogin')", "contains-equality"),
        ("contains(norm.outcome, 'fail')", "part-of-closed"),
        ("starts_with(actionType, 'W')", "part-of-closed"),
        ("contains([`0`], errorCode)", "comparison-type"),
        ("lower(errorCode) == `0`", "comparison-type"),
        ("not_null(errorCode, '0') == `0`", "comparison-type"),
        ("(errorCode || '0') != `0`", "comparison-type"),
        ("contains(to_string(norm.outcome), 'fail')", "part-of-closed"),
        ("eventName == 'ConsoleLogn'", "unknown-event"),
        ("contains(['ConsoleLogin', 'ConsoleLogn'], eventName)", "unknown-event"),
        ("norm.service == 'cam' && eventName == 'DeleteBucket'", "unknown-event"),
        ("eventName == 'consolelogin'", "event-spelling"),
        ("eventName == 'CreateTopic'", "event-spelling"),
        ("eventName == 'CreateApiKey'", "event-alias"),
        ("lower(eventName) == 'deletesnapshot'", "event-alias"),
        ("matches(userAgent, '(?i)kali')", "costly"),
        ("eventName == 'ConsoleLogin' || glob(userAgent, 'x*')", "costly"),
        ("eventName == 'ConsoleLogin' || userAgent == sourceIPAddress", "costly"),
        ("contains(keys(@), 'x') && eventName == 'ConsoleLogin'", "costly"),
        ("starts_with(eventName, 'DescribeInstancs')", "unknown-event"),
        ("contains(eventName, 'DELETE')", "unknown-event"),
        ("ends_with(lower(norm.action), 'Key')", "unknown-event"),
        ("contains(lower(norm.outcome), 'fail')", "part-of-closed"),
        ("contains(keys(@), 'x')", "costly"),
        ("matches(eventName, '^Delte')", "unknown-event"),
        ("glob(lower(norm.action), 'delte*')", "unknown-event"),
        ("upper(eventName) == 'CONSOLELOGN'", "unknown-event"),
        ("eventName != 'consolelogin' && sensitiveAction", "event-spelling"),
    ],
)
def test_what_is_doubtful_has_its_code(folder: Path, match: str, code: str) -> None:
    assert code in codes(folder, match)


@pytest.mark.parametrize(
    "match",
    [
        "eventName != 'CreateTopic' && in_list(eventName, 'create_access_key')",  # what is left out is meant to be
        "lower(eventName) == 'createtopic'",
        "in_list(eventName, 'create_access_key') && lower(eventName) == 'createapikey'",  # it knows the list
        "!(userIdentity.type) && lower(eventName) == 'consolelogin'",
        "contains(eventName, 'Delete') && norm.outcome == 'denied'",
        "eventName == 'CreateTopic' || eventName == 'createTopic'",
        "upper(eventName) == 'CONSOLELOGIN'",
        "matches(eventName, '^(?i)delete') && norm.outcome == 'denied'",
    ],
)
def test_what_only_looks_doubtful_is_left_alone(folder: Path, match: str) -> None:
    assert codes(folder, match) == set()


def test_the_nearest_name_and_the_list_are_suggested(folder: Path) -> None:
    near = checked(folder, rule("eventName == 'ConsoleLogn'"))
    alias = checked(folder, rule("eventName == 'CreateApiKey'"))

    assert "did you mean 'ConsoleLogin'?" in [problem.suggestion for problem in near]
    assert "write in_list(eventName, 'create_access_key')" in [problem.suggestion for problem in alias]


@pytest.mark.parametrize(
    ("match", "suggestion"),
    [
        ("lower(eventName) == 'consolelogn'", "did you mean 'consolelogin'?"),
        ("upper(norm.action) == 'CONSOLELOGN'", "did you mean 'CONSOLELOGIN'?"),
        ("starts_with(eventName, 'Delte')", "did you mean 'Delete'?"),
        ("ends_with(lower(eventName), 'polciy')", "did you mean 'policy'?"),
        ("matches(eventName, '^consolel')", "case counts here: write '(?i)^consolel'"),
        ("glob(eventName, 'delete*key')", "case counts here: ask lower(eventName) for the text in small letters"),
        ("norm.action == 'CreateApiKey'", "write in_list(norm.action, 'create_access_key')"),
        ("eventName != 'consolelogin'", "write lower(eventName) != 'consolelogin'"),
        ("contains(['consolelogin'], eventName)", "ask lower(eventName), and write 'consolelogin'"),
        ("eventName == ConsoleLogin", "write 'ConsoleLogin' if a text is meant"),
        ("contains([Ok, 'denied'], norm.outcome)", "write 'Ok' if a text is meant"),
        ("starts_with(eventName, Delete)", "write 'Delete' if a text is meant"),
        ("matches(norm.outcome, 'denied|failed')", "write contains(['denied', 'failed'], norm.outcome)"),
        ("glob(upper(norm.outcome), 'D*')", "write norm.outcome == 'denied'"),
        ("lower(eventName) == 'ConsoleLogin'", "write 'consolelogin'"),
        ("norm.mfa == 'No'", "write `false`"),
        ("contains(['ConsoleLogin'], eventName) == 'true'", "write `true`"),
        ("norm.time > '2027-01-01'", "times are in seconds: write `1798761600`"),
        ("norm.time > '2027-01-01T00:00:00+08:00'", "times are in seconds: write `1798732800`"),
        ("eventName == 'Delete*'", "write glob(eventName, 'Delete*')"),
        ("lower(eventName) == 'createuser|deleteuser'", "write contains(['createuser', 'deleteuser'], lower(eventName))"),
        ("eventName == 'CreateUser' || 'DeleteUser'", "compare it: … || … == 'DeleteUser'"),
        ("eventName == ('CreateUser' || 'DeleteUser')", "to ask for either, write contains(['CreateUser', 'DeleteUser'], …)"),
        ("eventName == 'A' && eventName == 'B'", "remove one of them, or join them with || if either is enough"),
        ("norm.outcome", "say which events it is about"),
        ("qwertz && sensitiveAction", "is it right? docs/events.md has the fields"),
        ("starts_with(eventTime, '17')", "write to_string(eventTime)"),
        ("contains('ConsoleLogin StopLogging', lower(eventName))", "write contains(['consolelogin', 'stoplogging'], lower(eventName))"),
    ],
)  # fmt: skip
def test_what_was_meant_is_suggested(folder: Path, match: str, suggestion: str) -> None:
    assert suggestion in [problem.suggestion for problem in checked(folder, rule(match))]


@pytest.mark.parametrize(
    ("match", "code"),
    [
        ("eventName == 'ConsoleLogn'", "unknown-event"),
        ("eventName == 'stopLogging'", "event-spelling"),
        ("eventName == 'UpdateFunctionCode'", "event-alias"),
        ("eventName == 'CreateUser' && norm.service == 's3'", "unknown-event"),
        ("eventName == 'CreateUser' && eventSource == 's3.amazonaws.com'", "unknown-event"),
        ("contains(eventName, 'ConsoleLogin')", "contains-equality"),
    ],
)
def test_names_of_aws_are_known_too(folder: Path, match: str, code: str) -> None:
    text = rule(match).replace("tencent.cloudaudit", "aws.cloudtrail")

    assert [problem.code for problem in checked(folder, text)] == [code]


@pytest.mark.parametrize(
    "match",
    [
        "eventName == 'AttachUserPolicy' && eventSource == 'iam.amazonaws.com'",  # the built-in list of it is Tencent's
        "eventName == 'GetParameters' && norm.service == 'ssm'",
        "starts_with(eventName, 'UpdateFunctionCode')",
        "contains(eventName, 'UpdateFunctionCode')",
        "in_list(eventName, 'aws_update_function_code')",
        "eventName == 'ConsoleLogin' && norm.service == 'signin'",
        "eventName == 'DeleteDBInstance' && norm.service == 'rds'",
        "eventName == 'EnableSecurityHub' && norm.service == 'securityhub'",  # V2 is another call
        "eventName == 'LeaveOrganization'",  # its list is of several calls
        "eventSource == 'iam.amazonaws.com' && matches(userAgent, '(?i)pacu')",
    ],
)
def test_of_names_of_aws_that_are_right_nothing_is_said(folder: Path, match: str) -> None:
    assert checked(folder, rule(match).replace("tencent.cloudaudit", "aws.cloudtrail")) == []


def test_a_pattern_that_stands_before_what_spares_it_is_to_be_put_last(folder: Path) -> None:
    text = rule("matches(userAgent, 'pacu') && eventSource == 'iam.amazonaws.com'")

    (problem,) = checked(folder, text.replace("tencent.cloudaudit", "aws.cloudtrail"))

    assert (problem.code, problem.suggestion) == ("costly", "put matches(userAgent, 'pacu') last")


# --- rules together ---------------------------------------------------------------------------------------------------


def test_a_rule_contained_in_another_names_it(folder: Path) -> None:
    problems = checked(folder, rule(LOGIN), rule(f"{LOGIN} && norm.outcome == 'ok'", "mine.test1"))

    (found,) = problems
    assert (found.code, found.severity, Path(found.place.file).name) == ("contained-rule", "warning", "test1.yaml")
    assert found.message == "every event that satisfies this rule satisfies mine.test (high) too"


def test_a_name_is_contained_in_its_list(folder: Path) -> None:
    wide = rule("in_list(eventName, 'delete_audit_track')")
    narrow = rule(
        "contains(['deleteaudittrack', 'deleteaudit'], lower(eventName)) && norm.outcome == 'ok'", "mine.test1"
    )

    assert [problem.code for problem in checked(folder, wide, narrow)] == ["contained-rule"]


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("in_cidr(sourceIPAddress, '10.1.0.0/16')", "in_cidr(sourceIPAddress, '10.0.0.0/8')"),
        ("in_cidr(sourceIPAddress, ['10.1.0.0/16', '2001:db8::/48'])", "in_cidr(sourceIPAddress, ['10.0.0.0/8', '::/0'])"),
        ("in_cidr(sourceIPAddress, '10.0.0.0/8')", "in_cidr(sourceIPAddress, ['10.0.0.0/9', '10.128.0.0/9', '::/0'])"),
        ("length(requestParameters.Ids) > `5`", "length(requestParameters.Ids) >= `3`"),
        ("length(userIdentity.userName) == `8`", "userIdentity.userName"),
        ("norm.time > `10`", "norm.time >= `5`"),
        ("requestParameters.Port > `1024`", "`22` < requestParameters.Port"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["tencent.cloudaudit", "aws.cloudtrail"])
def test_a_narrower_network_or_length_is_contained_in_a_wider(folder: Path, kind: str, narrow: str, wide: str) -> None:
    first, second = rule(f"{LOGIN} && {wide}"), rule(f"{LOGIN} && {narrow}", "mine.test1")

    problems = checked(folder, *(text.replace("tencent.cloudaudit", kind) for text in (first, second)))

    assert [(p.code, Path(p.place.file).name) for p in problems] == [("contained-rule", "test1.yaml")]


@pytest.mark.parametrize("kind", ["tencent.cloudaudit", "aws.cloudtrail"])
def test_an_event_is_the_same_by_either_of_its_names(folder: Path, kind: str) -> None:
    first = rule(f"{LOGIN} && norm.outcome == 'ok'")
    second = rule("lower(norm.action) == 'consolelogin' && norm.outcome == 'ok'", "mine.test1")
    third = rule("contains(['consolelogin', 'stoplogging'], lower(norm.action)) && norm.outcome == 'ok'", "mine.test2")

    problems = checked(folder, *(text.replace("tencent.cloudaudit", kind) for text in (first, second, third)))

    assert [(p.code, Path(p.place.file).name) for p in problems] == [
        ("contained-rule", "test.yaml"),
        ("same-condition", "test1.yaml"),
    ]


def test_two_rules_with_one_condition_however_written(folder: Path) -> None:
    first = rule(f"{LOGIN} && norm.outcome == 'ok'")
    second = rule("!(norm.outcome != 'ok') && 'consolelogin' == lower(eventName)", "mine.test1")

    assert [(p.code, Path(p.place.file).name) for p in checked(folder, first, second)] == [
        ("same-condition", "test1.yaml")
    ]


COUNT = "count: {at_least: 5, within: 15m}\n"
FIVE = (  # enough events, so that the second could fail
    "tests:\n  - {name: a, event: {eventName: ConsoleLogin}, expect: alert}\n"
    "  - {name: b, events: [{event: {eventName: StopLogging}, repeat: {every: 1m, times: 5}}], expect: nothing}\n"
)


@pytest.mark.parametrize("memory", [COUNT, "first_seen: {values: [norm.actor], over: 30d}\n", "silent: {for: 30m}\n"])
def test_rules_that_remember_alike_are_compared(folder: Path, memory: str) -> None:
    first = rule(LOGIN, extra=memory, tests=FIVE)
    second = rule("'consolelogin' == lower(eventName)", "mine.test1", memory, FIVE)

    assert [p.code for p in checked(folder, first, second)] == ["same-condition"]


def test_a_rule_that_counts_less_is_contained_in_one_that_counts_more_of_the_same(folder: Path) -> None:
    narrow = rule(f"{LOGIN} && norm.mfa", "mine.test1", COUNT, FIVE)
    grouped, fewer = f"group_by: [norm.ip]\n{COUNT}", COUNT.replace("at_least: 5", "at_least: 4")

    assert [p.code for p in checked(folder, rule(LOGIN, extra=COUNT, tests=FIVE), narrow)] == ["contained-rule"]
    assert checked(folder, rule(LOGIN, extra=grouped, tests=FIVE), narrow) == []
    assert checked(folder, rule(LOGIN, extra=fewer, tests=FIVE), narrow) == []


def test_what_a_rule_leaves_out_by_an_exception_is_not_contained_in_it(folder: Path) -> None:
    wide = rule(LOGIN, extra=UNLESS % "norm.actor_type == 'root'")

    assert checked(folder, wide, rule(f"{LOGIN} && norm.actor_type == 'root'", "mine.test1")) == []


@pytest.mark.parametrize(
    "extra", ["count: {at_least: 5, within: 15m}\n", "first_seen: {values: [norm.actor], over: 30d}\n"]
)
def test_a_rule_that_counts_is_contained_in_none(folder: Path, extra: str) -> None:
    assert checked(folder, rule(LOGIN), rule(f"{LOGIN} && norm.outcome == 'ok'", "mine.test1", extra, FIVE)) == []


def test_rules_that_only_overlap_are_left_alone(folder: Path) -> None:
    assert checked(folder, rule(f"{LOGIN} && norm.mfa"), rule(f"{LOGIN} && sensitiveAction", "mine.test1")) == []


# --- exceptions, tests, lists -----------------------------------------------------------------------------------------

UNLESS = 'unless:\n  - {match: "%s", reason: r, owner: ann, expires: 2099-01-01}\n'


def test_an_exception_that_hides_everything_is_an_error(folder: Path) -> None:
    problems = checked(folder, rule(f"{LOGIN} && norm.outcome == 'ok'", extra=UNLESS % "norm.outcome != 'failed'"))

    assert [(p.code, p.severity) for p in problems] == [("exception-hides-all", "error")]


def test_exceptions_that_hide_everything_together_are_an_error(folder: Path) -> None:
    two = UNLESS % "norm.mfa" + '  - {match: "!(norm.mfa)", reason: r, owner: ann, expires: 2099-01-01}\n'

    assert [(p.code, p.place.line) for p in checked(folder, rule(LOGIN, extra=two))] == [("exception-hides-all", 8)]


@pytest.mark.parametrize(
    ("step", "code", "severity"), [("match", "never-holds", "error"), ("absent", "always-holds", "warning")]
)
def test_a_step_that_the_match_leaves_out_is_told(folder: Path, step: str, code: str, severity: str) -> None:
    steps = f"sequence:\n  within: 1h\n  steps:\n    - match: norm.mfa\n    - {step}: eventName == 'StopLogging'\n"
    problems = checked(folder, rule(LOGIN, extra=steps, tests=FIVE))

    assert [(p.code, p.severity, p.place.line) for p in problems] == [(code, severity, 12)]


def test_an_exception_that_hides_one_step_is_an_error(folder: Path) -> None:
    steps = "sequence: {within: 1h, steps: [{match: norm.mfa}, {match: sensitiveAction}]}\n"
    problems = checked(folder, rule(LOGIN, extra=steps + UNLESS % "sensitiveAction == `true`", tests=FIVE))

    assert [(p.code, p.severity, p.place.line) for p in problems] == [("exception-hides-all", "error", 10)]
    assert "step 2" in problems[0].message


def test_the_steps_of_a_sequence_without_a_match_are_looked_at_for_their_cost(folder: Path) -> None:
    steps = """sequence: {within: 1h, steps: [{match: "matches(userAgent, 'pacu')"}, {match: sensitiveAction}]}\n"""
    alone = rule(LOGIN, extra=steps, tests=FIVE).replace(f"match: |\n  {LOGIN}\n", "")

    assert [(p.code, p.place.line) for p in checked(folder, alone)] == [("costly", 6)]
    assert checked(folder, rule(LOGIN, extra=steps, tests=FIVE)) == []


def test_an_exception_that_excepts_nothing_is_told(folder: Path) -> None:
    problems = checked(folder, rule(f"{LOGIN} && norm.outcome == 'ok'", extra=UNLESS % "norm.outcome == 'failed'"))

    assert [(p.code, p.severity) for p in problems] == [("exception-never-applies", "warning")]


def test_a_test_without_anything_that_the_condition_reads_cannot_fail(folder: Path) -> None:
    tests = "tests:\n  - {name: a, event: {eventName: ConsoleLogin}, expect: alert}\n  - {name: b, event: {region: x}, expect: nothing}\n"

    (found,) = checked(folder, rule(LOGIN, tests=tests))

    assert (found.code, found.place.line) == ("test-cannot-fail", 10)


@pytest.mark.parametrize(
    ("extra", "event", "found"),
    [
        ("count: {at_least: 5, within: 15m}\n", "{eventName: StopLogging}", ["test-cannot-fail"]),
        ("count: {at_least: 5, within: 15m}\n", "{eventName: ConsoleLogin}", []),  # it is about how many
        ("count: {at_least: 1, within: 15m, distinct: norm.ip}\n", "{eventName: StopLogging}", []),
        ("sequence: {within: 1h, steps: [{match: norm.mfa}, {match: sensitiveAction}]}\n", "{eventName: StopLogging}", ["test-cannot-fail"]),
    ],
)  # fmt: skip
def test_a_test_with_too_few_events_that_do_not_count_cannot_fail(
    folder: Path, extra: str, event: str, found: list[str]
) -> None:
    tests = (
        "tests:\n  - {name: a, event: {eventName: ConsoleLogin}, expect: alert}\n"
        f"  - {{name: b, event: {event}, expect: nothing}}\n"
    )
    assert [problem.code for problem in checked(folder, rule(LOGIN, extra=extra, tests=tests))] == found


def test_a_field_is_not_taken_for_what_it_would_stand_in(folder: Path) -> None:
    (problem,) = checked(folder, rule(f"{LOGIN} && userIdentity.arn == 'x'"))

    assert (problem.code, problem.severity) == ("unknown-field", "warning")
    assert problem.suggestion == "is it right? docs/events.md has the fields"


def test_a_test_of_an_absent_field_can_fail(folder: Path) -> None:
    tests = "tests:\n  - {name: a, event: {eventName: X, isRisk: 1}, expect: alert}\n  - {name: b, event: {eventName: X}, expect: nothing}\n"

    assert checked(folder, rule("isRisk", tests=tests)) == []


def test_an_unused_list_and_an_unknown_event_in_a_list_are_told(folder: Path) -> None:
    unused = "name: forgotten\ndescription: d\nvalues: [a]\n"
    misspelled = "name: calls\ndescription: d\nvalues: [ConsoleLogin, StopLoging]\n"

    problems = checked(folder, rule("in_list(eventName, 'calls')"), lists__forgotten=unused, lists__calls=misspelled)

    assert [(p.code, p.place.line, p.suggestion) for p in problems] == [
        ("unknown-event", 3, "did you mean 'StopLogging'?"),
        ("unused-list", 1, "remove it, or ask it: in_list(…, 'forgotten')"),
    ]


def test_a_list_that_leaves_out_another_name_of_a_call_is_told(folder: Path) -> None:
    calls = "name: calls\ndescription: d\nvalues:\n  - CreateTopic\n  - AttachRolePolicies\n  - attachrolepolicy\n"

    problems = checked(folder, rule("in_list(eventName, 'calls')"), lists__calls=calls)

    assert [(p.code, p.place.line, p.suggestion) for p in problems] == [
        ("event-alias", 5, "add AttachRolesPolicy"),
        ("event-alias", 6, "add AttachRolesPolicy"),
    ]


def test_a_list_of_networks_is_not_one_of_texts(folder: Path) -> None:
    nets = "name: nets\ndescription: d\nvalues: [10.0.0.0/8, 192.168.0.0/16]\n"

    (problem,) = checked(folder, rule(f"{LOGIN} && in_list(norm.ip, 'nets')"), lists__nets=nets)

    assert (problem.code, problem.severity) == ("argument-type", "warning")
    assert problem.suggestion == "write in_cidr(norm.ip, 'nets')"


def test_a_list_that_holds_what_a_closed_field_never_is_is_told(folder: Path) -> None:
    outcomes = "name: outcomes\ndescription: d\nvalues: [Failed, deny]\n"

    (problem,) = checked(folder, rule(f"{LOGIN} && in_list(norm.outcome, 'outcomes')"), lists__outcomes=outcomes)

    assert (problem.code, problem.suggestion) == ("unknown-value", "did you mean 'denied'?")
    assert problem.message == "norm.outcome is never 'deny', which the list 'outcomes' holds"


# --- silencing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        rule("matches(userAgent, 'kali')").replace(
            "match: |", "# tocsin: ignore[costly] any call may be made with it\nmatch: |"
        ),
        rule("matches(userAgent, 'kali')").replace(
            "match: |", "match: |  # tocsin: ignore[costly] any call may be made with it"
        ),
        rule("matches(userAgent, 'kali')").replace(
            "match: |", "# tocsin: ignore[costly] any call may be made with it,\n# and none is worth less\nmatch: |"
        ),
        rule("matches(norm.outcome, 'i')").replace(
            "match: |", "# tocsin: ignore[costly] rare\n# tocsin: ignore[part-of-closed] short\nmatch: |"
        ),
        rule("x").replace("match: |\n  x", "match: matches(userAgent, 'kali')  # tocsin: ignore[costly] any call"),
    ],
)
def test_a_comment_with_a_reason_silences_a_warning(folder: Path, text: str) -> None:
    assert checked(folder, text) == []


def test_a_comment_without_a_reason_silences_nothing(folder: Path) -> None:
    text = rule("matches(userAgent, 'kali')").replace("match: |", "# tocsin: ignore[costly]\nmatch: |")

    assert [problem.code for problem in checked(folder, text)] == ["bad-ignore", "costly"]


def test_a_comment_that_silences_nothing_is_told(folder: Path) -> None:
    text = rule(LOGIN).replace("match: |", "# tocsin: ignore[costly, null-equality] once it was\nmatch: |")

    assert [(p.code, p.place.line) for p in checked(folder, text)] == [("unused-ignore", 6), ("unused-ignore", 6)]


def test_a_misspelled_code_is_told_the_nearest(folder: Path) -> None:
    text = rule("matches(userAgent, 'kali')").replace("match: |", "# tocsin: ignore[costy] so what\nmatch: |")

    assert ("unused-ignore", "did you mean costly?") in [(p.code, p.suggestion) for p in checked(folder, text)]


def test_an_error_cannot_be_silenced(folder: Path) -> None:
    text = rule("errorCode == `0`").replace("match: |", "# tocsin: ignore[comparison-type] so what\nmatch: |")

    assert [problem.code for problem in checked(folder, text)] == ["unused-ignore", "comparison-type"]


def test_an_author_may_know_a_field_that_nobody_documents(folder: Path) -> None:
    match = f"{LOGIN} && requestParameter == 'x'"
    text = rule(match).replace("match: |", "# tocsin: ignore[unknown-field] seen in our own events\nmatch: |")

    assert codes(folder, match) == {"unknown-field"}
    assert checked(folder, text) == []
    assert len(packs.load([str(folder)])) == 1


def test_what_looks_like_a_comment_inside_a_text_is_none(folder: Path) -> None:
    text = rule(LOGIN).replace("description: d", "description: |\n  # tocsin: ignore[costly] not a comment")

    assert checked(folder, text) == []


def test_comments_about_other_rules_are_not_judged_by_one_file_alone(folder: Path) -> None:
    text = rule(LOGIN).replace("match: |", "# tocsin: ignore[contained-rule] the graver case\nmatch: |")
    together = checked(folder, text)
    alone = lint(packs.examine([str(folder / "test.yaml")]), fields_of, TODAY, view=view)

    assert ([p.code for p in together], alone) == (["unused-ignore"], [])


# --- loading ----------------------------------------------------------------------------------------------------------


def test_errors_of_the_checks_stop_the_load_and_warnings_do_not(folder: Path) -> None:
    (folder / "wrong.yaml").write_text(rule("eventName == 'A' && eventName == 'B'", "mine.wrong"))
    (folder / "doubtful.yaml").write_text(rule("matches(userAgent, 'kali')", "mine.doubtful"))

    with pytest.raises(ConfigurationError) as raised:
        packs.load([str(folder)])

    assert [problem.code for problem in raised.value.problems] == ["never-holds"]


def test_every_code_has_a_meaning_and_stands_in_the_documentation() -> None:
    text = (Path(__file__).parents[1] / "docs" / "rules.md").read_text()

    assert [code for code in MEANINGS if f"`{code}`" not in text] == []
