"""What is doubtful about a rule that loads."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from engine import packs
from engine.expression import parse
from engine.kinds import Field
from engine.lint import Schema, findings, lint

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
        ("eventName.x", ("unknown-field@10", "eventName is a text and has no field x")),
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
            'contains(resources, "x")',
            ("quoted-identifier@20", "\"x\" in double quotes is the field of that name, not a text (write 'x')"),
        ),
        (
            'requestParameters.x[?Key == "k"]',
            ("quoted-identifier@28", "\"k\" in double quotes is the field of that name, not a text (write 'k')"),
        ),
        (
            "starts_with(eventName, `5`)",
            ("argument-type@23", "starts_with() wants string as argument 2, here it has a number"),
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


def test_a_field_that_nobody_documents_and_that_resembles_none_is_only_a_warning() -> None:
    (finding,) = findings(parse("zzzzzz == 'x'", lists={}).tree, "zzzzzz == 'x'", SCHEMA)

    assert (finding.code, finding.error) == ("unknown-field", False)


RULE = """\
id: mine.root.login
title: "{eventNam}"
severity: high
description: d
kind: tencent.cloudaudit
match: eventName == 'X'
unless:
  - {match: "errorCode == `0`", reason: r, owner: ann, expires: 2020-01-01}
"""


def test_findings_about_a_file_have_places_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.yaml").write_text(RULE)

    problems = lint(packs.examine(["other.yaml"]), lambda _: SCHEMA.fields.values(), date(2027, 1, 1))

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
