"""`tocsin check`, as people and machines read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot

from engine.cli.check import check

SOUND = """\
id: mine.sound
title: Somebody did {eventName}
severity: high
description: d
kind: tencent.cloudaudit
match: eventName == 'ConsoleLogin'
tests:
  - {name: it, event: {eventName: ConsoleLogin}, expect: alert}
  - {name: not it, event: {eventName: StopLogging}, expect: nothing}
"""
WRONG = SOUND.replace("eventName == 'ConsoleLogin'", 'eventName == "X" && errorCode != `0` && userIdentity.tpye')


def checked(*arguments: str) -> Result:
    return CliRunner().invoke(check, arguments)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sound_rules_are_quietly_fine() -> None:
    Path("sound.yaml").write_text(SOUND)

    result = checked("sound.yaml")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "1 rule: 0 errors, 0 warnings\n")


def test_findings_are_shown_with_their_line_and_a_caret() -> None:
    Path("sound.yaml").write_text(WRONG)

    result = checked("sound.yaml")

    assert result.exit_code == 1
    assert result.stdout == snapshot("""\
sound.yaml:6:21: "X" in double quotes is the field of that name, not a text (write 'X')  [quoted-identifier]
    match: eventName == "X" && errorCode != `0` && userIdentity.tpye
                        ^
sound.yaml:6:41: errorCode is a text and this is a number: the comparison is always true (write '0')  [comparison-type]
    match: eventName == "X" && errorCode != `0` && userIdentity.tpye
                                            ^
sound.yaml:6:61: no event of this kind is known to have the field userIdentity.tpye (did you mean userIdentity.type?)  [unknown-field]
    match: eventName == "X" && errorCode != `0` && userIdentity.tpye
                                                                ^
""")


def test_load_faults_are_findings() -> None:
    Path("sound.yaml").write_text(SOUND.replace("eventName == 'ConsoleLogin'", "starts_with(eventName 'X')"))

    result = checked("sound.yaml")

    assert result.exit_code == 1
    assert result.stdout == snapshot("""\
sound.yaml:6:30: a comma is missing between the arguments of starts_with()  [bad-expression]
    match: starts_with(eventName 'X')
                                 ^
""")


def test_warnings_alone_are_fine_unless_strict() -> None:
    Path("other.yaml").write_text(SOUND)

    assert checked("other.yaml").exit_code == 0
    assert checked("--strict", "other.yaml").exit_code == 1


def test_json_is_for_programs() -> None:
    Path("other.yaml").write_text(SOUND)

    assert json.loads(checked("--format", "json", "other.yaml").stdout) == [
        {
            "file": "other.yaml",
            "line": 1,
            "column": 1,
            "severity": "warning",
            "code": "file-name",
            "message": "the file of this rule should be called sound.yaml",
            "suggestion": None,
        }
    ]


def test_github_makes_annotations() -> None:
    Path("a,b.yaml").write_text(SOUND)

    assert checked("--format", "github", "a,b.yaml").stdout == (
        "::warning file=a%2Cb.yaml,line=1,col=1,title=file-name::the file of this rule should be called sound.yaml\n"
    )


def test_sarif_has_rules_and_regions() -> None:
    Path("sound.yaml").write_text(WRONG)

    log = json.loads(checked("--format", "sarif", "sound.yaml").stdout)

    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {result["ruleId"] for result in run["results"]}
    assert run["tool"]["driver"]["rules"][0] == snapshot(
        {
            "id": "comparison-type",
            "shortDescription": {
                "text": "a text compared with a number or a flag, and the like: never true, or always"
            },
            "defaultConfiguration": {"level": "error"},
            "help": {
                "text": "a text compared with a number or a flag, and the like: never true, or always. See docs/rules.md."
            },
        }
    )
    assert run["results"][0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "sound.yaml"},
        "region": {"startLine": 6, "startColumn": 21},
    }


def test_a_path_that_is_not_there_is_a_finding() -> None:
    result = checked("nowhere")

    assert (result.exit_code, result.stdout) == (
        1,
        "nowhere:1:1: there is no such file or folder  [no-rules]\n",
    )


def test_a_file_whose_name_has_blanks_has_a_uri_in_sarif() -> None:
    Path("my rule.yaml").write_text(SOUND)

    (run,) = json.loads(checked("--format", "sarif", "my rule.yaml").stdout)["runs"]

    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "my%20rule.yaml"}


def test_a_warning_can_be_silenced_with_a_reason() -> None:
    costly = SOUND.replace("match: eventName == 'ConsoleLogin'", "match: matches(userAgent, 'kali')")
    Path("sound.yaml").write_text(costly)
    warned = checked("--strict", "sound.yaml")
    Path("sound.yaml").write_text(costly.replace("match:", "# tocsin: ignore[costly] it may be any call\nmatch:"))

    assert (warned.exit_code, checked("--strict", "sound.yaml").exit_code) == (1, 0)


def test_the_built_in_rules_are_fine() -> None:
    result = checked("--strict", "builtin:tencent")

    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize("form", ["github", "sarif"])
def test_code_hosts_are_told_files_from_the_folder_of_the_repository(folder: Path, form: str) -> None:
    Path("other.yaml").write_text(SOUND)

    assert str(folder) not in checked("--format", form, str(folder / "other.yaml")).stdout
