"""What the store on Postgres does beyond the contract: several processes, lines that are cut, servers that go away."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from engine.delivery import Delivery
from engine.errors import ConfigurationError, StoreDamagedError, StoreError, StoreFullError
from engine.event import Identity
from engine.store.address import masked
from engine.store.postgres import PostgresStore, migrations, open_copy, open_store
from engine.store.postgres_link import Link, _failure
from tests.contract.cutting import Cutter
from tests.postgres_server import LOCKED_PASSWORD, PostgresServer
from tests.samples import an_alert, an_event


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """An empty database, as far as the store can see."""
    return postgres.new_schema()


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """A worker's store."""
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def other(url: str, store: PostgresStore) -> Iterator[PostgresStore]:
    """Another worker's store in the same database."""
    opened = open_store(url)
    yield opened
    opened.close()


def queue(store: PostgresStore, *delivery_ids: str) -> None:
    with store.transaction() as tx:
        tx.save_alert(an_alert())
        for number, delivery_id in enumerate(delivery_ids):
            tx.queue(delivery_id, "A-1", "oncall", number)


def claimed(store: PostgresStore, now: float = 10) -> Delivery:
    delivery = store.claim("oncall", now, 60)
    assert delivery is not None
    return delivery


# --- several workers


def test_an_event_that_another_worker_is_storing_is_waited_for_and_then_known(
    store: PostgresStore, other: PostgresStore
) -> None:
    got: list[list[str]] = []

    def second() -> None:
        with other.transaction() as tx:
            got.append([e.event_id for e in tx.unseen([an_event(event_id="b"), an_event(event_id="a")], 0)])

    with store.transaction() as tx:
        tx.unseen([an_event(event_id="a")], 0)
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(timeout=0.2)
        assert waiting.is_alive()
    waiting.join()
    assert got == [["b"]]


