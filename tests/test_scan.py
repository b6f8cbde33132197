"""Scans of files: what is told, once, in the same order, on one core or on several."""

from __future__ import annotations

import gzip
import json
import multiprocessing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import kinds, packs, parallel
from engine.alert import Alert, Fault, Match
from engine.correlate import raise_alert
from engine.errors import Place
from engine.event import Quarantined, Record
from engine.expression import parse, parse_template
from engine.parallel import Scanner, WorkerError
from engine.rule import Rule, RuleSet, Severity, Status
from engine.scan import Scan, Teller, line
from engine.sources import files

KEY = b"k" * 32
RULE = """\
id: mine.{name}
kind: {kind}
title: "{{eventName}} by {{norm.actor}}"
severity: high
status: stable
description: Made up.
match: |
  {match}
{more}
"""
MORE = {
    "single": "",
    "grouped": "group_by: [norm.actor, requestParameters.Port]\nquiet: 10s",
    "excepted": "unless: [{match: userAgent == 'known', reason: drill, owner: a@example.com, expires: 2099-01-01}]",
    "counted": "group_by: [norm.actor]\ncount: {at_least: 2, within: 1h}",
}


@pytest.fixture(autouse=True)
def other_processes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "WARM", 2)


def write_rules(folder: Path) -> Path:
    rules = folder / "rules"
    rules.mkdir()
    for name, more in MORE.items():
        text = RULE.format(name=name, kind="tencent.cloudaudit", match="eventName == 'DeleteUser'", more=more)
        (rules / f"{name}.yaml").write_text(text)
    text = RULE.format(name="aws", kind="aws.cloudtrail", match="eventName == 'DeleteUser'", more="")
    (rules / "aws.yaml").write_text(text)
    text = RULE.format(
        name="breaks",
        kind="tencent.cloudaudit",
        match="eventName == 'Odd' && length(requestParameters.List) > `1`",
        more="",
    )
    (rules / "breaks.yaml").write_text(text)
    return rules


def tencent(number: int, name: str = "DeleteUser", time: int = 1_700_000_000, **more: Any) -> dict[str, Any]:
    identity = {"accountId": "100000000001", "principalId": f"10000000000{number % 3}", "type": "CAMUser"}
    return {"eventID": f"t{number}", "eventName": name, "eventTime": time, "userIdentity": identity} | more


def aws(number: int, name: str = "DeleteUser") -> dict[str, Any]:
    return {
        "eventID": f"a{number}", "eventName": name, "awsRegion": "us-east-1", "eventTime": "2023-11-14T22:13:20Z",
        "recipientAccountId": "123456789012",
    }  # fmt: skip


