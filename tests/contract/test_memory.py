"""Rules with memory on every store: the same pages give the same alerts."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine import kinds, packs
from engine.event import Cursor, Page, Record
from engine.pipeline import Policy, advance, ingest
from engine.route import Route
from engine.store import Store

AT = 1_790_000_000
RULE = """
id: mine.burst
title: "{norm.actor} failed"
severity: high
status: stable
kind: tencent.cloudaudit
description: Three of one person within ten minutes.
match: eventName == 'ConsoleLogin'
group_by: [norm.actor]
count: {at_least: 3, within: 10m}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    path = tmp_path / "burst.yaml"
    path.write_text(RULE, encoding="utf-8")
    return Policy(packs.load([str(path)]), (Route(("oncall",)),))


def page(*moments: tuple[str, int], until: int) -> Page:
    """Sign-ins (who, seconds after AT), and everything read up to *until*."""
    records = tuple(
        Record(
            json.dumps(
                {
                    "eventID": f"{who}-{moment}",
                    "eventName": "ConsoleLogin",
                    "eventTime": AT + moment,
                    "userIdentity": {"type": "CAMUser", "accountId": "100000000001", "userName": who},
                }
            ).encode(),
            "a test",
        )
        for who, moment in moments
    )
    return Page(records, Cursor(datetime.fromtimestamp(AT + until, UTC)))


def test_a_burst_is_told_once_however_its_pages_come(store: Store, policy: Policy) -> None:
    kind = kinds.kind("tencent.cloudaudit", redaction_key=bytes(32))

    def take(given: Page, now: int) -> None:
        ingest(given, "prod", kind, policy, store, now=float(AT + now))

    take(page(until=0), 1)
    take(page(("ana", 30), ("bob", 20), until=1), 61)
    take(page(("ana", 10), ("ana", 30), ("bob", 40), until=2), 121)  # late, and one of them again
    take(page(("ana", 50), until=3), 181)
    take(page(until=8000), 8001)
    advance("prod", policy, store, now=float(AT + 8002))

    (alert,) = store.alerts()
    assert (alert.title, alert.count, alert.event_ids) == ("ana failed", 3, ("ana-10", "ana-30", "ana-50"))
    assert [one.destination for one in store.deliveries()] == ["oncall"]
    outcomes = Counter(verdict.outcome for name in ("ana-10", "ana-30", "ana-50", "bob-20", "bob-40")
                       for verdict, _ in store.verdicts(name))  # fmt: skip
    assert outcomes["counted"] == 2
    assert store.ledger().imbalance == 0


def test_what_a_source_watches_is_the_same_on_every_store(store: Store, policy: Policy) -> None:
    kind = kinds.kind("tencent.cloudaudit", redaction_key=bytes(32))
    for number in range(3):
        given = page((f"u{number}", 60 * number), until=60 * number + 30)
        ingest(given, "prod", kind, policy, store, now=float(AT + 60 * number + 31))
    with store.transaction() as tx:
        watch = tx.source_watch("prod")
        lags = tx.lags("prod", "seen")
        assert tx.sources_watched() == ["prod"]
    assert (watch.late, watch.found_again, watch.waiting + watch.windows) == (0, 0, 3)
    assert sum(sum(one.counts.values()) for one in lags.values()) == 2  # the first page had no cursor to compare with
