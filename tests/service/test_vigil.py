"""What is wrong with Tocsin itself becomes an alert like any other, once, by somebody who can still be reached."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from engine.alert import Alert, Fault
from engine.delivery import Delivered, Refused, TryLater
from engine.errors import StoreFullError
from engine.event import Cursor, Identity, Quarantined
from engine.meta import RULES
from engine.sending import deliver
from engine.store import Store, Verdict
from engine.store.sqlite import SqliteStore, open_store
from engine.vigil import SourceHealth, Vigil
from engine.wallclock import ClockGuard, back_from_the_future, shifted
from tests.service.parts import NOW, Clock, Destination, a_vigil, metas, queue

DAY = timedelta(days=1)


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    opened = open_store(":memory:")
    yield opened
    opened.close()


def check(vigil: Vigil, clock: Clock, *sources: SourceHealth, canary: tuple[str, str] | None = None) -> None:
    clock.advance(61)
    vigil.check(sources, failing_after=timedelta(minutes=5), silent_after=DAY, canary=canary)


def to(store: Store) -> dict[str, list[str]]:
    """Meta-alert -> the destinations that its first telling is queued for."""
    told: dict[str, list[str]] = {}
    for alert in store.alerts(limit=100):
        told.setdefault(alert.rule_id, sorted(d.destination for d in store.deliveries(alert_id=alert.id)))
    return told


def test_every_meta_rule_says_what_to_do() -> None:
    assert [rule.name for rule in RULES.values() if not rule.runbook.strip()] == []


def test_trouble_is_told_to_everybody_once_an_hour_while_it_lasts(store: SqliteStore) -> None:
    clock = Clock()
    vigil = a_vigil(store, clock, "oncall", "hook")
    for _ in range(100):
        vigil.hold("disk_full", "of this service", "full")
        clock.advance(60)

    assert metas(store) == [("disk_full", "of this service")] * 2
    assert to(store) == {"tocsin.meta.disk_full": ["hook", "oncall"]}


def test_trouble_that_comes_and_goes_is_one_story(store: SqliteStore) -> None:
    clock = Clock()
    vigil = a_vigil(store, clock, "oncall")
    for _ in range(10):
        vigil.hold("source_failing", "prod", "no answer")
        clock.advance(60)
        vigil.clear("source_failing", "prod")

    (alert,) = store.alerts()
    assert alert.count == 10
    assert len(store.deliveries()) == 1


def test_a_restart_does_not_tell_it_again(store: SqliteStore) -> None:
    clock = Clock()
    for _ in range(3):
        a_vigil(store, clock, "oncall").hold("not_tracked", "prod", "there is no tracking set")
        clock.advance(60)

    assert len(store.deliveries()) == 1


def test_what_is_about_a_destination_is_told_by_the_others(store: SqliteStore) -> None:
    clock = Clock()
    a_vigil(store, clock, "oncall", "hook").hold("destination_refuses", "oncall", "invalid_auth")

    assert to(store) == {"tocsin.meta.destination_refuses": ["hook"]}


def test_what_is_about_the_only_destination_is_told_there(store: SqliteStore) -> None:
    clock = Clock()
    a_vigil(store, clock, "oncall").hold("destination_refuses", "oncall", "invalid_auth")

    assert to(store) == {"tocsin.meta.destination_refuses": ["oncall"]}


def test_what_keeps_events_from_being_heard_blocks_and_the_rest_is_a_note(store: SqliteStore) -> None:
    vigil = a_vigil(store, Clock(), "oncall")
    vigil.hold("source_failing", "prod", "no answer")
    vigil.say("clock_step", "this machine", "forward by 60 seconds")

    assert vigil.blocking() == ["Source prod cannot be read: no answer"]
    assert vigil.notes() == ["The clock of this machine was set: forward by 60 seconds"]


def test_what_has_happened_is_shown_for_an_hour(store: SqliteStore) -> None:
    clock = Clock()
    vigil = a_vigil(store, clock, "oncall")
    vigil.say("clock_step", "this machine", "forward by 60 seconds")
    clock.advance(3601)

    assert vigil.notes() == []


def test_a_source_that_fails_is_told_after_five_minutes_and_is_over_when_it_answers(store: SqliteStore) -> None:
    clock = Clock()
    vigil = a_vigil(store, clock, "oncall")
    since = clock()
    for _ in range(4):
        check(vigil, clock, SourceHealth("prod", "no answer", since))
    before = metas(store)
    check(vigil, clock, SourceHealth("prod", "no answer", since))
    after, shown = metas(store), vigil.blocking()
    check(vigil, clock, SourceHealth("prod"))

    assert (before, after) == ([], [("source_failing", "prod")])
    assert shown
    assert vigil.blocking() == []


def test_a_source_that_refuses_is_told_at_once(store: SqliteStore) -> None:
    clock = Clock()
    check(a_vigil(store, clock, "oncall"), clock, SourceHealth("prod", "wrong key", clock(), refused=True))

    assert metas(store) == [("source_failing", "prod")]


def test_a_source_without_new_events_is_told_after_a_day(store: SqliteStore) -> None:
    clock = Clock()
    vigil = a_vigil(store, clock, "oncall")
    with store.transaction() as tx:
        tx.polled("prod", clock(), new_events=3)
    clock.advance(86_000)
    with store.transaction() as tx:
        tx.polled("prod", clock(), new_events=0)
    check(vigil, clock, SourceHealth("prod"))
    before = metas(store)
    clock.advance(400)
    check(vigil, clock, SourceHealth("prod"))

    assert (before, metas(store)) == ([], [("source_silent", "prod")])


def test_a_rule_that_breaks_and_a_record_that_cannot_be_read_are_told(store: SqliteStore) -> None:
    clock = Clock()
    vigil = a_vigil(store, clock, "oncall")
    with store.transaction() as tx:
        tx.save_faults([Fault("my.rule", Identity("k", "a", "e1"), "contains() of a number")], clock())
        tx.quarantine("prod", [Quarantined("k", "no JSON", b"{")], clock())
    check(vigil, clock)
    check(vigil, clock)

    assert sorted(metas(store)) == [("quarantine_growth", "prod"), ("rule_fault", "my.rule")]
    assert "contains() of a number" in vigil.notes()[0]


def test_a_delivery_that_ended_badly_is_told_by_another_destination(store: SqliteStore) -> None:
    clock = Clock()
    vigil = a_vigil(store, clock, "oncall", "hook")
    queue(store, "oncall")
    deliver(Destination([Refused("msg_too_long")]), "oncall", store, clock=clock, chance=lambda: 0.5)
    check(vigil, clock)

    assert metas(store) == [("delivery_dead", "oncall")]
    assert to(store)["tocsin.meta.delivery_dead"] == ["hook"]


def test_a_broken_destination_is_told_until_it_is_mended(store: SqliteStore) -> None:
    clock = Clock()
    vigil = a_vigil(store, clock, "oncall", "hook")
    queue(store, "oncall")
    notifier = Destination([Refused("invalid_auth", permanent=True), Delivered("ok")])
    deliver(notifier, "oncall", store, clock=clock, chance=lambda: 0.5)
    check(vigil, clock)
    shown = vigil.blocking()
    deliver(notifier, "oncall", store, clock=clock, chance=lambda: 0.5)
    check(vigil, clock)

    assert shown == ["Destination oncall takes no messages: invalid_auth"]
    assert vigil.blocking() == []


def test_a_destination_that_cannot_be_reached_is_told_after_a_quarter_of_an_hour(store: SqliteStore) -> None:
    clock = Clock()
    vigil = a_vigil(store, clock, "oncall", "hook")
    queue(store, "oncall")
    deliver(Destination([TryLater("no connection")]), "oncall", store, clock=clock, chance=lambda: 0.5)
    clock.advance(780)
    check(vigil, clock)
    before = metas(store)
    check(vigil, clock)

    assert (before, metas(store)) == ([], [("destination_refuses", "oncall")])
    assert "no connection" in vigil.blocking()[0]


def test_a_canary_that_is_missing_is_told_by_a_second_way(store: SqliteStore) -> None:
    clock = Clock()
    check(a_vigil(store, clock, "birdcage", "oncall"), clock, canary=("birdcage", "none for 2 hours"))

    assert to(store) == {"tocsin.meta.canary_missing": ["oncall"]}


def test_a_match_without_an_outcome_is_told(store: SqliteStore) -> None:
    clock = Clock()
    vigil = a_vigil(store, clock, "oncall")
    with store.transaction() as tx:
        tx.record([Verdict(Identity("k", "a", "e1"), "r", "excepted")], NOW, matches=2)
    check(vigil, clock)

    assert metas(store) == [("ledger_imbalance", "this store")]
    assert store.ledger().imbalance == 1


def test_an_alert_without_a_delivery_is_told(store: SqliteStore) -> None:
    with store.transaction() as tx:
        tx.record([Verdict(Identity("k", "a", "e1"), "r", "alert", "A-9")], NOW)

    assert (store.ledger().untold, store.ledger().imbalance) == (1, 1)


def test_the_ledger_adds_up_when_an_event_is_matched_again_and_when_history_is_forgotten(store: SqliteStore) -> None:
    verdict = Verdict(Identity("k", "a", "e1"), "r", "excepted")
    for _ in range(2):
        with store.transaction() as tx:
            tx.record([verdict], NOW)
    twice = store.ledger()
    store.expire(seen_before=NOW + 1, history_before=NOW + 1)

    assert (twice.matches, twice.imbalance) == (1, 0)
    assert (store.ledger().matches, store.ledger().imbalance) == (0, 0)


def test_when_the_store_takes_nothing_it_is_told_past_the_store_once_an_hour(store: SqliteStore) -> None:
    clock, told = Clock(), list[tuple[Alert, tuple[str, ...]]]()
    vigil = a_vigil(store, clock, "oncall", direct=lambda alert, names: told.append((alert, tuple(names))))
    fill(store)
    for _ in range(30):
        vigil.hold("disk_full", "of this service", "full" * 5000)
        clock.advance(60)

    assert [(alert.rule_id, names) for alert, names in told] == [("tocsin.meta.disk_full", ("oncall",))]


def test_a_full_disk_is_known_as_one(store: SqliteStore) -> None:
    fill(store)

    with pytest.raises(StoreFullError):
        store.probe()


def fill(store: SqliteStore) -> None:
    """No page more: what SQLite says then is what it says when the disk is full (SQLITE_FULL)."""
    (pages,) = store.connection.execute("PRAGMA page_count").fetchone()
    store.connection.execute(f"PRAGMA max_page_count={pages}")
    try:
        while True:
            store.connection.execute("INSERT INTO meta (name, value) VALUES (hex(randomblob(8)), zeroblob(500))")
    except sqlite3.OperationalError:
        return


# --- the clock


@pytest.mark.parametrize("step", [-3600.0, 3600.0, 31.0, -31.0, 30 * 86_400.0])
def test_a_clock_that_is_set_is_told_from_one_that_runs(step: float) -> None:
    clock = Clock()
    guard = ClockGuard(clock, clock.monotonic)
    clock.advance(600)
    before = guard.step()
    clock.set(step)
    clock.advance(1)

    assert before == 0.0
    assert guard.step() == pytest.approx(step)
    assert guard.step() == 0.0


@pytest.mark.parametrize("step", [1.0, -1.0, 29.0])
def test_a_leap_second_and_a_small_correction_are_no_step(step: float) -> None:
    clock = Clock()
    guard = ClockGuard(clock, clock.monotonic)
    clock.set(step)

    assert guard.step() == 0.0


@pytest.mark.parametrize("step", [-3600.0, 3600.0, 30 * 86_400.0, -30 * 86_400.0])
def test_what_waits_waits_as_long_as_it_would_have(store: SqliteStore, step: float) -> None:
    clock = Clock()
    queue(store, "oncall", at=NOW + 10)
    clock.set(step)
    shifted(store, step, clock(), seen=8 * DAY)
    clock.advance(9)
    early = store.claim("oncall", clock(), 120)
    clock.advance(1)
    due = store.claim("oncall", clock(), 120)

    assert early is None
    assert due is not None
    assert clock() - due.queued == pytest.approx(0)


def test_a_cursor_in_the_future_is_taken_back_to_when_the_clock_was_right(store: SqliteStore) -> None:
    clock = Clock()
    clock.set(30 * 86_400)
    shifted(store, 30 * 86_400, clock(), seen=8 * DAY)
    poll_until(store, clock())
    clock.advance(3 * 86_400)  # three days under a wrong clock
    poll_until(store, clock())
    clock.set(-30 * 86_400)
    shifted(store, -30 * 86_400, clock(), seen=8 * DAY)

    back = back_from_the_future(store, "prod", clock(), span=DAY, seen=8 * DAY)

    cursor = store.source_state("prod").cursor
    assert cursor is not None
    assert cursor.until.timestamp() == NOW
    assert back == pytest.approx(3 * 86_400)
    assert back_from_the_future(store, "prod", clock(), span=DAY, seen=8 * DAY) == 0


def test_a_cursor_in_the_future_of_which_nothing_is_known_is_taken_back_by_the_second_look(store: SqliteStore) -> None:
    poll_until(store, NOW + 3600)

    assert back_from_the_future(store, "prod", NOW, span=DAY, seen=8 * DAY) == 86_400


def poll_until(store: Store, moment: float) -> None:
    with store.transaction() as tx:
        tx.move_cursor("prod", Cursor(datetime.fromtimestamp(moment, UTC)))
        tx.polled("prod", moment, new_events=0, second_look=True)
