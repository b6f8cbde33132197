"""
What a durable page costs on each store, as a multiple of the disk's own floor, and how much an id takes.

A page is what the path writes for 50 events of which half are known: seen ids, cursor and the source's row, in one
transaction. The floor is an append of the same ids to a file with fdatasync. All take turns in one run, so that a busy
machine or disk is busy for each of them.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from engine.event import Cursor, Event, Identity
from engine.kinds.body import checksum
from engine.store import Store
from engine.store.postgres import open_store as open_postgres
from engine.store.postgres_link import Link
from engine.store.sqlite import open_store as open_sqlite

PAGE = 50
ROUNDS = 10
AT = 1_790_000_000


@dataclass(frozen=True, slots=True)
class Commits:
    """The median page, over all rounds."""

    name: str
    pages_per_second: float
    floors: float  # how many times the floor's median


def commits(folder: Path, url: str | None, *, pages: int = 1_000, seed: int = 1) -> list[Commits]:
    """The floor first, then SQLite in *folder* and, where there is one, Postgres at *url*; *pages* each."""
    sqlite = open_sqlite(str(folder / "commits.db"))
    postgres = None if url is None else open_postgres(url)
    log = os.open(folder / "floor", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def floor(events: list[Event]) -> None:
        os.write(log, b"".join(event.identity.event_id.encode()[:16] for event in events))
        os.fdatasync(log)

    takers: dict[str, Callable[[list[Event]], None]] = {
        "append and fdatasync": floor,
        "SQLite": lambda events: _take(sqlite, events),
    }
    if postgres is not None:
        takers["Postgres, over a Unix socket"] = partial(_take, postgres)
    draws = {name: _Pages(seed) for name in takers}
    took: dict[str, list[float]] = {name: [] for name in takers}
    for _ in range(ROUNDS):
        for name, take in takers.items():
            for _ in range(pages // ROUNDS):
                page = draws[name].next()
                began = time.perf_counter()
                take(page)
                took[name].append(time.perf_counter() - began)
    os.close(log)
    sqlite.close()
    if postgres is not None:
        postgres.close()
    medians = {name: statistics.median(times) for name, times in took.items()}
    least = medians["append and fdatasync"]
    return [Commits(name, 1 / median, median / least) for name, median in medians.items()]


def bytes_per_id(folder: Path, url: str, *, number: int = 200_000, seed: int = 2) -> dict[str, float]:
    """How much *number* random ids take, indexes and all."""
    draw = random.Random(seed)
    events = [_event(draw) for _ in range(number)]
    path = folder / "ids.db"
    sqlite, postgres = open_sqlite(str(path)), open_postgres(url)
    empty = path.stat().st_size
    for first in range(0, number, 10_000):
        for store in (sqlite, postgres):
            with store.transaction() as tx:
                tx.unseen(events[first : first + 10_000], AT, [draw.randrange(-(2**31), 2**31) for _ in range(10_000)])
    sqlite.close()  # its log goes into the file
    postgres.close()
    link = Link(url)
    ((taken,),), _ = link.execute("SELECT pg_total_relation_size('seen')")
    link.close()
    return {"SQLite": (path.stat().st_size - empty) / number, "Postgres": taken / number}


class _Pages:
    """Pages of which half was in an earlier one."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._known: list[Event] = [_event(self._draw) for _ in range(PAGE)]

    def next(self) -> list[Event]:
        new = [_event(self._draw) for _ in range(PAGE // 2)]
        page = self._draw.sample(self._known, PAGE - len(new)) + new
        self._known = (self._known + new)[-20 * PAGE :]
        return page


def _event(draw: random.Random) -> Event:
    identity = Identity("tencent.cloudaudit", "100000000001", str(uuid.UUID(int=draw.getrandbits(128), version=4)))
    return Event(identity, time=AT, name="GetService", raw=b"{}", decode=lambda _: {})


def _take(store: Store, events: list[Event]) -> None:
    with store.transaction() as tx:
        fresh = tx.unseen(events, AT, [checksum(event) for event in events])
        new = {id(event) for event in fresh}
        again = [event for event in events if id(event) not in new]
        tx.note_changed("bench", again, AT, [checksum(event) for event in again])
        tx.move_cursor("bench", Cursor(datetime.fromtimestamp(AT, UTC)))
        tx.polled("bench", AT, new_events=len(fresh))


def report() -> Iterator[str]:
    """
    All of it, a line for a figure, on a Postgres server of its own that waits for the disk; and then the swarm: four
    workers, 20,000 events each given to all, six SIGKILLs.
    """
    from benchmarks.swarm import run
    from tests.postgres_server import WHY_NOT, PostgresServer, binaries

    found = binaries()
    if found is None:
        yield WHY_NOT
        return
    server = PostgresServer(found, durable=True)
    with tempfile.TemporaryDirectory() as folder:
        for one in commits(Path(folder), server.new_schema()):
            yield f"{one.name}: {one.pages_per_second:.0f} pages of {PAGE} a second, {one.floors:.2f} × the floor"
        for name, number in bytes_per_id(Path(folder), server.new_schema()).items():
            yield f"{name}: {number:.0f} bytes for a seen id"
    swarm = run(server.new_schema())
    yield (
        f"{swarm.workers} workers, {swarm.events} events given to each, {swarm.kills} SIGKILLs: {swarm.due} alerts due,"
        f" {swarm.lost} lost, {swarm.repeated} repeated, {swarm.miscounted} events miscounted,"
        f" ledger off by {swarm.imbalance} ({swarm.seconds:.0f} s)"
    )
    server.stop()


if __name__ == "__main__":
    for line in report():
        print(line)
