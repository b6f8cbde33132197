"""Rules with memory in the service: watermarks, late events, retractions, limits and restarts, over a real store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine import kinds, packs
from engine.correlate import Key, Limits, Window, meaning
from engine.correlate.lateness import Between, Lags, lateness, overlap
from engine.event import Cursor, Page, Record
from engine.pipeline import Policy, Tally, advance, ingest
from engine.route import Route
from engine.rule import Rule
from engine.store import Store
from engine.store.sqlite import open_store

BEGIN = 1_790_000_000
MINUTE = 60
KIND = kinds.kind("tencent.cloudaudit", redaction_key=bytes(32))
HEAD = """
id: mem.rule
title: "{norm.actor} did {norm.action}"
severity: high
kind: tencent.cloudaudit
description: d
group_by: [norm.actor]
"""
COUNT = "match: eventName == 'Fail'\ncount: {at_least: 3, within: 10m}\n"
ABSENT = """
sequence:
  within: 10m
  steps: [{match: eventName == 'Open'}, {absent: eventName == 'Close'}]
"""
SILENT = "match: eventName == 'Beat'\nsilent: {for: 10m}\n"
FIXED = Between(timedelta(minutes=1), timedelta(minutes=1))


class Guard:
    """One source, its rules and its store; time is what the pages say."""

    def __init__(self, folder: Path, rule: str, limits: Limits | None = None) -> None:
        self.folder = folder
        (folder / "rule.yaml").write_text(HEAD + rule, encoding="utf-8")
        self.rules = packs.load([str(folder / "rule.yaml")])
        self.policy = Policy(self.rules, (Route(("oncall",)),), limits or Limits())
        self.store: Store = open_store(str(folder / "tocsin.db"))

    @property
    def rule(self) -> Rule:
        return self.rules.rules[-1]

    def restart(self) -> None:
        self.store.close()
        self.store = open_store(str(self.folder / "tocsin.db"))

    def read(self, *events: dict[str, Any], until: int | None = None, seen: int | None = None) -> Tally:
        """A page of events; *until*: minutes up to which everything was read; *seen*: the minute of now."""
        records = tuple(Record(json.dumps(event).encode()) for event in events)
        cursor = None if until is None else Cursor(datetime.fromtimestamp(BEGIN + until * MINUTE, UTC))
        now = BEGIN + MINUTE * (seen if seen is not None else until if until is not None else 0)
        return ingest(Page(records, cursor), "prod", KIND, self.policy, self.store, now=now, lateness=FIXED)

    def titles(self) -> list[str]:
        return sorted(alert.title for alert in self.store.alerts())

    def outcomes(self) -> dict[str, int]:
        return {name[8:]: n for name, n in self.store.counts().items() if name.startswith("verdict.")}


def event(name: str, minute: float, *, event_id: str | None = None, actor: str = "ann") -> dict[str, Any]:
    return {
        "eventID": event_id or f"{name}-{actor}-{minute}",
        "eventName": name,
        "eventTime": int(BEGIN + minute * MINUTE),
        "eventVersion": 2,
        "userIdentity": {"type": "CAMUser", "accountId": "100000000001", "userName": actor},
    }


Make = Callable[..., Guard]


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Make]:
    made: list[Guard] = []

    def make(rule: str, limits: Limits | None = None) -> Guard:
        made.append(Guard(tmp_path, rule, limits))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def test_a_story_is_told_when_the_watermark_has_passed_it(guard: Make) -> None:
    g = guard(COUNT)

    g.read(*(event("Fail", minute) for minute in (3, 1, 2)), until=3)
    assert g.titles() == []

    g.read(until=4)
    assert g.titles() == ["ann did Fail"]
    (alert,) = g.store.alerts()
    assert (alert.count, alert.first_seen, alert.last_seen) == (3, BEGIN + 60, BEGIN + 180)
    assert alert.event_ids == ("Fail-ann-1", "Fail-ann-2", "Fail-ann-3")


def test_half_a_story_before_and_half_after_a_restart_is_a_whole_one(guard: Make) -> None:
    g = guard(COUNT)
    g.read(event("Fail", 1), until=5)
    g.restart()
    g.read(event("Fail", 6), until=7)
    g.restart()
    g.read(event("Fail", 8), until=20)

    assert g.titles() == ["ann did Fail"]


def test_every_match_has_one_verdict_and_it_follows_the_story(guard: Make) -> None:
    g = guard(COUNT)
    g.read(event("Fail", 1), event("Fail", 2), until=10)
    assert g.outcomes() == {"counted": 2}

    g.read(event("Fail", 10), event("Fail", 10.5), event("Fail", 10, actor="bob"), until=20)
    assert g.outcomes() == {"counted": 1, "alert": 1, "merged": 3}
    g.read(event("Fail", 11), until=30)
    assert sum(g.outcomes().values()) == 6


def test_a_late_event_completes_a_story_that_says_so(guard: Make) -> None:
    g = guard(COUNT)
    g.read(event("Fail", 1), event("Fail", 2), until=60)

    tally = g.read(event("Fail", 3), until=61, seen=183)

    (alert,) = g.store.alerts()
    assert (alert.late_by, alert.count) == (180 * MINUTE, 3)
    assert alert.title == "ann did Fail (late: its event came 3 h after it happened)"
    assert (tally.late, g.outcomes()) == (1, {"alert": 1, "merged": 2})
    with g.store.transaction() as tx:
        assert tx.source_watch("prod").late == 1


def test_a_late_event_of_a_told_story_joins_it(guard: Make) -> None:
    g = guard(COUNT)
    g.read(*(event("Fail", minute) for minute in (1, 2, 3)), until=60)

    g.read(event("Fail", 2.5), until=61)

    (alert,) = g.store.alerts()
    assert alert.count == 4
    assert g.outcomes() == {"alert": 1, "merged": 3}


def test_an_absence_is_told_when_time_passes_without_events(guard: Make) -> None:
    g = guard(ABSENT)
    g.read(event("Open", 1), until=5)
    with g.store.transaction() as tx:
        tx.move_cursor("prod", Cursor(datetime.fromtimestamp(BEGIN + 12 * MINUTE, UTC)))

    advance("prod", g.policy, g.store, now=BEGIN + 12 * MINUTE, lateness=FIXED)

    assert g.titles() == ["ann did Open"]


def test_what_fills_a_told_absence_late_takes_it_back(guard: Make) -> None:
    g = guard(ABSENT)
    g.read(event("Open", 1), until=30)
    (told,) = g.store.alerts()

    tally = g.read(event("Close", 5), until=31)

    (retraction,) = [alert for alert in g.store.alerts() if alert.retracts]
    assert (retraction.retracts, retraction.title) == (told.id, "RETRACTED: ann did Open")
    assert len(g.store.deliveries(alert_id=retraction.id)) == 1
    assert tally.retracted == 1
    assert g.outcomes() == {"alert": 2}


def test_a_late_heartbeat_takes_a_silence_back(guard: Make) -> None:
    g = guard(SILENT)
    g.read(event("Beat", 1), until=30)
    assert len(g.store.alerts()) == 1

    g.read(event("Beat", 9), event("Beat", 18), event("Beat", 27), until=31)

    assert g.titles() == ["RETRACTED: ann did Beat", "ann did Beat"]


def test_a_silence_of_a_group_is_told_once(guard: Make) -> None:
    g = guard(SILENT)
    g.read(event("Beat", 1), event("Beat", 2, actor="bob"), until=5)
    for minute in range(10, 60, 10):
        g.read(event("Beat", minute, actor="bob"), until=minute)

    assert g.titles() == ["ann did Beat"]


def test_a_silence_without_groups_is_watched_from_the_beginning(guard: Make) -> None:
    g = guard(SILENT.replace("match", "quiet: 1h\nmatch"))
    (g.folder / "rule.yaml").write_text((HEAD + SILENT).replace("group_by: [norm.actor]\n", ""), encoding="utf-8")
    g.policy = Policy(packs.load([str(g.folder / "rule.yaml")]), (Route(("oncall",)),))
    g.read(until=1)
    g.read(until=12)

    assert g.titles() == ["- did -"]


def test_a_changed_title_keeps_the_windows_and_a_changed_condition_begins_anew(guard: Make) -> None:
    g = guard(COUNT)
    before = meaning(g.rule)
    retitled = Guard(g.folder, COUNT.replace("match", "runbook: look\nmatch"))
    changed = Guard(g.folder, COUNT.replace("10m", "11m"))

    assert meaning(retitled.rule) == before
    assert meaning(changed.rule) != before
    retitled.store.close()
    changed.store.close()


def test_an_exception_applies_before_memory(guard: Make) -> None:
    g = guard(
        COUNT + "unless: [{match: sourceIPAddress == '203.0.113.7', reason: drill, owner: me, expires: 2999-01-01}]\n"
    )
    hidden = [{**event("Fail", minute), "sourceIPAddress": "203.0.113.7"} for minute in (1, 2)]
    g.read(*hidden, event("Fail", 3), until=30)

    assert g.titles() == []
    assert g.outcomes() == {"excepted": 2, "counted": 1}


def test_noise_does_not_drive_out_the_busiest_story(guard: Make) -> None:
    g = guard(COUNT.replace("at_least: 3", "at_least: 20"), Limits(groups=100))
    g.read(*(event("Fail", n / 10) for n in range(19)), until=3)
    for page in range(10):
        noise = (event("Fail", 3 + n / 100, actor=f"noise{page}-{n}") for n in range(50))
        g.read(*noise, until=5)

    with g.store.transaction() as tx:
        assert tx.source_watch("prod").windows <= 100
    (fault,) = g.store.faults()
    assert fault["message"] == "more than 100 groups, or 1000000 windows in all: the quietest are given up"
    g.read(event("Fail", 5), until=10)
    assert g.titles() == ["ann did Fail"]


def test_a_group_with_too_many_matches_is_told_and_counted(guard: Make) -> None:
    g = guard(COUNT, Limits(matches=5))
    g.read(*(event("Fail", n / 10) for n in range(9)), until=30)

    (alert,) = g.store.alerts()
    assert alert.count == 5
    assert g.store.faults()[0]["message"] == "more than 5 matches of one group wait: later ones are given up"
    assert sum(g.outcomes().values()) == 9


def test_what_a_rule_breaks_on_is_a_fault_and_counts_for_nothing(guard: Make) -> None:
    g = guard("match: eventName == 'Fail'\ncount: {at_least: 2, within: 10m, distinct: abs(requestParameters.n)}\n")
    g.read({**event("Fail", 1), "requestParameters": {"n": "x"}}, until=30)

    (fault,) = g.store.faults()
    assert fault["message"].startswith("count.distinct: abs()")


def test_windows_that_are_over_are_forgotten(guard: Make) -> None:
    g = guard(COUNT, Limits(grace=60))
    g.read(event("Fail", 1), event("Fail", 1, actor="bob"), until=5)
    with g.store.transaction() as tx:
        assert tx.source_watch("prod").windows == 2

    g.read(until=60)

    with g.store.transaction() as tx:
        assert tx.source_watch("prod").windows == 0
        assert tx.windows_of("mem.rule") == []


def test_a_first_sighting_is_learned_before_it_is_told(guard: Make) -> None:
    g = guard("match: eventName == 'Use'\nfirst_seen: {values: [norm.ip], over: 1h, learn: 10m}\nquiet: 0s\n")
    uses = [
        {**event("Use", minute), "sourceIPAddress": ip}
        for minute, ip in ((1, "203.0.113.1"), (5, "203.0.113.2"), (20, "203.0.113.1"), (21, "203.0.113.3"))
    ]
    g.read(*uses, until=60)

    (alert,) = g.store.alerts()
    assert alert.event_ids == ("Use-ann-21",)
    ((verdict, _),) = g.store.verdicts("Use-ann-5")
    assert verdict.outcome == "counted"
    assert verdict.detail.startswith("the rule is learning until")


def test_windows_survive_being_written_and_read(guard: Make) -> None:
    g = guard(COUNT)
    key = Key("r", "m", b"s" * 16)
    window = Window(group='{"a":1}', busy=3)
    with g.store.transaction() as tx:
        tx.save_windows("prod", {key: window}, {key: 5}, ())
    with g.store.transaction() as tx:
        assert tx.windows("prod", [key]) == {key: window}
        assert tx.due("prod", 5) == [key]
        assert tx.due("prod", 4) == []


# --- lateness


def lags(*seconds: float) -> Lags:
    made = Lags()
    for one in seconds:
        made.add(one)
    return made


def test_a_quantile_is_right_to_five_percent() -> None:
    found = lags(*range(1, 1001))

    assert found.quantile(0.5) == pytest.approx(500, rel=0.05)
    assert found.quantile(0.999) == pytest.approx(999, rel=0.05)
    assert (found.most, Lags().quantile(0.5)) == (1000, 0.0)


def test_two_distributions_add_up() -> None:
    one, other = lags(*range(500)), lags(*range(500, 1000))
    one.join(other.counts, other.most)

    assert one == lags(*range(1000))


def test_the_watermark_stays_as_far_behind_as_the_latest_service_needs_within_limits() -> None:
    limits = Between(timedelta(seconds=30), timedelta(minutes=15))

    assert lateness([], limits) == timedelta(seconds=30)
    assert timedelta(seconds=200) <= lateness([lags(0, 0, 1), lags(200)], limits) <= timedelta(seconds=225)
    assert lateness([lags(100_000)], limits) == timedelta(minutes=15)


def test_the_overlap_shrinks_only_when_enough_was_measured() -> None:
    limits = Between(timedelta(minutes=2), timedelta(hours=2))

    assert overlap([lags(1)], limits) == timedelta(minutes=15)
    assert overlap([lags(*[1.0] * 2000)], limits) == timedelta(minutes=2)
    assert overlap([lags(*[3000.0] * 2000)], limits) > timedelta(minutes=90)


def test_what_comes_after_the_cursor_is_not_late(guard: Make) -> None:
    g = guard(COUNT)
    g.read(event("Fail", 1), until=5)
    g.read(event("Fail", 6), event("Fail", 4), until=7)

    with g.store.transaction() as tx:
        behind = tx.lags("prod", "behind")
    (only,) = behind.values()
    assert (only.number, only.most) == (2, 60.0)
