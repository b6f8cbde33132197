"""Rules, lists and packs from files, and every way in which they can be wrong."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from textwrap import dedent

import pytest
from inline_snapshot import snapshot

from engine import kinds, packs
from engine.errors import ConfigurationError
from engine.examples import Verdict, run
from engine.packs.authored import schema_text
from engine.rule import Count, FirstSeen, RuleSet, Sequence, Severity, Silent

PACK = "kind: tencent.cloudaudit\nversion: 1\ntitle: A pack\n"
RULE = """\
id: a.rule
title: Somebody did {eventName}
severity: high
description: It matters.
match: eventName == 'X'
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory, so that messages have short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")


def loaded(folder: Path, files: dict[str, str], *paths: str) -> RuleSet:
    write(folder, files)
    return packs.load(paths or ["."])


def complaint(folder: Path, files: dict[str, str], *paths: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, files, *paths)
    return str(caught.value)


def sentences(folder: Path, files: dict[str, str], *paths: str) -> list[str]:
    """The first line of each problem."""
    return [line for line in complaint(folder, files, *paths).splitlines() if not line.startswith("    ")]


def test_a_whole_rule_becomes_a_value(folder: Path) -> None:
    text = """\
        id: a.whole.rule
        title: Root of {norm.account}
        severity: critical
        status: stable
        description: >-
          Root should
          not.
        match: |
          eventName == 'X'
            && in_list(norm.actor, 'mine')
        unless:
          - match: in_cidr(sourceIPAddress, '203.0.113.0/24')
            reason: a drill
            owner: secops@example.com
            expires: 2027-03-31
        group_by: [norm.account, norm.ip]
        attack: {version: 19, techniques: [T1078.004]}
        runbook: Ask {norm.actor}.
        references: [https://example.com/]
        false_positives: [a drill]
        tests:
          - {name: it, event: {eventName: X}, expect: alert}
        """
    rules = loaded(
        folder,
        {
            "pack.yaml": PACK,
            "r/rule.yaml": text,
            "lists/mine.yaml": "name: mine\ndescription: d\nvalues: [DeleteUser]\n",
        },
    )

    (rule,) = rules
    assert (rule.id, rule.severity, rule.kind, rule.enabled) == (
        "a.whole.rule",
        Severity.CRITICAL,
        "tencent.cloudaudit",
        True,
    )
    assert rule.description == "Root should not."
    assert rule.unless[0].expires == date(2027, 3, 31)
    assert [expression.text for expression in rule.group_by] == ["norm.account", "norm.ip"]
    assert rule.title.render({"norm": {"account": "1"}}) == "Root of 1"
    assert rule.guide({"norm": {"actor": "ann"}}) == "Ask ann."
    assert rule.tests[0].events == ({"eventName": "X"},)
    assert str(rule.place) == "r/rule.yaml:1:5"
    assert rules.lists["mine"] == {"deleteuser"}