def json_lines(*values: Any) -> bytes:
    return b"".join((value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n" for value in values)


class Told:
    """What a scan says, in the order in which it says it."""

    def __init__(self, rules: RuleSet, rule_path: Path, jobs: int = 1) -> None:
        self.said: list[object] = []
        self.scanner = Scanner(
            rules, [str(rule_path)], jobs, KEY, self.fault, self.said.append, lambda *problem: self.said.append(problem)
        )

    def fault(self, fault: Fault) -> None:
        self.said.append(fault)

    def of(self, *paths: Path) -> list[object]:
        self.said += [line(alert) for alert in self.scanner.alerts(paths)]
        return self.said


@pytest.fixture(scope="module")
def rule_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rules(tmp_path_factory.mktemp("scan"))


@dataclass(frozen=True)
class Loaded:
    """Rules that hypothesis need not print."""

    rules: RuleSet = field(repr=False)


@pytest.fixture(scope="module")
def loaded(rules: RuleSet) -> Loaded:
    return Loaded(rules)


@pytest.fixture(scope="module")
def rules(rule_path: Path) -> RuleSet:
    return packs.load([str(rule_path)])


def test_an_event_that_stands_in_several_files_is_told_once(tmp_path: Path, rules: RuleSet, rule_path: Path) -> None:
    (tmp_path / "1.jsonl").write_bytes(json_lines(aws(1), aws(2), aws(1)))
    (tmp_path / "2.jsonl.gz").write_bytes(gzip.compress(json_lines(aws(2), aws(3))))

    told = Told(rules, rule_path)
    said = told.of(tmp_path)

    assert [alert["event_ids"] for alert in said if isinstance(alert, dict)] == [["a1"], ["a2"], ["a3"]]
    assert (told.scanner.seen.events, told.scanner.seen.repeated) == (3, 2)


def test_a_story_is_told_again_when_its_quiet_period_is_over(tmp_path: Path, rules: RuleSet, rule_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(json_lines(*(tencent(3 * n, time=1_700_000_000 + 4 * n) for n in range(5))))

    said = Told(rules, rule_path).of(path)

    stories = [alert["event_ids"] for alert in said if isinstance(alert, dict) and alert["rule_id"] == "mine.grouped"]
    assert stories == [["t0", "t3", "t6"], ["t9", "t12"]]


def test_the_lines_are_the_same_with_several_jobs(tmp_path: Path, rules: RuleSet, rule_path: Path) -> None:
    many = [
        tencent(n % 900, ("DeleteUser", "Read", "Odd")[n % 3], 1_700_000_000 + n, pad="x" * 3000) for n in range(1200)
    ]
    odd = [tencent(2000, "Odd", requestParameters={"List": True}), b'{"eventName": ', {"foo": 1}, {"eventName": "NoId"}]
    (tmp_path / "large.jsonl").write_bytes(json_lines(*many[:600], *odd, *many[600:]))
    (tmp_path / "other.json.gz").write_bytes(
        gzip.compress(json.dumps({"Records": [aws(n) for n in range(50)]}).encode())
    )
    (tmp_path / "third.jsonl").write_bytes(json_lines(*many[::7], aws(7), aws(77), {"EventId": "x", "EventName": "y"}))

    alone, together = Told(rules, rule_path), Told(rules, rule_path, jobs=2)
    one, two = alone.of(tmp_path), together.of(tmp_path)

    assert one == two
    assert alone.scanner.seen == together.scanner.seen
    assert alone.scanner.seen.repeated > 300
    assert alone.scanner.seen.faults == 1
    assert alone.scanner.broken == together.scanner.broken == 2


EVENTS = st.one_of(
    st.builds(
        tencent,
        st.integers(0, 12),
        st.sampled_from(["DeleteUser", "Read", "Odd", ""]),
        st.integers(1_700_000_000, 1_700_000_030),
        userAgent=st.sampled_from(["known", "curl"]),
        requestParameters=st.sampled_from([None, "{}", {"List": [1, 2]}, {"List": 3}, '{"Port": "22"}', {"Port": [1]}]),
    ),
    st.builds(aws, st.integers(0, 5), st.sampled_from(["DeleteUser", "Read"])),
    st.sampled_from(
        [b"{", b"garbage", b"", b"[]", b'{"eventName": "NoId"}', b'{"EventId": "1", "CloudAuditEvent": "x"}']
    ),
)


@given(st.lists(EVENTS, max_size=25), st.integers(1, 3000))
@settings(max_examples=60)
def test_what_workers_hand_back_says_the_same_as_the_records(
    tmp_path_factory: pytest.TempPathFactory, loaded: Loaded, events: list[Any], cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "hand-back.jsonl"
    path.write_bytes(json_lines(*events))
    known = {name: kinds.kind(name, redaction_key=KEY) for name in kinds.MODULES}

    def scanned(*, by_workers: bool) -> tuple[list[dict[str, Any]], list[object], object]:
        told = Told(loaded.rules, path)
        if not by_workers:
            said = told.of(path)
            return [line for line in said if isinstance(line, dict)], said, told.scanner.seen
        work = parallel.Work(loaded.rules, known)
        pieces = files.parts([path], whole_below=1)
        answers = ((piece, parallel.notice(piece, work)) for piece in pieces)
        scan = Scan(loaded.rules, known, told.fault, told.said.append, told.scanner.seen)
        told.said += [line(alert) for alert in scan.alerts(told.scanner._given(answers))]
        return [line for line in told.said if isinstance(line, dict)], told.said, told.scanner.seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PART", cut)
        patch.setattr(files, "_BLOCK", cut)
        assert scanned(by_workers=True) == scanned(by_workers=False)


def test_a_story_whose_words_were_not_sent_is_told_from_its_record(
    tmp_path: Path, rules: RuleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(json_lines(*(tencent(3 * n, time=1_700_000_000 + 60 * n) for n in range(9))))
    known = {name: kinds.kind(name, redaction_key=KEY) for name in kinds.MODULES}
    monkeypatch.setattr(Teller, "told_elsewhere", Teller.told)
    scanner = Scanner(rules, [], 1, KEY)
    answers = ((p, parallel.notice(p, parallel.Work(rules, known))) for p in files.parts([path], whole_below=1))
    alerts = Scan(rules, known, print, print).alerts(scanner._given(answers))

    stories = [line(alert) for alert in alerts if alert.rule_id == "mine.grouped"]

    assert stories == [line(a) for a in Scanner(rules, [], 1, KEY).alerts([path]) if a.rule_id == "mine.grouped"]
    assert len(stories) == 9


def test_a_killed_process_is_an_error_and_ends_the_scan(tmp_path: Path, rules: RuleSet, rule_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(json_lines(*(tencent(n, "Read", pad="x" * 3000) for n in range(3000))))

    def kill(_read: int) -> None:
        if scanner.seen.events > 100:
            for process in multiprocessing.active_children():
                process.kill()

    scanner = Scanner(rules, [str(rule_path)], 2, KEY, on_read=kill)

    with pytest.raises(WorkerError, match="killed"):
        list(scanner.alerts([path]))


def test_a_scan_that_is_closed_leaves_no_process(tmp_path: Path, rules: RuleSet, rule_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(json_lines(*(aws(n) for n in range(3000))))
    before = set(multiprocessing.active_children())

    alerts = Scanner(rules, [str(rule_path)], 2, KEY).alerts([path])
    first: Alert = next(alerts)
    alerts.close()

    assert first.event_ids == ("a0",)
    assert set(multiprocessing.active_children()) <= before


def test_quarantined_records_are_told_with_their_place(tmp_path: Path, rules: RuleSet) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(json_lines(aws(1), {"EventId": "1", "CloudAuditEvent": "not JSON"}))
    told: list[Quarantined] = []

    list(Scanner(rules, [], 1, KEY, on_quarantined=told.append).alerts([path]))

    assert [item.place for item in told] == [f"{path}:2"]


@pytest.mark.parametrize("port", [None, "22", 1, True, 1.0, [1], [True], {"a": "b"}])
def test_a_story_has_the_fingerprint_of_its_alert(rules: RuleSet, port: object) -> None:
    rule = rules.find("mine.grouped")
    raw = json.dumps(tencent(1, requestParameters={"Port": port})).encode()
    event = kinds.kind("tencent.cloudaudit", redaction_key=KEY).decode(Record(raw)).event
    assert rule is not None
    assert event is not None

    match = Match(rule, event)
    told = Teller().told(match)

    assert told.mark == raise_alert(match, now=0, evidence="").fingerprint


@given(
    EVENTS.filter(lambda event: isinstance(event, dict) and bool(event["eventName"])),
    st.lists(
        st.sampled_from(
            [
                "eventName",
                "norm.actor",
                "norm",
                "norm.ip",
                "requestParameters.Port",
                "requestParameters",
                "length('x')",
                "a.b",
            ]
        ),
        max_size=4,
    ),
)
def test_a_scan_prints_of_an_alert_what_the_service_would_tell(event: dict[str, Any], names: list[str]) -> None:
    title = parse_template(" ".join(f"{{{name}}}" for name in names) or "plain", lists={})
    group_by = tuple(parse(name, lists={}) for name in names[::2])
    place, match = Place("x.yaml"), parse("eventName", lists={})
    kind = "aws.cloudtrail" if "awsRegion" in event else "tencent.cloudaudit"
    rule = Rule(
        "mine.x", title, Severity.LOW, Status.STABLE, kind, "{norm.actor}", match, place, "1", group_by=group_by
    )
    record = Record(json.dumps(event).encode())

    def decoded() -> Match:
        found = kinds.kind(kind, redaction_key=KEY).decode(record).event
        assert found is not None
        return Match(rule, found)

    teller = Teller()
    told, apart = teller.told(decoded()), teller.told_elsewhere(decoded())
    expected = line(raise_alert(decoded(), now=0, evidence=""))

    assert apart is not None
    assert apart.words is not None
    assert line(teller.alert(decoded(), told)) == expected
    assert line(teller.alert(decoded(), apart)) == expected
