"""
Late, repeated, shuffled events and restarts: are alerts lost, or told twice?

The real source, client and store read the emulator over HTTP, on a clock of their own that runs as fast as the machine
allows. Some events become visible late, some twice, pages are shuffled; after every so many events the process's parts
are thrown away and made anew from the store, as after a crash. At the end each event that a rule names must have been
told exactly once.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine import kinds, packs
from engine.cloudaudit.client import CloudAudit
from engine.cloudaudit.clock import Clock
from engine.cloudaudit.credentials import Credentials, Fixed
from engine.cloudaudit.pace import Pace
from engine.delivery import Delivered, Delivery, Outcome
from engine.emulator import Emulator, Settings
from engine.errors import Place
from engine.expression import parse
from engine.pipeline import Policy, poll
from engine.route import Route
from engine.sending import deliver
from engine.sources.tencent_cloudaudit import TencentCloudAudit
from engine.store.sqlite import open_store

ACCOUNT = "100000000001"
KEY = Credentials("AKIDbenchmark00000000000000000000000", "key-of-the-emulator")
BEGIN = 1_790_000_000.0  # the simulated clock's first moment, epoch seconds
RULE = """
id: bench.disorder.bucket_deleted
title: "{norm.actor} deleted a bucket"
severity: high
status: stable
kind: tencent.cloudaudit
description: One event in fifty.
match: eventName == 'DeleteBucket'
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What came out, and at what cost."""

    events: int
    wanted: int
    lost: int
    repeated: int
    restarts: int
    requests: int
    seconds: float


class Simulated:
    """A clock that moves when it is told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Recorder:
    """A destination that remembers what it was told."""

    pace = timedelta(0)

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()

    def send(self, delivery: Delivery) -> Outcome:
        self.told.update(delivery.alert.event_ids)
        return Delivered()

    def preview(self, delivery: Delivery) -> str:
        return delivery.id

    def close(self) -> None:
        """Nothing to close."""


def events(number: int, span: float, seed: int) -> Iterator[dict[str, Any]]:
    """*number* inner events over *span* seconds from BEGIN on; one in fifty is a DeleteBucket."""
    draw = random.Random(seed)
    for _ in range(number):
        at = int(BEGIN + draw.random() * span)
        yield {
            "eventID": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
            "eventName": "DeleteBucket" if draw.random() < 0.02 else draw.choice(("DescribeInstances", "GetService")),
            "eventTime": at,
            "eventVersion": 2,
            "actionType": "Write",
            "resourceType": "cos",
            "errorCode": draw.choice(("0", 0)),
            "userIdentity": {"type": "CAMUser", "accountId": ACCOUNT, "principalId": "100000000048", "userName": "ana"},
            "sourceIPAddress": "203.0.113.7",
        }


def run(
    folder: Path, *, number: int = 100_000, hours: float = 6.0, restart_every: int = 5_000, seed: int = 1
) -> Result:
    """One run in *folder*."""
    began = time.monotonic()
    span = hours * 3600
    clock = Simulated(BEGIN)
    story = list(events(number, span, seed))
    wanted = {event["eventID"] for event in story if event["eventName"] == "DeleteBucket"}
    cloud = Emulator(
        Settings(
            KEY.secret_id,
            KEY.secret_key,
            account=ACCOUNT,
            now=clock,
            duplicate=0.1,
            shuffle=True,
            late=0.2,
            lateness=840.0,  # up to the overlap of 15 minutes, less the time between two polls
            rate=0,
            seed=seed,
        )
    )
    told = Recorder()
    rule_file = folder / "bucket_deleted.yaml"
    rule_file.write_text(RULE, encoding="utf-8")
    rules = packs.load([str(rule_file)])
    policy = Policy(rules, (Route(("bench",), parse("severity == 'high'", place=Place("bench"), lists={})),))
    restarts = 0
    with cloud:
        cloud.add(story)
        while clock.now < BEGIN + span + 1200:
            restarts += 1
            left = restart_every
            with (
                closing(open_store(str(folder / "tocsin.db"), hold=True)) as store,
                closing(
                    CloudAudit(Fixed(KEY), endpoint=cloud.endpoint, clock=Clock(clock), pace=Pace(10_000))
                ) as client,
            ):
                kind = kinds.kind("tencent.cloudaudit", redaction_key=store.redaction_key())
                source = TencentCloudAudit("bench", client, now=clock)
                while left > 0 and clock.now < BEGIN + span + 1200:
                    look = timedelta(hours=24) if int(clock.now - BEGIN) % 10_800 == 0 and clock.now > BEGIN else None
                    tally = poll(
                        source, kind, policy, store, clock=clock, overlap=timedelta(minutes=15), second_look=look
                    )
                    left -= tally.events
                    while deliver(told, "bench", store, clock=clock, chance=lambda: 0.5):
                        pass
                    clock.now += 60.0
    return Result(
        events=number,
        wanted=len(wanted),
        lost=len(wanted - set(told.told)),
        repeated=sum(times - 1 for times in told.told.values()) + len(set(told.told) - wanted),
        restarts=restarts - 1,
        requests=cloud.requests["DescribeEvents"],
        seconds=time.monotonic() - began,
    )