def test_every_problem_of_every_file_is_reported_at_once(folder: Path) -> None:
    files = {
        "pack.yaml": PACK + "disabled: [a.rul]\n",
        "good.yaml": RULE,
        "one.yaml": """\
            id: One
            title: Root of {norm.account
            sevrity: hgih
            description: no
            match: |
              starts_with(eventName 'Console')
                && userIdentity.type = 'Root'
            unless:
              - match: in_cidr(sourceIPAddress, '10.0.0.1/8')
                reason: office
            group_by: [nope(a)]
            quiet: 1 hour
            """,
        "two.yaml": """\
            id: a.rule
            title: again
            severity: hihg
            description: twice
            match: "in_list(eventName,\\t'qqqq')"
            count: {at_least: 5, within: 15m}
            silent: {for: 30m}
            tests:
              - {name: t, expect: alrt, event: {a: 010}}
            """,
    }

    assert complaint(folder, files) == snapshot("""\
one.yaml:1:1: 'severity' is missing
    id: One
    ^
one.yaml:1:5: 'id' does not have the form ^[a-z0-9_]+(\\.[a-z0-9_]+)+$
    id: One
        ^
one.yaml:2:16: the { that opens here is never closed; a brace itself is {{
    title: Root of {norm.account
                   ^
one.yaml:3:1: unknown key 'sevrity'; did you mean 'severity'?
    sevrity: hgih
    ^
one.yaml:4:14: no is a boolean to some readers of YAML: write 'no' in quotes, or true or false
    description: no
                 ^
one.yaml:7:26: '=' is no operator; equality is '=='
        && userIdentity.type = 'Root'
                             ^
one.yaml:9:5: 'expires' is missing
      - match: in_cidr(sourceIPAddress, '10.0.0.1/8')
        ^
one.yaml:9:5: 'owner' is missing
      - match: in_cidr(sourceIPAddress, '10.0.0.1/8')
        ^
one.yaml:9:37: '10.0.0.1/8' has bits set behind its mask; the network is '10.0.0.0/8'
      - match: in_cidr(sourceIPAddress, '10.0.0.1/8')
                                        ^
one.yaml:11:12: there is no function nope()
    group_by: [nope(a)]
               ^
one.yaml:12:8: a duration is a number with s, m, h, d or w: 60s, 15m, 1h, 30d
    quiet: 1 hour
           ^
pack.yaml:4:12: no rule has the id 'a.rul'; did you mean 'a.rule'?
    disabled: [a.rul]
               ^
two.yaml:3:11: 'severity' is one of 'info', 'low', 'medium', 'high' or 'critical'; did you mean 'high'?
    severity: hihg
              ^
two.yaml:5:29: there is no list 'qqqq'
    match: "in_list(eventName,\\t'qqqq')"
                                ^
two.yaml:9:23: 'expect' is one of 'alert' or 'nothing'; did you mean 'alert'?
      - {name: t, expect: alrt, event: {a: 010}}
                          ^
two.yaml:9:40: 010 with a leading zero is octal to some readers: write '010' in quotes, or the plain decimal number
      - {name: t, expect: alrt, event: {a: 010}}
                                           ^\
""")


def test_the_same_id_twice_names_the_first_file(folder: Path) -> None:
    assert sentences(folder, {"pack.yaml": PACK, "a.yaml": RULE, "b.yaml": RULE}) == [
        "b.yaml:1:5: the id 'a.rule' is taken by a.yaml"
    ]


def test_a_file_named_twice_is_read_once(folder: Path) -> None:
    assert len(loaded(folder, {"pack.yaml": PACK, "a.yaml": RULE}, ".", "a.yaml", "./a.yaml")) == 1


def test_a_rule_says_its_kind_or_its_pack_does(folder: Path) -> None:
    assert [rule.kind for rule in loaded(folder, {"a.yaml": RULE + "kind: aws.cloudtrail\n"})] == ["aws.cloudtrail"]


def test_a_rule_without_kind_is_refused(folder: Path) -> None:
    assert sentences(folder, {"a.yaml": RULE}) == [
        "a.yaml:1:1: which kind of event is this for? Say 'kind', here or in a pack.yaml beside or above the rule"
    ]


def test_an_unknown_kind_names_the_nearest(folder: Path) -> None:
    assert sentences(folder, {"a.yaml": RULE + "kind: tencent.cloudaudits\n"}) == [
        "a.yaml:6:7: there is no kind of event 'tencent.cloudaudits'; did you mean 'tencent.cloudaudit'?"
    ]


def test_the_nearest_pack_above_governs(folder: Path) -> None:
    files = {
        "pack.yaml": PACK,
        "aws/pack.yaml": PACK.replace("tencent.cloudaudit", "aws.cloudtrail"),
        "aws/s3/a.yaml": RULE,
    }

    assert [rule.kind for rule in loaded(folder, files)] == ["aws.cloudtrail"]


def test_a_rule_named_alone_still_belongs_to_its_pack_and_knows_its_lists(folder: Path) -> None:
    files = {
        "mine/pack.yaml": PACK,
        "mine/cam/a.yaml": RULE.replace("eventName == 'X'", "in_list(eventName, 'mine') && in_list(a, 'beside')"),
        "mine/lists/l.yaml": "name: mine\ndescription: d\nvalues: [x]\n",
        "lists/l.yaml": "name: beside\ndescription: d\nvalues: [x]\n",
    }

    assert [rule.kind for rule in loaded(folder, files, "mine/cam/a.yaml")] == ["tencent.cloudaudit"]