def test_an_event_of_a_worker_that_died_is_the_next_ones(store: PostgresStore, other: PostgresStore) -> None:
    def dies() -> None:
        with store.transaction() as tx:
            tx.unseen([an_event()], 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dies()
    with other.transaction() as tx:
        assert len(tx.unseen([an_event()], 0)) == 1


def test_workers_with_the_same_events_in_another_order_do_not_block_each_other(
    store: PostgresStore, other: PostgresStore
) -> None:
    events = [an_event(event_id=f"e{n}") for n in range(200)]
    found: Counter[str] = Counter()
    lock = threading.Lock()

    def take(worker: PostgresStore, step: int) -> None:
        for _ in range(3):
            with worker.transaction() as tx:
                new = tx.unseen(events[::step], 0)
                tx.polled("prod", 1, new_events=len(new))
            with lock:
                found.update(event.event_id for event in new)

    threads = [threading.Thread(target=take, args=(worker, step)) for worker, step in ((store, 1), (other, -1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == Counter({event.event_id: 1 for event in events})


def test_what_is_decided_is_decided_by_one_worker_at_a_time(store: PostgresStore, other: PostgresStore) -> None:
    """Both read what was told of one story and then write: the second must read what the first has written."""
    told: list[bool] = []

    def decide(worker: PostgresStore) -> None:
        with worker.transaction() as tx:
            known = tx.alert("A-1") is not None
            tx.save_alert(an_alert())
            told.append(not known)

    threads = [threading.Thread(target=decide, args=(worker,)) for worker in (store, other) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [False] * 7 + [True]


def test_any_number_of_senders_claim_each_delivery_once(url: str, store: PostgresStore) -> None:
    queue(store, *(f"d{n}" for n in range(60)))
    got: list[str] = []

    def send() -> None:
        sender = open_store(url)
        while (delivery := sender.claim("oncall", 100, 60)) is not None:
            got.append(delivery.id)
            sender.settle(delivery, "delivered", 101)
        sender.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(got) == Counter({f"d{n}": 1 for n in range(60)})


def test_a_source_is_polled_by_one_worker_until_its_lease_ends(store: PostgresStore, other: PostgresStore) -> None:
    assert store.hold_source("prod", 0, 60)
    assert not other.hold_source("prod", 30, 60)
    assert store.hold_source("prod", 30, 60)
    assert not other.hold_source("prod", 89, 60)
    assert other.hold_source("prod", 90, 60)
    assert not store.hold_source("prod", 91, 60)


def test_a_worker_that_ends_leaves_its_sources_to_the_others_at_once(
    store: PostgresStore, other: PostgresStore
) -> None:
    assert store.hold_source("prod", 0, 60)
    store.close()
    assert other.hold_source("prod", 1, 60)


def test_a_worker_that_starts_leaves_alone_what_another_is_sending(store: PostgresStore, other: PostgresStore) -> None:
    queue(store, "d1")
    delivery = claimed(store)
    assert other.release(11) == 0
    store.settle(delivery, "delivered", 12)
    assert [one.state for one in other.deliveries()] == ["delivered"]


def test_an_attempt_that_comes_to_its_end_too_late_does_not_undo_a_later_one(
    store: PostgresStore, other: PostgresStore
) -> None:
    queue(store, "d1")
    slow = claimed(store, 10)
    quick = claimed(other, 70)
    other.settle(quick, "delivered", 71, receipt="quick")
    store.settle(slow, "retry", 72, due=80, reason="timeout")
    assert [(one.state, one.receipt) for one in store.deliveries()] == [("delivered", "quick")]
    assert [one.state for one in store.attempts("d1")] == ["retry", "delivered"]


def test_what_arrived_counts_even_when_its_lease_had_ended(store: PostgresStore, other: PostgresStore) -> None:
    queue(store, "d1")
    slow = claimed(store, 10)
    other.settle(claimed(other, 70), "retry", 71, due=500)
    store.settle(slow, "delivered", 72)
    assert store.claim("oncall", 1000, 60) is None


@pytest.mark.parametrize("refuses", [True, False])
def test_of_a_broken_destination_one_delivery_is_tried_whatever_the_number_of_senders(
    store: PostgresStore, other: PostgresStore, *, refuses: bool
) -> None:
    queue(store, "d1", "d2")
    store.break_destination("oncall", "no word", 10, 60, refuses=refuses)
    assert store.claim("oncall", 59, 60) is None
    assert claimed(store, 60).id == "d1"
    assert other.claim("oncall", 61, 60) is None


def test_a_step_of_one_machines_clock_is_undone_once_however_many_workers_see_it(
    store: PostgresStore, other: PostgresStore
) -> None:
    with store.transaction() as tx:
        tx.save_alert(an_alert())
        tx.queue("d1", "A-1", "oncall", 5000)
    for worker in (store, other):
        worker.shift_clock(-4000, 1000)
    (delivery,) = store.deliveries()
    assert (delivery.due, delivery.created) == (1000, 1000)


def test_a_redaction_key_is_made_once_for_all_workers(url: str) -> None:
    keys: set[bytes] = set()

    def start() -> None:
        worker = open_store(url)
        keys.add(worker.redaction_key())
        worker.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 1


# --- lines that are cut


@pytest.fixture
def cutter(postgres: PostgresServer) -> Iterator[Cutter]:
    """A way to the server that can be cut."""
    with tempfile.TemporaryDirectory(prefix="tocsin-cut-") as folder:  # a socket's path holds 107 bytes at most
        cutter = Cutter(Path(folder), postgres.folder)
        yield cutter
        cutter.close()


@pytest.fixture
def through(cutter: Cutter, url: str, postgres: PostgresServer, store: PostgresStore) -> Iterator[PostgresStore]:
    """A worker's store whose line can be cut; *store* has the same database."""
    opened = open_store(url.replace(quote(str(postgres.folder), safe=""), quote(str(cutter.folder), safe="")))
    yield opened
    opened.close()


def test_a_page_whose_commit_got_no_answer_is_found_stored_when_it_is_read_again(
    cutter: Cutter, through: PostgresStore, store: PostgresStore
) -> None:
    def take() -> int:
        with through.transaction() as tx:
            fresh = tx.unseen([an_event()], 0)
            if fresh:
                tx.save_alert(an_alert())
                tx.queue("d1", "A-1", "oncall", 0)
            return len(fresh)

    cutter.cut_after(1)
    with pytest.raises(StoreError, match=r"store postgresql://"):
        take()
    assert cutter.cuts == 1
    assert [one.id for one in store.deliveries()] == ["d1"]
    assert take() == 0


@pytest.mark.parametrize("slow", [False, True])
def test_a_claim_whose_answer_was_lost_is_still_ours(
    cutter: Cutter, through: PostgresStore, store: PostgresStore, slow: bool
) -> None:
    queue(store, "d1", "d2")
    cutter.cut_after(1, slow=slow)
    delivery = claimed(through)
    assert cutter.cuts == 1
    assert (delivery.id, delivery.attempt, delivery.earlier_ambiguous) == ("d1", 1, False)
    assert claimed(store).id == "d2"


@pytest.mark.parametrize("slow", [False, True])
def test_an_outcome_whose_commit_got_no_answer_is_recorded_once(
    cutter: Cutter, through: PostgresStore, store: PostgresStore, slow: bool
) -> None:
    queue(store, "d1")
    delivery = claimed(through)
    cutter.cut_after(1, slow=slow)
    through.settle(delivery, "delivered", 11, receipt="r")
    assert cutter.cuts == 1
    assert [(one.state, one.receipt) for one in store.attempts("d1")] == [("delivered", "r")]


def test_a_worker_goes_on_when_the_server_has_crashed_and_is_back(own_postgres: PostgresServer) -> None:
    store = open_store(own_postgres.new_schema())
    queue(store, "d1")
    delivery = claimed(store)
    own_postgres.crash()
    with pytest.raises(StoreError, match="store postgresql://"):
        store.counts()
    settling = threading.Thread(target=store.settle, args=(delivery, "delivered", 11))
    settling.start()  # a message was sent: this waits for the server
    own_postgres.start()
    settling.join()
    with store.transaction() as tx:
        assert tx.unseen([an_event()], 0)
    assert store.deliveries()[0].state == "delivered"
    store.close()


def test_a_transaction_that_a_crash_cuts_leaves_nothing(own_postgres: PostgresServer) -> None:
    store = open_store(own_postgres.new_schema())

    def cut() -> None:
        with store.transaction() as tx:
            tx.unseen([an_event()], 0)
            own_postgres.crash()
            tx.save_alert(an_alert())

    with pytest.raises(StoreError):
        cut()
    own_postgres.start()
    with store.transaction() as tx:
        assert len(tx.unseen([an_event()], 0)) == 1
    store.close()


def test_a_statement_that_failed_cannot_end_in_a_commit_that_is_none(store: PostgresStore) -> None:
    def swallow() -> None:
        with store.transaction() as tx:
            tx.unseen([an_event()], 0)
            with pytest.raises(psycopg.Error):
                tx.queue("d1", "no such alert", "oncall", 0)

    with pytest.raises(StoreError, match="had failed"):
        swallow()
    with store.transaction() as tx:
        assert tx.unseen([an_event()], 0)


# --- what is said


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://locked:{LOCKED_PASSWORD}-wrong@/postgres?host=FOLDER",
        f"postgresql://locked@/postgres?host=FOLDER&password={LOCKED_PASSWORD}-wrong",
        f"postgresql://locked:{LOCKED_PASSWORD}@@/x@/postgres?host=FOLDER",
        f"postgresql://locked:{LOCKED_PASSWORD}/[x@/postgres?host=FOLDER",
        f"postgresql://locked:x#{LOCKED_PASSWORD}:y@nowhere.invalid:not-a-port/db",
        f"postgresql://locked:%zz{LOCKED_PASSWORD}@/postgres?host=FOLDER",
    ],
)
def test_no_text_holds_the_password(postgres: PostgresServer, url: str) -> None:
    url = url.replace("FOLDER", str(postgres.folder))
    with pytest.raises(StoreError) as caught:
        open_store(url)
    told = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert LOCKED_PASSWORD not in told
    assert caught.value.__suppress_context__


def test_with_the_right_password_it_opens_and_does_not_show_it(postgres: PostgresServer) -> None:
    link = Link(postgres.url(user="locked", password=LOCKED_PASSWORD))
    assert link.execute("SELECT current_user") == ([("locked",)], 1)
    assert LOCKED_PASSWORD not in link.shown + repr(vars(link)["_idle"])
    link.close()


def test_a_url_is_shown_with_its_user_and_place_and_without_its_password() -> None:
    shown = masked("postgresql://tocsin:s3cret@db.example:5432/tocsin?sslmode=verify-full&password=0ther")
    assert shown == "postgresql://tocsin:[masked]@db.example:5432/tocsin?sslmode=verify-full&password=[masked]"


def test_a_failure_does_not_quote_what_an_event_says(store: PostgresStore) -> None:
    with pytest.raises(StoreError) as caught, store.transaction() as tx:
        tx.queue("d1", "A-of-an-event", "oncall", 0)
    assert "A-of-an-event" not in str(caught.value)
    assert "foreign key" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (psycopg.errors.DiskFull(), StoreFullError),
        (psycopg.errors.DataCorrupted(), StoreDamagedError),
        (psycopg.errors.DeadlockDetected(), StoreError),
    ],
)
def test_a_failure_says_what_can_be_done_about_it(error: psycopg.Error, told: type[StoreError]) -> None:
    assert _failure(error) is told


# --- the schema


def test_both_databases_take_the_same_steps() -> None:
    sqlite = sorted(step.name for step in files("engine.store").joinpath("migrations").iterdir())
    assert sorted(step.name for step in migrations().values()) == sqlite


def test_workers_that_start_together_make_the_tables_once(url: str) -> None:
    failed: list[BaseException] = []

    def start() -> None:
        try:
            open_store(url).close()
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_store_of_a_newer_tocsin_is_refused(url: str, store: PostgresStore) -> None:
    with store._link.transaction() as connection:
        connection.execute("UPDATE tocsin_schema SET version=999")
    with pytest.raises(ConfigurationError, match="newer Tocsin"):
        open_store(url)


def test_work_on_a_copy_leaves_no_trace(url: str, store: PostgresStore) -> None:
    queue(store, "d1")
    with store.transaction() as tx:
        tx.unseen([an_event()], 0)
    key = store.redaction_key()
    copy = open_copy(url)
    assert copy.redaction_key() == key
    assert copy.claim("oncall", 10, 60) is not None
    with copy.transaction() as tx2:
        assert tx2.unseen([an_event()], 0) == []
    copy.close()
    assert store.deliveries()[0].state == "queued"


def test_a_copy_of_what_is_not_there_yet_is_empty_and_makes_nothing(url: str) -> None:
    open_copy(url).close()
    link = Link(url)
    assert link.execute("SELECT count(*) FROM pg_tables WHERE schemaname=current_schema()")[0] == [(0,)]
    link.close()


def test_the_way_of_an_event_is_found_in_every_account(store: PostgresStore) -> None:
    with store.transaction() as tx:
        tx.unseen([an_event()], 5000)
    assert [one.identity for one in store.seen("e1")] == [Identity("tencent.cloudaudit", "100000000001", "e1")]
