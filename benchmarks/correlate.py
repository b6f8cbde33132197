"""
Rules with memory: what they cost.

Throughput goes through `ingest` and a store on disk, once with 100 rules that count and once with the same conditions
without memory. Windows are measured as the growth of the database file. The distinct count is exact: 8-byte digests in
the window, which is read and written once for each page that touches it.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine import kinds, packs
from engine.correlate import Kept, Key, Limits, Window
from engine.correlate.lateness import Between
from engine.event import Cursor, Page, Record
from engine.pipeline import Policy, ingest
from engine.store import Store
from engine.store.sqlite import SqliteStore, open_store

BEGIN = 1_790_000_000
RULES = 100
PAGE = 50
NOW = Between(timedelta(0), timedelta(0))
RULE = """
id: bench.correlate.rule{number}
title: "{{norm.actor}} did {{norm.action}}"
severity: high
kind: tencent.cloudaudit
description: d
match: eventName == 'Do{number}'
group_by: [norm.actor]
{memory}
"""
MEMORIES = (
    "count: {at_least: 20, within: 10m}",
    "count: {at_least: 20, within: 30m, distinct: norm.ip}",
    "sequence: {within: 1h, steps: [{match: norm.outcome != 'ok', at_least: 5}, {match: norm.outcome == 'ok'}]}",
    "first_seen: {values: [norm.actor, norm.ip], over: 30d, learn: 7d}",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What rules with memory cost; see the docstring of this module."""

    remembering: float  # events/s
    stateless: float  # events/s
    window_bytes: tuple[tuple[int, float], ...]  # open windows, bytes of database for each
    distinct: tuple[tuple[int, float, float], ...]  # values in the window, µs per match in pages of 50, kB of window
    restore: tuple[int, float]  # open windows, seconds from opening the store to the first page stored


