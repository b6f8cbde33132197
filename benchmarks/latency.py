"""
From the event to the delivered alert, in real time, and what that time is made of.

The real service (its scheduler, its threads, the SQLite store on a disk, the built-in rules) polls the emulator over
HTTP and posts to a webhook receiver over HTTP that takes its time. The emulator and its list of events are a process of
their own; the list says for each event when it becomes visible. Everything else is noted when it happens: nothing here
is computed from anything but those times, so the five parts add up to the whole.

How soon an event becomes visible is documented nowhere. In five real events the API's own index stamp (`updateEsTime`)
is 0.2 to 9.2 s and its ingest stamp (`@timestamp`) 4.1 to 10.8 s after the event's time; here the delay is anything
from 0.2 to 11 s, each as likely.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as WebRoute
from structlog.testing import capture_logs

from benchmarks.fetch import ACCOUNT, KEY
from engine import kinds, packs
from engine.cloudaudit.client import CloudAudit
from engine.cloudaudit.credentials import Fixed
from engine.correlate.lateness import Between
from engine.coverage import Coverage
from engine.delivery import Delivery, Notifier, Outcome
from engine.emulator.events import TICKS
from engine.emulator.traffic import ordinary
from engine.event import Cursor, Page
from engine.pipeline import Policy
from engine.route import Route
from engine.service import Parts, Service, Upkeep, Watched
from engine.sources.tencent_cloudaudit import TencentCloudAudit
from engine.store.sqlite import SqliteStore, SqliteTransaction
from engine.web.health import Server
from notifiers.webhook import Settings, Webhook

VISIBLE_AFTER: Final = (0.2, 11.0)  # seconds
BACKGROUND: Final = 5.0  # ordinary events a second
RULE_ID: Final = "bench.delivery.bucket_deleted"
RULE: Final = f"""
id: {RULE_ID}
title: "{{norm.actor}} deleted a bucket"
severity: high
status: stable
kind: tencent.cloudaudit
description: Each event is an alert of its own.
match: eventName == 'DeleteBucket'
"""
PARTS: Final = ("visibility", "poll", "match", "queue", "send")


@dataclass(frozen=True, slots=True)
class Way:
    """The moments of one event on its way, epoch seconds."""

    event: float  # the time that it carries, in whole seconds
    visible: float  # the API has it from here on
    fetched: float  # a page with it has come
    queued: float  # the transaction with its alert and delivery is committed
    claimed: float  # a sender has it
    delivered: float  # the receiver has answered

    @property
    def parts(self) -> tuple[float, ...]:
        """Seconds for each of PARTS; they add up to `whole`."""
        moments = (self.event, self.visible, self.fetched, self.queued, self.claimed, self.delivered)
        return tuple(after - before for before, after in pairwise(moments))

    @property
    def whole(self) -> float:
        return self.delivered - self.event


@dataclass(frozen=True, slots=True)
class Spread:
    """Some durations, seconds."""

    mean: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Split:
    """One run: *parts* as PARTS, and the *whole*."""

    every: float  # seconds that are configured between two polls
    lasted: float  # seconds in which events happened
    alerts: int
    missing: int  # that did not reach the receiver within the time allowed
    polls: float  # seconds between two polls, the median, as it came
    answers_after: float  # seconds that the receiver takes
    parts: tuple[Spread, ...]
    whole: Spread


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of *values* that is not exceeded by at least *share* of them (nearest rank)."""
    if not values:
        raise ValueError("no values")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def spread(values: Sequence[float]) -> Spread:
    return Spread(sum(values) / len(values), percentile(values, 0.5), percentile(values, 0.99))