def test_a_pack_says_which_rules_are_off(folder: Path) -> None:
    files = {"pack.yaml": PACK + "disabled: [a.rule]\n", "a.yaml": RULE, "b.yaml": RULE.replace("a.rule", "b.rule")}

    assert {rule.id: rule.enabled for rule in loaded(folder, files)} == {"a.rule": False, "b.rule": True}


def test_a_later_pack_may_switch_a_rule_on(folder: Path) -> None:
    files = {
        "a/pack.yaml": PACK + "disabled: [a.rule]\n",
        "a/a.yaml": RULE,
        "b/pack.yaml": PACK + "enabled: [a.rule]\n",
        "b/b.yaml": RULE.replace("a.rule", "b.rule"),
    }

    assert all(rule.enabled for rule in loaded(folder, files, "a", "b"))


def test_a_pack_that_names_no_rule_is_told(folder: Path) -> None:
    assert sentences(folder, {"pack.yaml": PACK + "disabled: [a.rulle]\n", "a.yaml": RULE}) == [
        "pack.yaml:4:12: no rule has the id 'a.rulle'; did you mean 'a.rule'?"
    ]


def test_quiet_defaults_to_an_hour_for_stories_and_to_nothing_for_single_events(folder: Path) -> None:
    files = {
        "pack.yaml": PACK,
        "a.yaml": RULE,
        "b.yaml": RULE.replace("a.rule", "b.rule") + "group_by: [norm.ip]\n",
        "c.yaml": RULE.replace("a.rule", "c.rule") + "group_by: [norm.ip]\nquiet: 15m\n",
    }

    assert [rule.quiet for rule in loaded(folder, files)] == [timedelta(0), timedelta(hours=1), timedelta(minutes=15)]


def test_memory_loads_as_values(folder: Path) -> None:
    def rule(name: str, memory: str, match: str = "match: eventName == 'X'") -> str:
        return RULE.replace("a.rule", f"a.{name}").replace("match: eventName == 'X'", match) + memory

    rules = loaded(
        folder,
        {
            "pack.yaml": PACK,
            "count.yaml": rule("count", "count: {at_least: 4, within: 30m, distinct: norm.actor}\n"),
            "first.yaml": rule("first", "first_seen: {values: [norm.actor, norm.ip], over: 30d, learn: 7d}\n"),
            "seq.yaml": rule(
                "seq",
                "sequence: {within: 1h, steps: [{match: a == 'x', at_least: 5}, {absent: b == 'y'}]}\n",
                match="status: stable",
            ),
            "silent.yaml": rule("silent", "silent: {for: 30m}\n"),
        },
    )

    count, first, sequence, silent = (rule.memory for rule in rules)
    assert isinstance(count, Count)
    assert count.distinct is not None
    assert (count.at_least, count.within, count.distinct.text) == (4, timedelta(minutes=30), "norm.actor")
    assert isinstance(first, FirstSeen)
    assert first.learn == timedelta(days=7)
    assert isinstance(sequence, Sequence)
    assert [(step.match.text, step.at_least, step.absent) for step in sequence.steps] == [
        ("a == 'x'", 5, False),
        ("b == 'y'", 1, True),
    ]
    assert isinstance(silent, Silent)
    assert silent.span == timedelta(minutes=30)


def test_a_sequence_without_match_looks_at_events_of_any_step(folder: Path) -> None:
    text = RULE.replace("match: eventName == 'X'", "sequence: {within: 1h, steps: [{match: a}, {match: b}]}")

    (rule,) = loaded(folder, {"pack.yaml": PACK, "a.yaml": text})

    assert rule.match.text == "(a) || (b)"


def test_the_version_follows_what_decides_and_not_the_prose(folder: Path) -> None:
    def version(text: str) -> str:
        (rule,) = loaded(folder, {"pack.yaml": PACK, "a.yaml": text})
        return rule.version

    assert version(RULE) == version(RULE.replace("It matters.", "It matters a lot."))
    assert version(RULE) != version(RULE.replace("'X'", "'Y'"))


def test_events_of_a_test_are_written_out_in_the_order_of_their_time(folder: Path) -> None:
    text = RULE + dedent("""\
        tests:
          - name: late and repeated
            events:
              - {event: {n: late}, at: 5m}
              - {n: plain}
              - {event: {n: often}, at: 1m, repeat: {every: 1m, times: 2}}
            expect: alert
        """)

    (rule,) = loaded(folder, {"pack.yaml": PACK, "a.yaml": text})

    (example,) = rule.tests
    assert [(event["n"], at.total_seconds()) for event, at in zip(example.events, example.offsets, strict=True)] == [
        ("plain", 0),
        ("often", 60),
        ("often", 120),
        ("late", 300),
    ]


