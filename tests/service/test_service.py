"""The service around the path: what it does when the store, the clock or a destination fails."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from engine import kinds, packs
from engine.canary import Canary
from engine.coverage import Coverage
from engine.delivery import Delivered, Delivery, Outcome, Refused, TryLater
from engine.errors import SourceRefusedError, StoreFatalError, StoreFullError
from engine.event import Cursor, Page, Record
from engine.pipeline import Policy
from engine.route import Route
from engine.service import Care, FromNow, Parts, Service, Upkeep, Watched
from engine.store.sqlite import SqliteStore, open_store
from tests.service.parts import NOW, Clock, Destination, metas, queue

RULE = """
id: test.any_login
title: "{norm.actor} signed in"
severity: critical
status: stable
kind: tencent.cloudaudit
description: One match an event.
match: eventName == 'ConsoleLogin'
"""


@dataclass
class Cloud:
    """A source with the events that a test puts into it; *spans* are what it was asked for."""

    name: str = "prod"
    kind: str = "tencent.cloudaudit"
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    fails: Exception | None = None
    covered: Coverage | None = None

    def happens(self, at: float, event_id: str, **fields: Any) -> None:
        event = {"eventID": event_id, "eventName": "ConsoleLogin", "eventTime": int(at), "errorCode": 0, **fields}
        event["userIdentity"] = {"type": "Root", "userName": "root", "accountId": "100000000001"}
        self.events.append((at, event))

    def fetch(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        if self.fails is not None:
            raise self.fails
        begin = since.until.timestamp() if since else until.timestamp() - 3600
        self.spans.append((begin, until.timestamp()))
        found = [event for at, event in self.events if begin <= at <= until.timestamp()]
        yield Page(tuple(Record(json.dumps(event).encode()) for event in found), Cursor(until))

    def coverage(self) -> Coverage | None:
        return self.covered

    def close(self) -> None: ...


@dataclass
class House:
    """A service, with everything around it that a test may want to look at."""

    clock: Clock
    cloud: Cloud
    store: SqliteStore
    destinations: dict[str, Destination]
    service: Service
    ended: list[int]

    def look(self) -> bool:
        return self.service.workers[0].look()

    def tick(self, seconds: float = 61) -> None:
        """So much later, everything that a tick does, and everything that is due is sent."""
        self.clock.advance(seconds)
        self.service._on_tick()
        self.send()

    def send(self) -> None:
        for sender in self.service.senders:
            while sender.send_one():
                pass


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    (tmp_path / "rule.yaml").write_text(RULE)
    clock, cloud, ended = Clock(), Cloud(), list[int]()
    store = open_store(str(tmp_path / "tocsin.db"))
    kind = kinds.kind("tencent.cloudaudit", redaction_key=b"k" * 32)
    hour, day = timedelta(hours=1), timedelta(days=1)
    destinations = {name: Destination() for name in ("oncall", "hook", "birdcage")}
    service = Service(
        Parts(
            store=store,
            policy=Policy(packs.load([str(tmp_path / "rule.yaml")]), (Route(("oncall",), then=("hook",)),)),
            watched=[Watched(cloud, kind, timedelta(minutes=1), timedelta(minutes=15), hour, day)],
            destinations=destinations,
            mutes=lambda _: (),
            reload=lambda: service.parts.policy,
            rules_changed=lambda: False,
            upkeep=Upkeep(timedelta(days=8), timedelta(days=90)),
            care=Care(("oncall", "hook"), canary=Canary("birdcage", hour)),
            stall_mark=tmp_path / "stalled",
            damage_mark=tmp_path / "damaged",
            clock=clock,
            monotonic=clock.monotonic,
            end=ended.append,
        )
    )
    yield House(clock, cloud, store, destinations, service, ended)
    store.close()


def fill(store: SqliteStore) -> None:
    (pages,) = store.connection.execute("PRAGMA page_count").fetchone()
    store.connection.execute(f"PRAGMA max_page_count={pages}")
    try:
        while True:
            store.connection.execute("INSERT INTO meta (name, value) VALUES (hex(randomblob(8)), zeroblob(500))")
    except sqlite3.OperationalError:
        return


# --- escalation and broken destinations


def test_a_critical_alert_reaches_the_next_destination_when_the_first_refuses_it(house: House) -> None:
    house.destinations["oncall"].outcomes = [Refused("channel_not_found", permanent=True)]
    house.cloud.happens(NOW - 60, "e1")
    house.look()
    house.send()
    house.tick()

    (told,) = [one for one in house.destinations["hook"].sent if one.alert.rule_id == "test.any_login"]
    assert told.alert.event_ids == ("e1",)


def test_a_broken_destination_is_told_by_another_and_shows_until_it_is_mended(house: House) -> None:
    house.destinations["oncall"].outcomes = [Refused("invalid_auth", permanent=True), Delivered("ok")]
    house.cloud.happens(NOW - 60, "e1")
    house.look()
    house.send()
    broken = house.service.unready()
    house.tick()

    assert "Destination oncall takes no messages: invalid_auth" in broken
    assert metas(house.store) == [("destination_refuses", "oncall")]
    assert "tocsin.meta.destination_refuses" in [one.alert.rule_id for one in house.destinations["hook"].sent]
    assert house.service.unready() == []


# --- the store


def test_without_space_reading_is_paused_said_and_goes_on_by_itself(house: House) -> None:
    house.look()
    fill(house.store)
    house.cloud.happens(NOW + 10, "e1", requestParameters={"long": "x" * 50_000})
    house.clock.advance(60)
    paused = house.look(), house.service.full, house.service.space_again()
    unready = house.service.unready()
    house.store.connection.execute("PRAGMA max_page_count=1000000")
    resumed = house.service.space_again(), house.look(), house.service.unready()

    assert paused == (False, True, False)
    assert any("No space is left for the store" in reason for reason in unready)
    assert resumed == (True, True, [])
    assert [v.outcome for v, _ in house.store.verdicts("e1")] == ["alert"]


def test_without_space_the_destinations_are_told_past_the_store(house: House) -> None:
    fill(house.store)
    house.service.store_failed(StoreFullError("x" * 10_000))
    for sender in house.service.senders:
        sender._send_direct()

    told = {name: [one.alert.rule_id for one in d.sent] for name, d in house.destinations.items()}
    assert told == {"oncall": ["tocsin.meta.disk_full"], "hook": ["tocsin.meta.disk_full"], "birdcage": []}


def test_a_failed_fsync_ends_the_process_at_once(house: House) -> None:
    house.service.store_failed(StoreFatalError("disk I/O error"))

    assert house.ended == [74]


def test_an_fsync_that_failed_is_known_from_other_errors() -> None:
    from engine.store.sqlite import _failure

    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    other = sqlite3.OperationalError("disk I/O error")
    other.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ

    assert _failure(error) is StoreFatalError
    assert _failure(other) is not StoreFatalError
    assert _failure(OSError(28, "No space left on device")) is StoreFullError


# --- the clock


@pytest.mark.parametrize("step", [-3600.0, 3600.0, 30 * 86_400.0])
def test_nothing_is_missed_when_the_clock_is_set_and_set_right_again(house: House, step: float) -> None:
    true = NOW
    for minute in range(60):
        house.cloud.happens(true + 60 * minute, f"e{minute}")
    for minute in range(60):
        if minute == 20:
            house.clock.set(step)
        if minute == 40:
            house.clock.set(-step)
        house.service.look_at_clock()
        house.look()
        house.tick(60)
    house.look()

    missed = [n for n in range(60) if not house.store.verdicts(f"e{n}")]
    told = [one.alert.event_ids for one in house.destinations["oncall"].sent if one.alert.kind != "tocsin.meta"]
    assert missed == []
    assert len(told) == len(set(told)) == 60
    assert ("clock_step", "this machine") in metas(house.store)


def test_the_ticks_do_not_count_what_a_step_of_the_clock_skipped() -> None:
    from apscheduler.job import Job

    def nothing() -> None: ...

    begin = datetime.fromtimestamp(NOW, UTC)
    job = Job(BackgroundScheduler(timezone=UTC), id="tick", trigger=FromNow(1.0), func=nothing, args=(), kwargs={})
    job._modify(next_run_time=begin, misfire_grace_time=None, coalesce=True, max_instances=1, executor="default")

    assert len(job._get_run_times(begin + timedelta(days=3650))) == 1


# --- canary, sources, restarts


def test_a_canary_goes_the_whole_way_every_hour_to_its_own_destination(house: House) -> None:
    for _ in range(4):
        house.tick(1800)

    assert [one.alert.rule_id for one in house.destinations["birdcage"].sent] == ["tocsin.canary"] * 2
    assert house.destinations["oncall"].sent == []
    assert [v.outcome for v, _ in house.store.verdicts(f"canary-{int(NOW + 1800)}")] == ["alert"]
    assert house.store.ledger().imbalance == 0


def test_a_canary_that_does_not_arrive_is_told_by_the_other_destinations(house: House) -> None:
    house.destinations["birdcage"].outcomes = [Refused("HTTP 413")]
    for _ in range(4):
        house.tick(1801)

    assert ("canary_missing", "birdcage") in metas(house.store)
    assert "tocsin.meta.canary_missing" in [one.alert.rule_id for one in house.destinations["oncall"].sent]
    assert any("canary" in reason for reason in house.service.unready())


def test_a_source_that_refuses_the_key_is_told_and_over_when_it_reads_again(house: House) -> None:
    house.cloud.fails = SourceRefusedError("AuthFailure.SecretIdNotFound")
    house.look()
    house.tick()
    unready = house.service.unready()
    house.cloud.fails = None
    house.look()
    house.tick()

    assert any("AuthFailure.SecretIdNotFound" in reason for reason in unready)
    assert metas(house.store) == [("source_failing", "prod")]
    assert house.service.unready() == []


def test_a_source_that_was_never_tracked_is_shown_and_rings_nobody(house: House) -> None:
    house.cloud.covered = Coverage(False, "there is no tracking set")
    house.service.check_coverage()

    assert metas(house.store) == []
    assert house.service.notes() == ["Write events of source prod are not tracked: there is no tracking set"]


def test_a_source_that_is_no_longer_tracked_is_told_and_does_not_make_the_service_unready(house: House) -> None:
    house.cloud.covered = Coverage(True, "a tracking set delivers every write event")
    house.service.check_coverage()
    house.cloud.covered = Coverage(False, "there is no tracking set")
    house.service.check_coverage()

    assert metas(house.store) == [("not_tracked", "prod")]
    assert house.service.unready() == []
    assert house.service.notes() == ["Write events of source prod are not tracked: there is no tracking set"]


@dataclass
class Slow(Destination):
    """A destination that takes its time and then fails."""

    clock: Clock = field(default_factory=Clock)

    def send(self, delivery: Delivery) -> Outcome:
        self.clock.advance(25)
        return super().send(delivery)


def test_one_round_tries_each_delivery_once_and_ends_though_a_destination_fails(house: House) -> None:
    slow = house.destinations["oncall"] = Slow([TryLater("hangs", ambiguous=True)], clock=house.clock)
    house.service.senders[0].notifier = slow
    for number in range(2):
        queue(house.store, "oncall", at=house.clock(), number=number)
    assert house.service.once() == 0
    assert [delivery.attempt for delivery in slow.sent] == [1, 1]
    assert house.store.waiting()["oncall"] == 2


def test_one_round_begins_no_attempt_after_a_minute(house: House) -> None:
    slow = house.destinations["oncall"] = Slow([TryLater("hangs", ambiguous=True)], clock=house.clock)
    house.service.senders[0].notifier = slow
    for number in range(8):
        queue(house.store, "oncall", at=house.clock(), number=number)
    house.service.once()
    assert len(slow.sent) == 3  # at 0, 25 and 50 seconds
    assert house.store.waiting()["oncall"] == 8


def test_in_one_round_no_destination_waits_for_another(house: House) -> None:
    arrived = threading.Event()

    class Waits(Destination):
        def send(self, delivery: Delivery) -> Outcome:
            return super().send(delivery) if arrived.wait(30) else TryLater("it waited for the other one")

    class Tells(Destination):
        def send(self, delivery: Delivery) -> Outcome:
            arrived.set()
            return super().send(delivery)

    house.service.senders[0].notifier, house.service.senders[1].notifier = Waits(), Tells()
    for name in ("oncall", "hook"):
        queue(house.store, name, at=house.clock(), number=len(name))
    house.service.once()
    assert house.store.waiting() == {}


def rules_told(destination: Destination) -> list[str]:
    return [delivery.alert.rule_id for delivery in destination.sent]


def test_that_a_destination_refuses_is_told_by_the_other_in_the_same_round(house: House) -> None:
    slow = Slow([Refused("invalid_auth", permanent=True)], clock=house.clock)
    house.service.senders[0].notifier = slow
    queue(house.store, "oncall", at=house.clock())
    house.service.once()

    assert rules_told(house.destinations["hook"]) == ["tocsin.meta.destination_refuses"]
    assert len(slow.sent) == 1
    assert house.store.waiting() == {"oncall": 1}


def test_a_critical_alert_that_is_refused_goes_on_to_the_next_destination_in_the_same_round(house: House) -> None:
    house.destinations["oncall"].outcomes = [Refused("msg_too_long")]
    house.cloud.happens(NOW - 60, "e1")
    house.service.once()

    assert rules_told(house.destinations["hook"]) == ["test.any_login"]


def test_when_every_destination_refuses_one_round_ends_all_the_same(house: House) -> None:
    for name in ("oncall", "hook"):
        house.destinations[name].outcomes = [Refused("invalid_auth", permanent=True)]
        queue(house.store, name, at=house.clock(), number=len(name))
    house.service.once()

    assert [len(house.destinations[name].sent) for name in ("oncall", "hook")] == [1, 1]


def test_that_the_last_process_stood_still_is_told_once_at_the_next_start(house: House) -> None:
    mark = house.service.parts.stall_mark
    assert mark is not None
    mark.write_text("the ticks had stopped")
    house.service.once()
    house.service.once()

    assert [rule for rule, _ in metas(house.store)] == ["stalled"]


def test_meta_alerts_are_no_matches_and_the_ledger_adds_up(house: House) -> None:
    house.cloud.happens(NOW - 60, "e1")
    house.look()
    house.service.vigil.say("clock_step", "this machine", "forward")

    assert house.store.ledger().matches == 1
    assert house.store.ledger().imbalance == 0


# --- when sources are read, when senders are woken


def polled_at(house: House, ticks: int, late: Iterator[float]) -> list[float]:
    """The moments of the turns that the worker takes on the scheduler's ticks, each of which comes so much too late."""
    clock, worker, trigger = house.clock, house.service.workers[0], FromNow(house.service.tick)
    taken = []
    for _ in range(ticks):
        due = trigger.get_next_fire_time(None, datetime.fromtimestamp(clock(), UTC)).timestamp() - clock()
        clock.advance(due + next(late))
        tick = clock.monotonic()
        if worker.due():
            clock.advance(0.01)  # the thread wakes so much later, which does not hold up the ticks
            assert worker.take_turn()
            clock.advance(-0.01)
            taken.append(tick)
    return taken