def run(folder: Path, *, every: float, lasts: float, rate: float = 1.0, answer: float = 0.05, seed: int = 1) -> Split:
    """
    *rate* alerts a second on average for *lasts* seconds, polled *every* so many; a receiver that takes *answer*.

    What is left is waited for a little over one more poll.
    """
    begin = time.time() + 2.0
    happening = list(_alerting(random.Random(seed), begin, lasts, rate))
    with ExitStack() as stack:
        stack.enter_context(capture_logs())
        endpoint = stack.enter_context(_emulator(folder, seed, begin, lasts, happening))
        receiver = stack.enter_context(Receiver(answer))
        notes = Notes(receiver.seen)
        store = stack.enter_context(closing(NotingStore(str(folder / "tocsin.db"), hold=True)))
        store.notes = notes
        client = stack.enter_context(closing(CloudAudit(Fixed(KEY), endpoint=endpoint)))
        source = NotingSource(TencentCloudAudit("bench", client), notes)
        hook = stack.enter_context(closing(Webhook("hook", receiver.settings())))
        service = _service(store, source, NotingNotifier(hook, notes), folder, timedelta(seconds=every))
        time.sleep(max(0.0, begin - time.time()))
        running = threading.Thread(target=service.run, name="service", daemon=True)
        running.start()
        deadline = begin + lasts + 1.5 * every + VISIBLE_AFTER[1] + 30
        while time.time() < deadline and len(notes.delivered) < len(happening):
            time.sleep(0.1)
        service.stop()
        running.join()
    ways = notes.ways(happening)
    gaps = [after - before for before, after in pairwise(notes.asked)]
    return Split(
        every=every,
        lasted=lasts,
        alerts=len(happening),
        missing=len(happening) - len(ways),
        polls=percentile(gaps, 0.5) if gaps else every,
        answers_after=answer,
        parts=split(ways),
        whole=spread([way.whole for way in ways]),
    )


def split(ways: Sequence[Way]) -> tuple[Spread, ...]:
    """How each of PARTS is spread over *ways*."""
    return tuple(spread(part) for part in zip(*(way.parts for way in ways), strict=True))


