"""
Six hours in which the source, or the destinations, are away: how long until everything is told once they are back?

Twelve simulated hours of `benchmarks.simulator`, in which nothing but that goes wrong. The path and the store (on a
disk) are the real ones; waiting is skipped, and the clock goes on by what takes time:

- a page of the source: the twentieth of a second that the API's limit of 20 requests a second asks for;
- a send: the time of an answer, and after it the pace that the real notifier asks for (Slack: two messages for each
  alert, one a second to a channel);
- Tocsin's own work, by the stopwatch.

Polls and sends of both destinations take turns here, where the service does them at the same time: what is measured is
an upper bound.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from pydantic import SecretStr

from benchmarks.simulator import BEGIN, HOUR, OVERLAP, Cloud, Destination, Misfortune, Wall, World
from engine.coverage import Coverage
from engine.delivery import Delivery, Outcome
from engine.errors import SourceError
from engine.event import Cursor, Page
from engine.pipeline import poll
from engine.sending import deliver

CALM: Final = Misfortune(
    late=0.0,
    very_late=0.0,
    malformed=0.0,
    future=0.0,
    source_fails=0.0,
    source_away=0.0,
    send_fails=0.0,
    ambiguous=0.0,
    destination_away=0.0,
    crash=0.0,
)
EVERY: Final = 60.0
PAGE_SECONDS: Final = 1 / 20  # the API's limit
ANSWER_SECONDS: Final = 0.05  # of a destination
AWAY: Final = (BEGIN + 2 * HOUR, BEGIN + 8 * HOUR)
DAYS: Final = 0.5
Part = Literal["source", "destinations"]
PARTS: Final[tuple[Part, ...]] = ("source", "destinations")


@dataclass(frozen=True, slots=True)
class Drained:
    """What one destination got of what had piled up. Times are seconds after the return."""

    name: str
    alerts: int
    first: float
    last: float
    attempts_while_away: int


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage: *caught_up* is when the first poll after the return was over."""

    away: Part
    events: int  # that the outage piled up, repeats included, where the source was away
    caught_up: float
    drained: tuple[Drained, ...]
    lost: int
    repeated: int


@dataclass(slots=True)
class Slow:
    """A `Source` of which each page takes its time."""

    cloud: Cloud
    wall: Wall
    name: str = Cloud.name
    kind: str = Cloud.kind
    records: int = 0  # of the poll that is under way, or the last one

    def fetch(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        self.records = 0
        for page in self.cloud.fetch(since, until):
            self.wall.true += PAGE_SECONDS
            self.records += len(page.records)
            yield page

    def coverage(self) -> Coverage | None:
        return None

    def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class Paced:
    """A destination of which each send takes its time; *arrivals* are (queued, arrived)."""

    destination: Destination
    wall: Wall
    pace: timedelta
    free_at: float = 0.0
    attempts_while_away: int = 0
    arrivals: list[tuple[float, float]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.destination.name

    def send(self, delivery: Delivery) -> Outcome:
        self.attempts_while_away += any(begin <= self.wall.true < end for begin, end in self.destination.away)
        before = sum(self.destination.arrived.values())
        outcome = self.destination.send(delivery)
        self.wall.true += ANSWER_SECONDS
        if sum(self.destination.arrived.values()) > before:
            self.arrivals.append((delivery.queued, self.wall.true))
        return outcome

    def preview(self, delivery: Delivery) -> str:
        return self.destination.preview(delivery)

    def close(self) -> None:
        """Nothing to close."""


def run(folder: Path, away: Part, *, events: int = 21_600, seed: int = 1) -> Outage:
    """*events* over twelve hours, and *away* away for six of them, after the second hour."""
    world = World(folder, seed, events=events, days=DAYS, bad=CALM)
    assert isinstance(world.cloud, Cloud)
    source = Slow(world.cloud, world.wall)
    destinations = [
        Paced(one, world.wall, pace) for one, pace in zip(world.destinations, (timedelta(0), slack_pace()), strict=True)
    ]
    if away == "source":
        world.cloud.away = [AWAY]
    else:
        for one in world.destinations:
            one.away = [AWAY]
    next_poll, end = float(BEGIN), BEGIN + DAYS * 24 * HOUR + HOUR
    back = AWAY[1]
    caught_up, piled_up = back, 0
    while world.wall.true < end:
        moments = [(next_poll, -1), *((_next(world, one), n) for n, one in enumerate(destinations))]
        moment, who = min(moments)
        world.wall.true = max(world.wall.true, moment)
        if who >= 0:
            _send(world, destinations[who])
            continue
        next_poll = world.wall.true + EVERY
        came_through = _poll(world, source)
        if came_through and caught_up == back < world.wall.true:
            caught_up, piled_up = world.wall.true, source.records
    result = world.finish()
    until = caught_up if away == "source" else back
    return Outage(
        away=away,
        events=piled_up,
        caught_up=caught_up - back,
        drained=tuple(drained(one.name, one.arrivals, back, until, one.attempts_while_away) for one in destinations),
        lost=result.lost + result.imbalance,
        repeated=result.repeated,
    )


def drained(
    name: str, arrivals: list[tuple[float, float]], back: float, queued_until: float, attempts_while_away: int
) -> Drained:
    """What of (queued, arrived) had piled up: it was queued until *queued_until* and arrived after *back*."""
    times = [arrived - back for queued, arrived in arrivals if queued <= queued_until and arrived > back]
    if not times:
        return Drained(name, 0, 0.0, 0.0, attempts_while_away)
    return Drained(name, len(times), min(times), max(times), attempts_while_away)


def slack_pace() -> timedelta:
    """What the real Slack notifier waits between two alerts."""
    from notifiers.slack import Bot, Settings

    bot = Bot("pace", Settings(token=SecretStr("xoxb-0-not-a-token"), channel="C0123456789"))
    pace = bot.pace
    bot.close()
    return pace


def _next(world: World, one: Paced) -> float:
    """When `engine.service.Sender` would look for the next message: it is due, and the last one is far enough."""
    due = world.store.next_due(one.name)
    return float("inf") if due is None else max(due, one.free_at)


def _send(world: World, one: Paced) -> None:
    began = time.perf_counter()
    deliver(one, one.name, world.store, clock=world.wall, chance=random.Random(world.wall.true).random)
    world.wall.true += time.perf_counter() - began
    one.free_at = world.wall.true + one.pace.total_seconds()


def _poll(world: World, source: Slow) -> bool:
    began = time.perf_counter()
    try:
        poll(source, world.kind, world.policy, world.store, clock=world.wall, overlap=OVERLAP)
        came_through = True
    except SourceError as error:
        world.store.source_failed(source.name, str(error), world.wall())
        came_through = False
    world.wall.true += time.perf_counter() - began
    return came_through