@pytest.mark.parametrize("latest", [0.0, 0.001, 0.2])
def test_a_source_is_read_as_often_as_it_says(house: House, latest: float) -> None:
    draw = random.Random(1)

    taken = polled_at(house, 4 * 1000, iter(lambda: draw.random() * latest, None))

    gaps = [after - before for before, after in pairwise(taken)]
    assert abs(gaps[0] - 60) < 1
    assert sum(gaps) / len(gaps) == pytest.approx(60, abs=0.1)
    assert min(gaps) > 60 - house.service.tick - 1
    assert max(gaps) < 60 + house.service.tick + 1
    assert sum(abs(gap - 60) < 1 for gap in gaps) > 0.95 * len(gaps)


def test_a_source_whose_interval_is_no_number_of_ticks_is_read_so_often_on_average(house: House) -> None:
    worker = house.service.workers[0]
    worker.watched = replace(worker.watched, every=timedelta(seconds=40))

    taken = polled_at(house, 800, iter(lambda: 0.001, None))

    assert house.service.tick == 15
    assert (taken[-1] - taken[0]) / (len(taken) - 1) == pytest.approx(40, abs=0.2)


def test_polls_that_were_missed_are_made_up_for_by_one(house: House) -> None:
    worker = house.service.workers[0]
    assert worker.take_turn()
    house.clock.advance(1000)

    assert worker.take_turn()
    assert not worker.due()
    house.clock.advance(61)
    assert worker.take_turn()
    assert not worker.due()