LIST = "name: mine\ndescription: d\nvalues: [a]\n"


@pytest.mark.parametrize(
    ("second", "values"),
    [
        (LIST, {"a"}),
        (LIST.replace("[a]", "[B]") + "extends: true\n", {"a", "b"}),
        (LIST.replace("[a]", "[B]") + "replaces: true\n", {"b"}),
    ],
)
def test_a_list_may_be_repeated_extended_or_replaced(folder: Path, second: str, values: set[str]) -> None:
    files = {"a/lists/l.yaml": LIST, "b/lists/l.yaml": second, "pack.yaml": PACK, "r.yaml": RULE}

    assert loaded(folder, files).lists["mine"] == values


def test_a_list_that_changes_another_must_say_so(folder: Path) -> None:
    files = {"a/lists/l.yaml": LIST, "b/lists/l.yaml": LIST.replace("[a]", "[b]")}

    assert sentences(folder, files) == [
        (
            "b/lists/l.yaml:1:7: the list 'mine' is already in a/lists/l.yaml "
            "(say 'extends: true' or 'replaces: true', or give it another name)"
        )
    ]


def test_numbers_in_a_list_ask_for_quotes(folder: Path) -> None:
    assert sentences(folder, {"lists/l.yaml": LIST.replace("[a]", "[22]")}) == [
        "lists/l.yaml:3:10: this is a text, here it is the number 22 (write '22' in quotes)"
    ]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "nowhere:1:1: there is no such file or folder"),
        ("empty", "empty:1:1: there is no YAML file in this folder"),
        ("builtin:nope", "builtin:nope:1:1: there is no built-in pack 'nope'"),
    ],
)
def test_a_path_that_names_nothing_is_no_silent_success(folder: Path, path: str, message: str) -> None:
    (folder / "empty").mkdir()

    (first,) = sentences(folder, {}, path)
    assert first.startswith(message)


def test_an_empty_file_is_told(folder: Path) -> None:
    assert sentences(folder, {"pack.yaml": PACK, "a.yaml": "# nothing\n"}) == ["a.yaml:1:1: the file is empty"]


def test_the_fingerprint_follows_names_contents_and_absence(folder: Path) -> None:
    write(folder, {"pack.yaml": PACK, "a.yaml": RULE})
    first = packs.fingerprint(["."])
    assert packs.fingerprint(["."]) == first

    write(folder, {"a.yaml": RULE + "status: stable\n"})
    second = packs.fingerprint(["."])
    write(folder, {"b.yaml": RULE})
    third = packs.fingerprint(["."])
    (folder / "b.yaml").unlink()
    (folder / "a.yaml").unlink()

    assert len({first, second, third, packs.fingerprint(["."])}) == 4


def test_the_fingerprint_of_what_is_not_there_does_not_raise(folder: Path) -> None:
    assert packs.fingerprint(["nowhere"])


def test_the_schema_says_what_a_rule_must_have_and_what_it_may_not_have_together() -> None:
    made = json.loads(schema_text())

    assert made["anyOf"] == [{"required": ["match"]}, {"required": ["sequence"]}]
    assert {"not": {"required": ["count", "silent"]}} in made["allOf"]


def test_the_schema_in_the_tree_is_the_one_that_the_models_give() -> None:
    path = Path(__file__).resolve().parents[1] / "rules" / "schema.json"

    assert path.read_text(encoding="utf-8") == schema_text()


def test_the_example_of_the_documentation_loads_and_its_tests_end_as_expected(folder: Path) -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "rules.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]

    rules = loaded(folder, {"pack.yaml": PACK, "root/console_login.yaml": example})
    results = run(rules, lambda name: kinds.kind(name, redaction_key=bytes(32)))

    assert [result.verdict for result in results] == [Verdict.PASSED, Verdict.PASSED]


def test_whatever_is_built_in_loads() -> None:
    rules = packs.load()

    assert len({rule.id for rule in rules}) == len(rules)