def run(*, events: int = 20_000, windows: tuple[int, ...] = (10_000, 1_000_000)) -> Result:
    """All figures. *windows* of a million take a minute and 400 MB of disk."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        return Result(
            remembering=throughput(folder / "with", events, remembering=True),
            stateless=throughput(folder / "without", events, remembering=False),
            window_bytes=tuple((number, window_bytes(folder / f"windows{number}.db", number)) for number in windows),
            distinct=tuple((number, *distinct(folder / f"distinct{number}", number)) for number in (10, 100_000)),
            restore=(windows[-1], restore(folder, windows[-1])),
        )


def lines(found: Result) -> list[str]:
    """The figures as sentences."""
    share = found.remembering / found.stateless
    both = (
        f"{found.remembering:.0f} events/s; the same conditions without: {found.stateless:.0f} events/s ({share:.0%})"
    )
    said = [f"{RULES} rules with memory: {both}"]
    said += [f"{number:,} open windows: {size:.0f} bytes each, on disk" for number, size in found.window_bytes]
    said += [
        f"distinct, {number:,} values in the window: {cost:.1f} µs per match, window of {size:.1f} kB"
        " (8-byte digests, exact)"
        for number, cost, size in found.distinct
    ]
    said.append(
        f"after a kill, with {found.restore[0]:,} open windows: first page stored after {found.restore[1]:.2f} s"
    )
    return said


def throughput(folder: Path, number: int, *, remembering: bool) -> float:
    """Events per second from bytes to commit; one in five matches one of the rules."""
    folder.mkdir()
    for index in range(RULES):
        memory = MEMORIES[index % len(MEMORIES)] if remembering else ""
        (folder / f"rule{index}.yaml").write_text(RULE.format(number=index, memory=memory), encoding="utf-8")
    policy = Policy(packs.load([str(folder)]))
    kind = kinds.kind("tencent.cloudaudit", redaction_key=bytes(32))
    draw = random.Random(1)
    records = [Record(json.dumps(_event(draw, index)).encode()) for index in range(number)]
    with closing(open_store(str(folder / "bench.db"))) as store:
        began = time.perf_counter()
        for start in range(0, number, PAGE):
            _store(store, policy, kind, records[start : start + PAGE], BEGIN + start)
        return number / (time.perf_counter() - began)


def _store(store: Store, policy: Policy, kind: kinds.Kind, records: list[Record], at: int) -> None:
    page = Page(tuple(records), Cursor(datetime.fromtimestamp(at + PAGE, UTC)))
    ingest(page, "bench", kind, policy, store, now=at + PAGE, lateness=NOW)


def _event(draw: random.Random, index: int, **more: Any) -> dict[str, Any]:
    return {
        "eventID": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "eventName": f"Do{draw.randrange(RULES)}" if draw.random() < 0.2 else "DescribeInstances",
        "eventTime": BEGIN + index,
        "eventVersion": 2,
        "errorCode": "0" if draw.random() < 0.5 else "1",
        "userIdentity": {"type": "CAMUser", "accountId": "100000000001", "userName": f"user{draw.randrange(50)}"},
        "sourceIPAddress": f"203.0.113.{draw.randrange(250)}",
        **more,
    }


def window_bytes(path: Path, number: int) -> float:
    """Bytes of the database file for each of *number* windows with one match in them."""
    with closing(open_store(str(path))) as store:
        before = _pages(store)
        _fill(store, number)
        return (_pages(store) - before) / number


def _fill(store: SqliteStore, number: int) -> None:
    for start in range(0, number, 10_000):
        many = {}
        for index in range(start, min(start + 10_000, number)):
            kept = Kept(BEGIN + index, str(uuid.UUID(int=index, version=4)), "100000000001")
            window = Window(group=f'{{"norm.actor":"user{index}"}}', free=[kept], busy=1)
            many[Key("bench.correlate.rule0", "m", index.to_bytes(16, "big"))] = window
        with store.transaction() as tx:
            tx.save_windows("bench", many, dict.fromkeys(many, 1 << 40), ())


def _pages(store: SqliteStore) -> int:
    with store.transaction():
        ((size,),) = store.connection.execute(
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        )
    return int(size)


def distinct(folder: Path, number: int) -> tuple[float, float]:
    """µs per match, and kB of the window, with *number* distinct values in it."""
    folder.mkdir()
    memory = f"count: {{at_least: {number + 1000}, within: 2d, distinct: userAgent}}"
    (folder / "rule.yaml").write_text(RULE.format(number=0, memory=memory), encoding="utf-8")
    policy = Policy(packs.load([str(folder)]), limits=Limits(matches=number + 1000))
    kind = kinds.kind("tencent.cloudaudit", redaction_key=bytes(32))
    draw = random.Random(1)
    user = {"type": "CAMUser", "accountId": "100000000001", "userName": "user"}

    def records(first: int, count: int) -> list[Record]:
        made = (
            _event(draw, i, eventName="Do0", userAgent=f"agent{i % number}", userIdentity=user)
            for i in range(first, first + count)
        )
        return [Record(json.dumps(one).encode()) for one in made]

    with closing(open_store(str(folder / "bench.db"))) as store:
        page = max(PAGE, number // 10)
        for start in range(0, number, page):
            many = records(start, min(page, number - start))
            ingest(
                Page(tuple(many), Cursor(datetime.fromtimestamp(BEGIN + start + page, UTC))),
                "bench",
                kind,
                policy,
                store,
                now=BEGIN + start + page,
                lateness=NOW,
            )
        measured = [records(number + PAGE * index, PAGE) for index in range(10)]
        began = time.perf_counter()
        for index, many in enumerate(measured):
            _store(store, policy, kind, many, BEGIN + number + PAGE * index)
        spent = time.perf_counter() - began
        ((size,),) = store.connection.execute("SELECT max(length(body)) FROM windows")
        return spent / (10 * PAGE) * 1e6, size / 1000


def restore(folder: Path, number: int) -> float:
    """Seconds from opening a store that holds *number* windows to a page stored with all that follows from it."""
    path = folder / f"windows{number}.db"
    rules = folder / "with"
    policy = Policy(packs.load([str(rules)]))
    kind = kinds.kind("tencent.cloudaudit", redaction_key=bytes(32))
    draw = random.Random(2)
    records = [Record(json.dumps(_event(draw, index)).encode()) for index in range(PAGE)]
    began = time.perf_counter()
    with closing(open_store(str(path))) as store:
        _store(store, policy, kind, records, BEGIN)
        return time.perf_counter() - began