# --- what happens


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that must be told."""

    event_id: str
    at: int
    visible: float

    def inner(self) -> dict[str, Any]:
        return {
            "eventID": self.event_id,
            "eventName": "DeleteBucket",
            "eventTime": self.at,
            "updateEsTime": round(self.visible * TICKS),
            "resourceType": "cos",
            "actionType": "Write",
            "errorCode": "0",
            "userIdentity": {"type": "CAMUser", "accountId": ACCOUNT, "userName": "ana"},
        }


def _alerting(draw: random.Random, begin: float, lasts: float, rate: float) -> Iterator[Happening]:
    for _ in range(round(rate * lasts)):
        at = int(begin + draw.random() * lasts)
        identity = str(uuid.UUID(int=draw.getrandbits(128), version=4))
        yield Happening(identity, at, at + draw.uniform(*VISIBLE_AFTER))


@contextmanager
def _emulator(folder: Path, seed: int, begin: float, lasts: float, happening: Sequence[Happening]) -> Iterator[str]:
    """An emulator in a process of its own, with ordinary traffic and *happening*; gives its endpoint."""
    draw = random.Random(f"{seed}:visible")
    with (folder / "events.jsonl").open("w", encoding="utf-8") as out:
        for event in ordinary(seed, begin - 600, begin + lasts, BACKGROUND, ACCOUNT):
            event["updateEsTime"] = round((event["eventTime"] + draw.uniform(*VISIBLE_AFTER)) * TICKS)
            out.write(json.dumps(event, ensure_ascii=False) + "\n")
        for one in happening:
            out.write(json.dumps(one.inner()) + "\n")
    command = [sys.executable, "-m", "engine.cli", "emulator", "--port", "0", "--account", ACCOUNT]
    command += ["--visibility-delay", "0", "--secret-id", KEY.secret_id, "--secret-key", KEY.secret_key]
    command += ["--events", str(folder / "events.jsonl")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


class Receiver:
    """A webhook receiver over HTTP that takes its time; *seen* are the ids that it has answered."""

    def __init__(self, answer: float) -> None:
        self.seen: list[str] = []
        self._answer = answer
        self._server = Server(Starlette(routes=[WebRoute("/", self._take, methods=["POST"])]), "127.0.0.1", 0)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def settings(self) -> Settings:
        url = SecretStr(f"http://127.0.0.1:{self._server.address[1]}/")
        return Settings(url=url, unsigned=True, allow_http=True, allow_hosts=["127.0.0.1"])

    async def _take(self, request: Request) -> Response:
        await request.body()
        await asyncio.sleep(self._answer)
        self.seen.append(request.headers["webhook-id"])
        return Response(status_code=204)


def _service(store: SqliteStore, source: NotingSource, notifier: Notifier, folder: Path, every: timedelta) -> Service:
    (folder / "bucket_deleted.yaml").write_text(RULE, encoding="utf-8")
    rules = packs.load(["builtin:tencent", str(folder / "bucket_deleted.yaml")])
    policy = Policy(rules, (Route(("hook",)),))
    kind = kinds.kind(source.kind, redaction_key=store.redaction_key())
    hour, day = timedelta(hours=1), timedelta(days=1)
    watched = Watched(source, kind, every, hour, hour, day, reach=Between(timedelta(minutes=5), hour))
    return Service(
        Parts(
            store=store,
            policy=policy,
            watched=[watched],
            destinations={"hook": notifier},
            mutes=lambda _: [],
            reload=lambda: policy,
            rules_changed=lambda: False,
            upkeep=Upkeep(8 * day, 90 * day),
            end=lambda _: None,
        )
    )


# --- what is noted


@dataclass(slots=True)
class Notes:
    """When what was seen to happen, epoch seconds; by delivery where nothing else is said."""

    answered: list[str]
    asked: list[float] = field(default_factory=list)  # the beginnings of polls
    pages: list[tuple[float, Page]] = field(default_factory=list)  # read later: reading them takes time
    event_of: dict[str, str] = field(default_factory=dict)  # of deliveries of our rule
    queued: dict[str, float] = field(default_factory=dict)
    claimed: dict[str, float] = field(default_factory=dict)
    delivered: dict[str, float] = field(default_factory=dict)

    def ways(self, happening: Sequence[Happening]) -> list[Way]:
        """The ways of those that have arrived."""
        fetched = first_seen(self.pages)
        by_event = {event: delivery for delivery, event in self.event_of.items() if delivery in self.delivered}
        return [
            Way(
                event=float(one.at),
                visible=one.visible,
                fetched=fetched[one.event_id],
                queued=self.queued[delivery],
                claimed=self.claimed[delivery],
                delivered=self.delivered[delivery],
            )
            for one in happening
            if (delivery := by_event.get(one.event_id)) is not None
        ]


def first_seen(pages: Sequence[tuple[float, Page]]) -> Mapping[str, float]:
    """When each event first came, by its id."""
    found: dict[str, float] = {}
    for at, page in pages:
        for record in page.records:
            found.setdefault(json.loads(record.raw)["EventId"], at)
    return found


class NotingSource:
    """A `Source` that notes when it was asked and when each page came."""

    def __init__(self, source: TencentCloudAudit, notes: Notes) -> None:
        self.name, self.kind = source.name, source.kind
        self._source = source
        self._notes = notes

    def fetch(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        self._notes.asked.append(time.time())
        for page in self._source.fetch(since, until):
            self._notes.pages.append((time.time(), page))
            yield page

    def coverage(self) -> Coverage | None:
        return None

    def close(self) -> None:
        self._source.close()


class NotingStore(SqliteStore):
    """The store, noting when a delivery was committed and when it was claimed."""

    notes: Notes

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        queued: list[str] = []
        with super().transaction() as tx:
            queue = tx.queue

            def noting(delivery_id: str, *given: Any) -> None:
                queued.append(delivery_id)
                queue(delivery_id, *given)

            tx.__dict__["queue"] = noting
            yield tx
        now = time.time()
        for delivery_id in queued:
            self.notes.queued.setdefault(delivery_id, now)

    def claim(self, *given: Any, **named: Any) -> Delivery | None:
        delivery = super().claim(*given, **named)
        if delivery is not None:
            self.notes.claimed.setdefault(delivery.id, time.time())
        return delivery


class NotingNotifier:
    """A notifier that notes when the receiver has answered."""

    def __init__(self, notifier: Notifier, notes: Notes) -> None:
        self._notifier = notifier
        self._notes = notes

    @property
    def pace(self) -> timedelta:
        return self._notifier.pace

    def send(self, delivery: Delivery) -> Outcome:
        outcome = self._notifier.send(delivery)
        now = time.time()
        if delivery.alert.rule_id == RULE_ID and delivery.id in self._notes.answered:
            self._notes.event_of[delivery.id] = delivery.alert.event_ids[0]
            self._notes.delivered.setdefault(delivery.id, now)
        return outcome

    def preview(self, delivery: Delivery) -> str:
        return self._notifier.preview(delivery)

    def close(self) -> None:
        self._notifier.close()
