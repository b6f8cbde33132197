"""The law of rules with memory on the whole path: bytes in, a store, pages, repetitions, cursors, alerts out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import kinds, packs
from engine.correlate.lateness import Between
from engine.event import Cursor, Page, Record
from engine.pipeline import Policy, ingest
from engine.route import Route
from engine.store.sqlite import SqliteStore, open_store

BEGIN = 1_790_000_000
LATENESS = 30
FIXED = Between(timedelta(seconds=LATENESS), timedelta(seconds=LATENESS))
KIND = kinds.kind("tencent.cloudaudit", redaction_key=bytes(32))
MEMORIES = {
    "count": "match: norm.outcome != 'ok'\ncount: {at_least: 3, within: 40s}",
    "distinct": "match: norm.outcome != 'ok'\ncount: {at_least: 2, within: 40s, distinct: norm.ip}",
    "sequence": "sequence: {within: 60s, steps: [{match: norm.outcome != 'ok', at_least: 2}, {match: norm.outcome == 'ok'}]}",
    "absent": "sequence: {within: 20s, steps: [{match: norm.outcome != 'ok'}, {absent: norm.outcome == 'ok'}]}",
    "first": "match: norm.outcome == 'ok'\nfirst_seen: {values: [norm.actor, norm.ip], over: 1h, learn: 20s}",
    "silent": "match: norm.outcome == 'ok'\nsilent: {for: 40s}",
}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder: Path = tmp_path_factory.mktemp("rules")
    for name, memory in MEMORIES.items():
        head = f"id: law.{name}\ntitle: '{{norm.actor}} {{norm.ip}}'\nseverity: high\nkind: tencent.cloudaudit\n"
        text = f"{head}description: d\ngroup_by: [norm.actor]\nquiet: 50s\n{memory}\n"
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return Policy(packs.load([str(folder)]), (Route(("oncall",)),))


Sample = tuple[int, str, str, bool]  # second, actor, address, worked
samples = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from("ab"), st.sampled_from("12"), st.booleans()), min_size=1, max_size=40
)


def record(number: int, sample: Sample) -> Record:
    second, actor, address, worked = sample
    event = {
        "eventID": f"e{number:03}",
        "eventName": "ConsoleLogin",
        "eventTime": BEGIN + second,
        "errorCode": "0" if worked else "1",
        "sourceIPAddress": f"203.0.113.{address}",
        "userIdentity": {"type": "CAMUser", "accountId": "100000000001", "userName": actor},
    }
    return Record(json.dumps(event).encode())


def read(store: SqliteStore, policy: Policy, records: Sequence[Record], until: int | None) -> None:
    cursor = None if until is None else Cursor(datetime.fromtimestamp(BEGIN + until, UTC))
    ingest(Page(tuple(records), cursor), "prod", KIND, policy, store, now=BEGIN + 1000, lateness=FIXED)


def said(store: SqliteStore) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Every alert and every line of the ledger."""
    alerts = sorted(
        (a.id, a.rule_id, a.title, a.event_ids, a.count, a.first_seen, a.last_seen) for a in store.alerts(limit=10_000)
    )
    rows = store.connection.execute("SELECT event_id, rule_id, outcome, alert_id FROM verdicts ORDER BY 1, 2")
    return alerts, rows.fetchall()


@settings(max_examples=30)
@given(
    samples, st.lists(st.integers(0, LATENESS - 1), min_size=1, max_size=25), st.lists(st.integers(1, 6), min_size=1)
)
def test_the_store_holds_the_same_alerts_however_events_arrive(
    policy: Policy, events: list[Sample], delays: list[int], pages: list[int]
) -> None:
    records = [record(number, sample) for number, sample in enumerate(events)]
    order = sorted(range(len(events)), key=lambda i: (events[i][0] + delays[i % len(delays)], -i))
    with closing(open_store(":memory:")) as plain, closing(open_store(":memory:")) as hard:
        read(plain, policy, records, None)
        read(plain, policy, [], 500)

        page = 0
        while order:
            now, order = order[: pages[page % len(pages)]], order[pages[page % len(pages)] :]
            again = [records[i] for i in now[:1]] if page % 2 else []
            coming = min((events[i][0] + delays[i % len(delays)] for i in order), default=400)
            # The cursor of a source is behind what it has not given yet, but for the lateness.
            read(hard, policy, [*(records[i] for i in now), *again], coming if page % 3 else None)
            page += 1
        read(hard, policy, [records[0]], 500)

        with hard.transaction() as tx:
            assert tx.source_watch("prod").late == 0
        assert said(hard) == said(plain)
        assert hard.counts()["matches"] == sum(n for name, n in hard.counts().items() if name.startswith("verdict."))
