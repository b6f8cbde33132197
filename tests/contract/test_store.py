"""What every store must do, whichever database it is on."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.alert import Alert, Fault
from engine.correlate import Arrival, Hit, Kept, Key, Window
from engine.correlate.lateness import Lags
from engine.dedup import Told
from engine.errors import AlreadyRunningError, ConfigurationError, StoreError
from engine.event import Cursor, Event, Identity, Quarantined
from engine.exceptions import Hidden
from engine.rule import Severity
from engine.store import ChangedEvent, Silence, Store, Verdict
from engine.store.sqlite import open_copy, open_store

Open = Callable[[], Store]


def an_event(event_id: str = "e1", *, time: int = 1000, account: str = "100000000001") -> Event:
    identity = Identity("tencent.cloudaudit", account, event_id)
    return Event(identity, time=time, name="ConsoleLogin", raw=b"{}", decode=lambda _: {})


def an_alert(alert_id: str = "A-1", *, created: int = 1000, fingerprint: str = "f1") -> Alert:
    return Alert(
        id=alert_id,
        rule_id="tencent.root.console_login",
        rule_version="v",
        severity=Severity.HIGH,
        title="Root signed in — 根",
        kind="tencent.cloudaudit",
        account="100000000001",
        group={"norm.ip": "203.0.113.7", "n": 12345678901234567},
        fingerprint=fingerprint,
        first_seen=990,
        last_seen=995,
        count=2,
        event_ids=("e1", "e2"),
        created=created,
        fields={"norm": {"actor": "root"}, "updateEsTime": 16106961641644206},
        evidence="{}",
    )


def queue(
    store: Store, delivery_id: str = "d1", *, alert: Alert | None = None, to: str = "oncall", due: float = 0
) -> None:
    alert = alert or an_alert()
    with store.transaction() as tx:
        tx.save_alert(alert)
        tx.queue(delivery_id, alert.id, to, due)


def test_an_event_is_unseen_once_across_restarts(reopen: Open) -> None:
    with reopen().transaction() as tx:
        assert [e.event_id for e in tx.unseen([an_event("a"), an_event("b"), an_event("a")], 0)] == ["a", "b"]
    with reopen().transaction() as tx:
        assert [e.event_id for e in tx.unseen([an_event("b"), an_event("c")], 0)] == ["c"]


def test_the_same_event_id_in_another_account_is_another_event(store: Store) -> None:
    with store.transaction() as tx:
        assert len(tx.unseen([an_event("a", account="1"), an_event("a", account="2")], 0)) == 2


def test_an_event_that_says_something_else_when_it_is_read_again_is_noted_once(reopen: Open) -> None:
    events = [an_event("a"), an_event("b"), an_event("c")]
    with reopen().transaction() as tx:
        tx.unseen(events, 0, [1, -(2**31), 2**31 - 1])
    for at in (7, 8):
        with reopen().transaction() as tx:
            assert tx.unseen(events, at, [1, 5, 2**31 - 1]) == []
            assert tx.note_changed("prod", events, at, [1, 5, 2**31 - 1]) == (1 if at == 7 else 0)
    store = reopen()
    assert [store.changed(name) for name in ("a", "c")] == [[], []]
    assert store.changed("b") == [ChangedEvent(an_event("b").identity, "prod", 7)]
    assert store.changed_since(6) == {"prod": (1, "b")}
    assert store.changed_since(7) == {}


def test_each_thing_that_an_event_says_is_noted_and_the_event_counts_once(store: Store) -> None:
    event = an_event("a\0b", account="2")
    with store.transaction() as tx:
        tx.unseen([event], 0, [1])
        assert tx.note_changed("prod", [event, event, event], 7, [2, 1, 2]) == 1
        assert tx.note_changed("spare", [event], 8, [3]) == 1
        assert tx.note_changed("spare", [], 8, []) == 0
    assert [(one.source, one.at) for one in store.changed("a\0b")] == [("prod", 7), ("spare", 8)]
    assert {name: number for name, (number, _) in store.changed_since(0).items()} == {"prod": 1, "spare": 1}
    store.expire(seen_before=0, history_before=8)
    assert [one.source for one in store.changed("a\0b")] == ["spare"]


def test_of_an_event_given_twice_at_once_the_first_body_is_the_one_that_is_kept(store: Store) -> None:
    with store.transaction() as tx:
        assert len(tx.unseen([an_event(), an_event()], 0, [1, 2])) == 1
        assert tx.note_changed("prod", [an_event()], 7, [1]) == 0
        assert tx.note_changed("prod", [an_event()], 7, [2]) == 1


def test_what_an_event_said_that_was_seen_without_its_body_is_not_known(store: Store) -> None:
    with store.transaction() as tx:
        tx.unseen([an_event()], 0)
        assert tx.note_changed("prod", [an_event()], 7, [2]) == 0


def test_an_exception_undoes_everything_of_its_transaction(store: Store) -> None:
    def dies_before_its_end() -> None:
        with store.transaction() as tx:
            tx.unseen([an_event()], 0)
            tx.save_alert(an_alert())
            tx.queue("d1", "A-1", "oncall", 0)
            tx.move_cursor("prod", Cursor(datetime(2026, 1, 1, tzinfo=UTC)))
            raise RuntimeError("the process dies here")

    with pytest.raises(RuntimeError):
        dies_before_its_end()
    assert store.find_alert("A-1") is None
    assert store.claim("oncall", 10, 60) is None
    assert store.source_state("prod").cursor is None
    with store.transaction() as tx:
        assert tx.unseen([an_event()], 0)


def test_an_alert_comes_back_as_it_was_saved(reopen: Open) -> None:
    with reopen().transaction() as tx:
        tx.save_alert(an_alert())
    assert reopen().find_alert("A-1") == an_alert()


def test_the_cursor_never_moves_backwards(store: Store) -> None:
    later, earlier = Cursor(datetime(2026, 1, 2, tzinfo=UTC)), Cursor(datetime(2026, 1, 1, tzinfo=UTC))
    for cursor in (later, earlier):
        with store.transaction() as tx:
            tx.move_cursor("prod", cursor)
    assert store.source_state("prod").cursor == later


def test_a_delivery_is_claimed_by_one_only(store: Store) -> None:
    queue(store)
    claimed: list[object] = []
    threads = [threading.Thread(target=lambda: claimed.append(store.claim("oncall", 10, 60))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in claimed) == 1


def test_the_delivery_that_has_waited_longest_comes_first(store: Store) -> None:
    queue(store, "late", due=20)
    queue(store, "early", due=10)
    first = store.claim("oncall", 30, 60)
    assert first is not None
    assert (first.id, first.attempt, first.queued, first.alert) == ("early", 1, 10, an_alert())


def test_a_delivery_is_not_claimed_before_it_is_due_nor_for_another_destination(store: Store) -> None:
    queue(store, due=20)
    assert store.claim("oncall", 19, 60) is None
    assert store.claim("hook", 30, 60) is None
    assert store.next_due("oncall") == 20


def test_a_lease_that_ran_out_is_claimed_again_as_ambiguous(store: Store) -> None:
    queue(store)
    assert store.claim("oncall", 10, 60) is not None
    assert store.claim("oncall", 69, 60) is None
    again = store.claim("oncall", 70, 60)
    assert again is not None
    assert (again.attempt, again.earlier_ambiguous) == (2, True)


def test_what_a_dead_process_was_sending_is_ambiguous_at_the_next_start(reopen: Open) -> None:
    store = reopen()
    queue(store)
    store.claim("oncall", 10, 60)
    after = reopen()
    assert after.release(70) == 1
    again = after.claim("oncall", 70, 60)
    assert again is not None
    assert again.earlier_ambiguous


def test_an_ambiguous_attempt_is_remembered_by_all_later_ones(store: Store) -> None:
    queue(store)
    for now, state in ((1, "ambiguous"), (2, "retry")):
        delivery = store.claim("oncall", now, 60)
        assert delivery is not None
        store.settle(delivery, state, now, due=now + 1)  # type: ignore[arg-type]  # the two literals above
    last = store.claim("oncall", 3, 60)
    assert last is not None
    assert last.earlier_ambiguous


def test_every_attempt_is_recorded_with_what_was_said(store: Store) -> None:
    queue(store)
    first = store.claim("oncall", 1, 60)
    assert first is not None
    store.settle(first, "retry", 2, due=5, reason="rate limited")
    second = store.claim("oncall", 5, 60)
    assert second is not None
    store.settle(second, "delivered", 6, receipt="1700000000.000100")
    assert [(a.number, a.state, a.reason, a.receipt) for a in store.attempts("d1")] == [
        (1, "retry", "rate limited", ""),
        (2, "delivered", "", "1700000000.000100"),
    ]
    assert store.claim("oncall", 1e9, 60) is None
    found = store.find_delivery("d1")
    assert found is not None
    assert (found.state, found.attempts, found.severity) == ("delivered", 2, "high")


def test_what_takes_back_an_alert_knows_the_thread_that_it_was_told_in(store: Store) -> None:
    queue(store)
    told = store.claim("oncall", 1, 60)
    assert told is not None
    store.settle(told, "delivered", 2, receipt="1700000000.000100")
    takes_back = replace(an_alert("A-2", fingerprint="f2"), retracts="A-1")
    queue(store, "d2", alert=takes_back, due=3)
    queue(store, "d3", alert=takes_back, to="hook", due=3)
    delivery, elsewhere = store.claim("oncall", 4, 60), store.claim("hook", 4, 60)
    assert delivery is not None
    assert elsewhere is not None
    assert (delivery.thread, elsewhere.thread) == ("1700000000.000100", "")


def test_the_same_delivery_is_queued_once(store: Store) -> None:
    queue(store)
    queue(store)
    assert len(store.deliveries()) == 1


def test_by_hand_a_refused_delivery_is_sent_again_and_a_delivered_one_is_not(store: Store) -> None:
    queue(store)
    refused = store.claim("oncall", 1, 60)
    assert refused is not None
    store.settle(refused, "refused", 2, reason="channel_not_found")
    assert store.requeue("d1", 10)
    again = store.claim("oncall", 10, 60)
    assert again is not None
    store.settle(again, "delivered", 11)
    assert not store.requeue("d1", 20)
    assert not store.drop("d1", 20, "no")


def test_a_dropped_delivery_is_not_sent(store: Store) -> None:
    queue(store)
    assert store.drop("d1", 1, "duplicate of another ticket")
    assert store.claim("oncall", 10, 60) is None
    assert store.deliveries(states=("dropped",))[0].reason == "duplicate of another ticket"


def test_a_broken_destination_waits_for_its_probe_and_is_mended(store: Store) -> None:
    queue(store)
    assert store.break_destination("oncall", "invalid_auth", 10, 70)
    assert not store.break_destination("oncall", "account_inactive", 20, 80)
    assert [(b.destination, b.since, b.probe_at, b.reason) for b in store.breakers()] == [
        ("oncall", 10, 80, "account_inactive")
    ]
    assert store.claim("oncall", 79, 60) is None
    assert store.next_due("oncall") == 80
    store.postpone_probe("oncall", 90)
    assert store.claim("oncall", 89, 60) is None
    assert store.claim("oncall", 90, 60) is not None
    assert store.mend_destination("oncall", 90)
    assert not store.mend_destination("oncall", 90)
    assert store.breakers() == []


def test_of_a_destination_that_is_away_what_was_tried_least_often_is_tried_first(store: Store) -> None:
    for name in ("d1", "d2", "d3"):
        queue(store, name)
    for now in (1, 2):
        tried = store.claim("oncall", now, 60)
        assert tried is not None
        store.settle(tried, "retry", now, due=3)
    store.break_destination("oncall", "HTTP 503", 3, 10, refuses=False)
    probe = store.claim("oncall", 10, 60)
    assert probe is not None
    assert probe.id == "d3"


def test_what_waited_for_a_broken_destination_is_due_when_it_is_mended(store: Store) -> None:
    for name in ("d1", "d2"):
        queue(store, name)
    tried = store.claim("oncall", 1, 60)
    assert tried is not None
    store.settle(tried, "retry", 1, due=500)
    store.break_destination("oncall", "HTTP 503", 1, 300, refuses=False)
    store.mend_destination("oncall", 40)
    assert [store.claim("oncall", 40, 60) is not None for _ in range(3)] == [True, True, False]


def test_a_success_at_a_whole_destination_hurries_nothing(store: Store) -> None:
    queue(store)
    tried = store.claim("oncall", 1, 60)
    assert tried is not None
    store.settle(tried, "retry", 1, due=500)
    store.count_failure("oncall", "d1", 1, gap=900)
    assert not store.mend_destination("oncall", 40)
    assert store.next_due("oncall") == 500


def test_failures_in_a_row_are_counted_where_another_delivery_fails(store: Store) -> None:
    counted = [store.count_failure("oncall", name, at, gap=900) for at, name in enumerate("aaabbab")]
    assert counted == [1, 1, 1, 2, 2, 3, 4]
    assert store.count_failure("hook", "a", 9, gap=900) == 1


def test_failures_of_a_broken_destination_are_all_counted_and_shown(store: Store) -> None:
    store.count_failure("oncall", "a", 1, gap=900)
    store.break_destination("oncall", "HTTP 503", 1, 2, refuses=False)
    assert [store.count_failure("oncall", "a", at, gap=900) for at in (2, 3)] == [2, 3]
    (breaker,) = store.breakers()
    assert (breaker.refuses, breaker.failures) == (False, 3)


def test_a_success_ends_the_row_of_failures(store: Store) -> None:
    store.count_failure("oncall", "a", 1, gap=900)
    store.mend_destination("oncall", 2)
    assert store.count_failure("oncall", "b", 3, gap=900) == 1


def test_failures_that_nobody_went_on_with_are_no_row_any_more(store: Store) -> None:
    store.count_failure("oncall", "a", 1, gap=900)
    store.break_destination("oncall", "HTTP 503", 1, 2, refuses=False)
    store.count_failure("hook", "a", 1, gap=900)
    store.break_destination("hook", "HTTP 401", 1, 2)
    assert store.count_failure("oncall", "b", 902, gap=900) == 1
    assert store.count_failure("hook", "b", 902, gap=900) == 1
    assert [one.destination for one in store.breakers()] == ["hook"]


def test_a_destination_that_refuses_goes_on_refusing_when_it_fails_as_well(store: Store) -> None:
    assert store.break_destination("oncall", "HTTP 401", 10, 70)
    assert not store.break_destination("oncall", "HTTP 503", 20, 500, refuses=False)
    (breaker,) = store.breakers()
    assert (breaker.reason, breaker.probe_at, breaker.refuses) == ("HTTP 401", 70, True)


def test_a_destination_that_was_away_and_refuses_now_refuses(store: Store) -> None:
    store.break_destination("oncall", "HTTP 503", 10, 500, refuses=False)
    assert not store.break_destination("oncall", "HTTP 401", 20, 80)
    (breaker,) = store.breakers()
    assert (breaker.since, breaker.reason, breaker.probe_at, breaker.refuses) == (10, "HTTP 401", 80, True)


def test_who_was_away_is_tried_at_the_start(store: Store) -> None:
    queue(store)
    queue(store, "d2", to="hook")
    store.break_destination("oncall", "HTTP 503", 10, 500, refuses=False)
    store.break_destination("hook", "HTTP 401", 10, 500)
    store.release(20)
    assert (store.next_due("oncall"), store.next_due("hook")) == (20, 500)


def test_what_waits_too_long_is_given_up_and_what_is_in_hand_is_not(store: Store) -> None:
    queue(store, "d1", due=1)
    queue(store, "d2", due=2)
    queue(store, "d3", due=9)
    queue(store, "d4", to="hook", due=1)
    assert store.claim("oncall", 5, 60) is not None
    assert store.give_up("oncall", 5, 20, "HTTP 503") == 1
    assert {one.id: (one.state, one.reason) for one in store.deliveries()} == {
        "d1": ("sending", ""),
        "d2": ("dead", "HTTP 503"),
        "d3": ("queued", ""),
        "d4": ("queued", ""),
    }


def test_what_waits_for_a_destination_that_is_away_is_not_overdue_for_that(store: Store) -> None:
    queue(store, alert=replace(an_alert(), severity=Severity.CRITICAL))
    store.break_destination("oncall", "HTTP 503", 1, 2, refuses=False)
    assert store.overdue(-1, severity=Severity.CRITICAL) == []
    store.break_destination("oncall", "HTTP 401", 1, 2)
    assert [one.id for one in store.overdue(-1, severity=Severity.CRITICAL)] == ["d1"]


def test_a_delivery_that_lies_too_long_is_escalated_once(store: Store) -> None:
    queue(store, alert=replace(an_alert(), severity=Severity.CRITICAL))
    queue(store, "d-low", alert=an_alert("A-low", fingerprint="f-low"))
    assert store.overdue(-1, severity=Severity.CRITICAL) == []
    assert [one.id for one in store.overdue(5, severity=Severity.CRITICAL)] == ["d1"]
    assert store.escalate("d1", ("d1-hook", "hook"), 6, "it lay there")
    assert not store.escalate("d1", ("d1-mail", "mail"), 6, "it lay there")
    assert store.overdue(5, severity=Severity.CRITICAL) == []
    found = store.find_delivery("d1-hook")
    assert found is not None
    assert (found.escalated_from, found.cause, found.destination, found.alert_id) == (
        "d1",
        "it lay there",
        "hook",
        "A-1",
    )


def test_both_sides_of_the_ledger_are_counted(store: Store) -> None:
    with store.transaction() as tx:
        tx.record([Verdict(an_event().identity, "r.one", "merged", "A-1")], 7)
        tx.record([Verdict(an_event().identity, "r.one", "merged", "A-1")], 7)
    assert store.ledger().imbalance == 0
    with store.transaction() as tx:
        tx.record([Verdict(an_event().identity, "r.two", "alert", "A-1")], 7, matches=2)
    ledger = store.ledger()
    assert (ledger.matches, dict(ledger.outcomes), ledger.untold) == (3, {"merged": 1, "alert": 1}, 1)
    assert ledger.imbalance == 2


def test_what_went_wrong_lately_is_counted_with_its_latest_reason(store: Store) -> None:
    for at, message in ((5, "old"), (10, "new"), (20, "newest")):
        with store.transaction() as tx:
            tx.save_faults([Fault("r.one", an_event().identity, message)], at)
            tx.quarantine("prod", [Quarantined("tencent.cloudaudit", message, message.encode(), "")], at)
    assert dict(store.faults_since(7)) == {"r.one": (2, "newest")}
    assert dict(store.quarantined_since(7)) == {"prod": (2, "newest")}
    queue(store)
    refused = store.claim("oncall", 1, 60)
    assert refused is not None
    store.settle(refused, "refused", 30, reason="channel_not_found")
    assert dict(store.ended_badly_since(29)) == {"oncall": (1, "channel_not_found")}
    assert dict(store.ended_badly_since(30)) == {}


def test_moments_are_remembered(reopen: Open) -> None:
    assert reopen().mark("canary") is None
    assert reopen().mark("canary", 5.5) == 5.5
    assert reopen().mark("canary") == 5.5


def test_a_source_is_read_again_from_an_earlier_cursor(store: Store) -> None:
    later, earlier = Cursor(datetime(2026, 1, 2, tzinfo=UTC)), Cursor(datetime(2026, 1, 1, tzinfo=UTC))
    store.rewind("prod", earlier)  # there is nothing to go back to
    with store.transaction() as tx:
        tx.move_cursor("prod", later)
        tx.polled("prod", later.until.timestamp(), new_events=1, second_look=True)
    store.rewind("prod", earlier)
    state = store.source_state("prod")
    assert (state.cursor, state.last_second_look) == (earlier, earlier.until.timestamp())
    store.rewind("prod", later)
    assert store.source_state("prod").cursor == earlier


def test_nothing_is_in_the_future_once_the_clock_was_set_back(store: Store) -> None:
    queue(store, due=5000)
    with store.transaction() as tx:
        tx.save_told("f1", Told("A-1", Severity.HIGH, 5000))
        tx.polled("prod", 5000, new_events=1, second_look=True)
    store.shift_clock(-4000, 1000)
    assert store.next_due("oncall") == 1000
    state = store.source_state("prod")
    assert (state.last_poll, state.last_second_look, state.last_event) == (1000, 1000, 1000)
    with store.transaction() as tx:
        assert tx.told("f1") == Told("A-1", Severity.HIGH, 1000)


def test_a_store_that_can_be_written_is_probed_without_a_trace(store: Store) -> None:
    before = store.counts()
    store.probe()
    assert store.counts() == before


def test_what_was_told_of_a_story_is_remembered(reopen: Open) -> None:
    with reopen().transaction() as tx:
        tx.save_alert(an_alert())
        tx.save_told("f1", Told("A-1", Severity.HIGH, 5.5))
    with reopen().transaction() as tx:
        assert tx.told("f1") == Told("A-1", Severity.HIGH, 5.5)
        assert tx.told("other") is None


def test_every_verdict_is_found_by_its_event(store: Store) -> None:
    verdict = Verdict(an_event().identity, "r.one", "excepted", detail="drill")
    with store.transaction() as tx:
        tx.unseen([an_event()], 7)
        tx.record([verdict], 7)
    assert store.verdicts("e1") == [(verdict, 7)]
    assert [s.identity for s in store.seen("e1")] == [an_event().identity]
    assert store.counts()["matches"] == 1


def test_faults_of_one_kind_are_one_row_that_counts(store: Store) -> None:
    for event_id in ("e1", "e2"):
        with store.transaction() as tx:
            tx.save_faults([Fault("r.one", an_event(event_id).identity, "a text is no number")], 7)
    (fault,) = store.faults()
    assert (fault["count"], fault["event_id"]) == (2, "e2")


def test_the_same_broken_record_is_quarantined_once(store: Store) -> None:
    broken = Quarantined("tencent.cloudaudit", "not JSON", b"{", "prod")
    for _ in range(2):
        with store.transaction() as tx:
            tx.quarantine("prod", [broken], 7)
    assert [(q["reason"], bytes(q["raw"])) for q in store.quarantined()] == [("not JSON", b"{")]


def test_a_silence_holds_from_its_start_to_before_its_end(store: Store) -> None:
    store.add_silence(Silence("S-1", "severity == 'low'", "ana", "drill", 10, 20))
    assert [len(store.silences(at)) for at in (9, 10, 19, 20)] == [0, 1, 1, 0]
    assert store.expire_silence("S-1", 15)
    assert store.silences(16) == []


def test_secrets_get_equal_tokens_after_a_restart(reopen: Open) -> None:
    assert reopen().redaction_key() == reopen().redaction_key()


def test_finished_history_is_forgotten_and_open_deliveries_are_not(store: Store) -> None:
    queue(store, "open", alert=an_alert("A-open", fingerprint="f-open"))
    queue(store, "done", alert=an_alert("A-done", fingerprint="f-done"), to="hook")
    done = store.claim("hook", 10, 60)
    assert done is not None
    store.settle(done, "delivered", 11)
    with store.transaction() as tx:
        tx.unseen([an_event("old", time=100), an_event("new", time=5000)], 200)
    store.expire(seen_before=1000, history_before=5000)
    assert [d.id for d in store.deliveries()] == ["open"]
    assert [a.id for a in store.alerts()] == ["A-open"]
    with store.transaction() as tx:
        assert [e.event_id for e in tx.unseen([an_event("old"), an_event("new")], 0)] == ["old"]


def test_a_future_dated_event_is_no_reason_to_fail(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.unseen([an_event("x", time=10**30)], 200)


def test_what_an_exception_hid_is_remembered_and_a_person_can_accept_what_is_new(reopen: Open) -> None:
    store = reopen()
    store.exceptions_loaded({"E-1": "r.one", "E-2": "r.two"}, 5)
    hidden = Hidden(2, 10, 20, {"network": ("203.0.113.0/24",)}, ("country: 荷兰",))
    with store.transaction() as tx:
        assert tx.hidden("E-1") is None
        tx.save_hidden("E-1", "r.one", hidden, 20)
    again = reopen()
    again.exceptions_loaded({"E-1": "r.one"}, 99)
    assert again.exceptions() == {"E-1": (5, hidden), "E-2": (5, None)}
    assert again.accept_hidden("E-1")
    assert not again.accept_hidden("E-9")
    _, accepted = again.exceptions()["E-1"]
    assert accepted == replace(hidden, novel=())


def test_a_closed_store_is_closed_twice_without_complaint(reopen: Open) -> None:
    store = reopen()
    store.close()
    store.close()


def test_a_character_that_a_database_might_refuse_is_no_reason_to_fail(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.unseen([an_event("x\0y")], 7)
        tx.record([Verdict(an_event("x\0y").identity, "r.one", "alert", detail="\0")], 7)
        tx.save_faults([Fault("r.one", an_event("x").identity, "\0")], 7)
        tx.quarantine("prod", [Quarantined("tencent.cloudaudit", "\0 in it", b"\0", "prod")], 7)
        tx.save_alert(replace(an_alert(), title="a\0b", fields={"a": "\0"}))
    assert len(store.verdicts("x\0y")) == 1
    found = store.find_alert("A-1")
    assert found is not None
    assert found.title == "a\0b"


def test_texts_of_any_length_are_no_reason_to_fail(store: Store) -> None:
    """An index entry of Postgres takes 2,700 bytes; an attacker writes the values."""
    draw = random.Random(1)
    long = "".join(chr(draw.randrange(0x4E00, 0x9FA5)) for _ in range(50_000))  # so that no compression helps
    with store.transaction() as tx:
        event = an_event(long, account=long)
        assert tx.unseen([event], 7)
        tx.record([Verdict(event.identity, "r.one", "merged", "A-1", long)], 7)
        tx.save_faults([Fault("r.one", event.identity, long)], 7)
        tx.quarantine("prod", [Quarantined("tencent.cloudaudit", long, long.encode(), long)], 7)
    assert [verdict.event for verdict, _ in store.verdicts(long)] == [event.identity]
    assert [one.identity for one in store.seen(long)] == [event.identity]


def test_a_source_is_held_by_who_asks_for_it(store: Store) -> None:
    assert store.hold_source("prod", 10, 60)
    assert store.hold_source("prod", 20, 60)


# --- SQLite alone


def test_at_the_start_of_the_only_process_nothing_is_being_sent(tmp_path: Path) -> None:
    path = str(tmp_path / "tocsin.db")
    dead = open_store(path)
    queue(dead)
    dead.claim("oncall", 10, 60)
    dead.close()
    after = open_store(path, hold=True)
    assert after.release(11) == 1
    assert after.claim("oncall", 11, 60) is not None
    after.close()


def test_a_second_holder_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    path = str(tmp_path / "tocsin.db")
    first = open_store(path, hold=True)
    with pytest.raises(AlreadyRunningError, match=r"process \d+"):
        open_store(path, hold=True)
    open_store(path).close()  # looking in is allowed
    first.close()
    open_store(path, hold=True).close()


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    open_store(str(tmp_path / "state" / "tocsin.db"), hold=True).close()
    assert {p.name: oct(p.stat().st_mode & 0o777) for p in (tmp_path / "state").iterdir()} == {
        "tocsin.db": "0o600",
        "tocsin.db.lock": "0o600",
    }


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    path.write_text("this is a shopping list, not a database\n" * 50)
    with pytest.raises(StoreError, match=r"tocsin\.db: file is not a database"):
        open_store(str(path))


def test_a_store_of_a_newer_tocsin_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "tocsin.db")
    store = open_store(path)
    store.connection.execute("PRAGMA user_version=999")
    store.close()
    with pytest.raises(ConfigurationError, match="newer Tocsin"):
        open_store(path)


def test_work_on_a_copy_leaves_no_trace(tmp_path: Path) -> None:
    path = str(tmp_path / "tocsin.db")
    original = open_store(path)
    queue(original)
    copy = open_copy(path)
    assert copy.claim("oncall", 10, 60) is not None
    copy.close()
    assert original.deliveries()[0].state == "queued"
    original.close()


# --- rules with memory


KEY = Key("r", "m", b"s" * 16)


def an_arrival(event_id: str = "e1", *, time: int = 1000) -> Arrival:
    return Arrival(KEY, Hit(Kept(time, event_id, "100000000001"), "{}"))


def test_matches_wait_until_the_watermark_has_passed_them(reopen: Open) -> None:
    with reopen().transaction() as tx:
        tx.hold("prod", [an_arrival("b", time=5), an_arrival("a", time=5), an_arrival("c", time=7)])
        tx.hold("prod", [an_arrival("a", time=5)])
        tx.hold("other", [an_arrival("d", time=1)])
    with reopen().transaction() as tx:
        assert tx.held("prod", KEY) == 3
        assert [one.hit.kept.event_id for one in tx.ready("prod", 5)] == ["a", "b"]
        assert tx.ready("prod", 5) == []
        assert tx.held("prod", KEY) == 1


def test_a_watermark_is_remembered(reopen: Open) -> None:
    with reopen().transaction() as tx:
        assert tx.watermark("prod") is None
        tx.move_watermark("prod", 1000)
    with reopen().transaction() as tx:
        assert tx.watermark("prod") == 1000
        assert tx.source_watch("prod").watermark == 1000


def test_windows_are_found_by_key_and_by_the_time_at_which_something_happens(reopen: Open) -> None:
    window = Window(group='{"a":"\u6839"}', free=[Kept(5, "e", "1", 3, b"12345678")], busy=3)
    with reopen().transaction() as tx:
        assert tx.save_windows("prod", {KEY: window}, {KEY: 9}, ()) == {("r", "m")}
    with reopen().transaction() as tx:
        assert tx.windows("prod", [KEY, Key("r", "m", bytes(16))]) == {KEY: window}
        assert (tx.due("prod", 8), tx.due("prod", 9), tx.due("other", 9)) == ([], [KEY], [])
        assert tx.window_number("prod", "r", "m") == 1
        assert tx.save_windows("prod", {KEY: None}, {}, [KEY]) == set()
        assert (tx.windows("prod", [KEY]), tx.window_number("prod", "r", "m")) == ({}, 0)


def test_the_quietest_windows_are_given_up_first(store: Store) -> None:
    keys = [Key("r", "m", bytes([number]) * 16) for number in range(1, 5)]
    with store.transaction() as tx:
        many: dict[Key, Window | None] = {key: Window(busy=busy) for key, busy in zip(keys, (9, 1, 5, 2), strict=True)}
        tx.save_windows("prod", many, dict.fromkeys(keys, 9), ())
        assert tx.evict("prod", "r", "m", 2) == 2
        assert set(tx.windows("prod", keys)) == {keys[0], keys[2]}
        assert tx.window_number("prod", "r", "m") == 2


def test_a_counted_match_is_told_later_and_only_then(store: Store) -> None:
    counted = Verdict(Identity("k", "1", "e1"), "r", "counted")
    told = Verdict(counted.event, "r", "alert", "A-1", "why")
    with store.transaction() as tx:
        tx.record([counted], 1)
        tx.retell([told], 2)
        tx.retell([Verdict(counted.event, "r", "merged", "A-2")], 3)

    assert store.verdicts("e1") == [(told, 2)]
    assert store.counts()["matches"] == 1


def test_lags_add_up(reopen: Open) -> None:
    lags = Lags()
    for seconds in (0.5, 30, 3000):
        lags.add(seconds)
    for _ in range(2):
        with reopen().transaction() as tx:
            tx.note_lags("prod", "seen", {"cam": lags})
    with reopen().transaction() as tx:
        (found,) = tx.lags("prod", "seen").values()
        assert (found.number, found.most) == (6, 3000)
        assert tx.lags("prod", "behind") == {}


def test_a_retraction_is_sent_with_the_receipt_of_what_it_takes_back(store: Store) -> None:
    queue(store, "d1")
    delivery = store.claim("oncall", 1, 60)
    assert delivery is not None
    store.settle(delivery, "delivered", 2, receipt="C1/17.5")
    queue(store, "d2", alert=replace(an_alert("A-2"), retracts="A-1"))

    retraction = store.claim("oncall", 3, 60)

    assert retraction is not None
    assert (delivery.thread, retraction.thread) == ("", "C1/17.5")


def test_what_was_queued_told_and_tried_under_a_clock_that_was_ahead_waits_no_longer_for_it(reopen: Open) -> None:
    ahead, now = 5000.0 + 30 * 86400, 5000.0
    store = reopen()
    queue(store, "tried", due=ahead - 10)
    queue(store, "waiting", alert=an_alert("A-2", fingerprint="f2"), due=ahead)
    tried = store.claim("oncall", ahead, 60)
    assert tried is not None
    store.settle(tried, "retry", ahead, due=ahead + 5, reason="HTTP 503")
    store.break_destination("oncall", "HTTP 401", ahead, ahead + 60)
    with store.transaction() as tx:
        tx.save_told("f1", Told("A-1", Severity.HIGH, ahead))
    again = reopen()
    for _ in range(2):
        again.shift_clock(0.0, now)
    assert again.next_due("oncall") == now
    assert [one.due for one in sorted(again.deliveries(), key=lambda one: one.id)] == [now + 5, now]
    assert [one.probe_at for one in again.breakers()] == [now]
    with again.transaction() as tx:
        told = tx.told("f1")
    assert told is not None
    assert told.at == now


def test_a_clock_that_nobody_set_moves_nothing(store: Store) -> None:
    queue(store, "later", due=4000)
    store.break_destination("hook", "HTTP 401", 4000, 6000)
    store.shift_clock(0.0, 5000)
    assert store.next_due("oncall") == 4000
    assert [one.probe_at for one in store.breakers()] == [6000]