def test_a_poll_that_took_longer_than_its_interval_does_not_delay_the_next_but_one(house: House) -> None:
    worker = house.service.workers[0]
    assert worker.take_turn()
    house.clock.advance(90)
    assert worker.take_turn()
    house.clock.advance(29)

    assert worker.take_turn()


def test_the_senders_are_woken_after_each_page_that_queued_something(house: House) -> None:
    woken: list[int] = []

    class Pages(Cloud):
        def fetch(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
            for number, page in enumerate(super().fetch(since, until)):
                for record in page.records:
                    yield Page((record,))
                    woken.append(sum(sender.wake.is_set() for sender in house.service.senders))
                    for sender in house.service.senders:
                        sender.wake.clear()
                assert number == 0
                yield Page((), page.cursor)

    pages = Pages()
    pages.happens(NOW - 60, "e1")
    pages.happens(NOW - 59, "e2", eventName="Quiet")
    pages.happens(NOW - 58, "e3")
    worker = house.service.workers[0]
    worker.watched = replace(worker.watched, source=pages)

    assert worker.look()
    assert woken == [3, 0, 3]


def test_one_round_tries_a_destination_that_is_away_no_more_often_than_it_takes_to_know(house: House) -> None:
    away = house.destinations["oncall"]
    away.outcomes = [TryLater("HTTP 503")]
    for number in range(20):
        queue(house.store, "oncall", number=number)
    tried = []
    for _ in range(3):
        house.service.once(beside=False)
        tried.append(len(away.sent))
        house.clock.advance(3600)

    assert tried == [5, 6, 7]
    assert house.store.waiting()["oncall"] == 20
