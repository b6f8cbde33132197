"""
Several workers on one Postgres store, each given every event in an order of its own, killed again and again: is each
alert in the outbox exactly once?

A worker is a process of its own that takes pages through the real path. It remembers nothing: started again after a
SIGKILL, it takes all its pages from the first. Half of the events are stories of their own, the other half belong to a
few stories that all workers write to at once.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from engine import kinds, packs
from engine.errors import StoreError
from engine.event import Page, Record
from engine.kinds import Kind
from engine.pipeline import Policy, ingest
from engine.route import Route
from engine.store.postgres import PostgresStore, open_store

ACCOUNT = "100000000001"
KIND = "tencent.cloudaudit"
AT = 1_790_000_000  # the events' time, epoch seconds
STORIES = 10
PAGE = 50
RULES = {
    "bucket_deleted": """
id: bench.swarm.bucket_deleted
title: "{norm.actor} deleted a bucket"
severity: high
status: stable
kind: tencent.cloudaudit
description: A story of its own each time.
match: eventName == 'DeleteBucket'
""",
    "many_by_one": """
id: bench.swarm.user_deleted
title: "{norm.actor} deletes users"
severity: high
status: stable
kind: tencent.cloudaudit
description: One story for each actor.
match: eventName == 'DeleteUser'
group_by: [norm.actor]
quiet: 30d
""",
}


@dataclass(frozen=True, slots=True)
class Swarm:
    """What came out. *due* alerts are to be told; every event must be counted in exactly one of them."""

    workers: int
    events: int
    kills: int
    due: int
    lost: int
    repeated: int
    miscounted: int  # events that alerts count too often, or not at all
    imbalance: int  # of the ledger
    seconds: float


def records(number: int, seed: int) -> list[Record]:
    """*number* different events."""
    draw = random.Random(seed)
    made = []
    for index in range(number):
        event = {
            "eventID": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
            "eventName": "DeleteUser" if index % 2 else "DeleteBucket",
            "eventTime": AT + index % 600,
            "resourceType": "cos",
            "actionType": "Write",
            "errorCode": "0",
            "userIdentity": {"type": "CAMUser", "accountId": ACCOUNT, "userName": f"ana{index % (2 * STORIES)}"},
        }
        made.append(Record(json.dumps(event).encode(), "a swarm"))
    return made


def work(url: str, number: int, seed: int, order: int) -> None:
    """One worker: all events in an order of its own, until every page was taken."""
    store = open_store(url)
    kind = kinds.kind(KIND, redaction_key=bytes(32))
    policy = _policy()
    given = records(number, seed)
    random.Random(order).shuffle(given)
    for first in range(0, number, PAGE):
        _take(Page(tuple(given[first : first + PAGE])), f"worker-{order}", kind, policy, store)
    store.close()


def _take(page: Page, name: str, kind: Kind, policy: Policy, store: PostgresStore) -> None:
    for _ in range(100):
        try:
            ingest(page, name, kind, policy, store, now=float(AT + 600))
            return
        except StoreError as error:  # a service would read it again at its next poll
            print(error, file=sys.stderr)
            time.sleep(0.05)
    raise StoreError("the store did not come back")


def _policy() -> Policy:
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, text in RULES.items():
            path = Path(folder, f"{name}.yaml")
            path.write_text(text, encoding="utf-8")
            paths.append(str(path))
        return Policy(packs.load(paths), (Route(("bench",)),))


def run(url: str, *, workers: int = 4, number: int = 20_000, kills: int = 6, seed: int = 1) -> Swarm:
    """One run in the empty store at *url*."""
    began = time.monotonic()
    draw = random.Random(seed)
    store = open_store(url)
    running = [_start(url, number, seed, order) for order in range(workers)]
    for done in range(kills):
        # A kill for each part of the work, at a moment within it that nobody chose.
        wanted = int(number * (done + draw.random()) / kills)
        while store.counts()["events"] < wanted and any(one.poll() is None for one in running):
            time.sleep(0.01)
        victim = draw.randrange(workers)
        if running[victim].poll() is not None:  # it has all its pages already: it takes them again
            running[victim] = _start(url, number, seed, victim)
            time.sleep(1.0 + draw.random())
        running[victim].send_signal(signal.SIGKILL)
        running[victim].wait()
        running[victim] = _start(url, number, seed, victim)
    failed = [one.returncode for one in running if one.wait() != 0]
    if failed:
        raise RuntimeError(f"workers ended with {failed}")
    result = _result(store, number, workers, kills, time.monotonic() - began)
    store.close()
    return result


def _start(url: str, number: int, seed: int, order: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.swarm", url, str(number), str(seed), str(order)],
        cwd=Path(__file__).resolve().parents[1],
    )


def _result(store: PostgresStore, number: int, workers: int, kills: int, seconds: float) -> Swarm:
    alerts = {alert.id: alert for alert in store.alerts(limit=2 * number)}
    told = Counter(
        (alert.rule_id, alert.event_ids[0] if alert.rule_id == "bench.swarm.bucket_deleted" else str(alert.group))
        for alert in (alerts[queued.alert_id] for queued in store.deliveries(limit=2 * number))
    )
    single = (number + 1) // 2
    due = single + min(STORIES, number - single)
    ledger = store.ledger()
    return Swarm(
        workers=workers,
        events=number,
        kills=kills,
        due=due,
        lost=due - len(told),
        repeated=sum(told.values()) - len(told),
        miscounted=abs(number - sum(alert.count for alert in alerts.values())),
        imbalance=ledger.imbalance + abs(ledger.matches - number),
        seconds=seconds,
    )


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
