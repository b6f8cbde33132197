"""
A simulated month in seconds: the real path and the real store, in a world that goes wrong in every way it can.

Theory of operation. Time is a number that the loop moves on; chance is one seeded generator; so a seed is a story that
can be told again exactly. Real are `engine.pipeline.poll`, `engine.sending.deliver`, the decoder, the rules and the
SQLite store on its file. Simulated are the cloud (a list of events with the moment each becomes visible) and the
destinations (they remember what reached them). The world knows which (rule, event) must be told, and at the end asks
the store's ledger and the destinations whether each was, once.

What goes wrong: events become visible late, very late (for the second look), twice, in any order, many in one second,
dated in the future, or are no events at all; the source fails between any two pages, or for hours; a destination fails,
asks for patience, is away for hours, or says nothing after the message has left; the clock steps; the process dies
before or after any statement that it gives to the database, and before or after a message arrives.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any, Final, cast

from engine import kinds, packs
from engine.coverage import Coverage
from engine.delivery import Delivered, Delivery, Outcome, TryLater
from engine.errors import Place, SourceError
from engine.event import Cursor, Page, Record
from engine.expression import parse
from engine.pipeline import Policy, poll
from engine.route import Route
from engine.sending import deliver
from engine.store.sqlite import SqliteStore, open_store
from engine.wallclock import LONG, STEP, back_from_the_future, shifted

BEGIN: Final = 1_790_000_000  # the first moment, epoch seconds
HOUR: Final = 3600.0
DAY: Final = 86_400.0
ACCOUNT: Final = "100000000001"
EVERY: Final = 300.0
OVERLAP: Final = timedelta(minutes=15)
SECOND_LOOK_EVERY: Final = 6 * HOUR
SECOND_LOOK: Final = timedelta(hours=24)
SEEN, HISTORY = timedelta(days=8), timedelta(days=90)
PAGE: Final = 50
SINGLE, GROUPED = "sim.bucket_deleted", "sim.sign_in_denied"
RULES: Final = f"""
id: {SINGLE}
title: "{{norm.actor}} deleted a bucket"
severity: critical
status: stable
kind: tencent.cloudaudit
description: Each event is its own story.
match: eventName == 'DeleteBucket'
---
id: {GROUPED}
title: "{{norm.actor}} could not sign in"
severity: low
status: stable
kind: tencent.cloudaudit
description: One story for each person, an hour long.
match: eventName == 'ConsoleLogin' && norm.outcome != 'ok'
group_by: [norm.actor]
quiet: 1h
"""


class Crash(BaseException):
    """The process died here: no `except Exception` may see it."""


@dataclass(frozen=True, slots=True)
class Misfortune:
    """How often what goes wrong. Shares are of events, of polls or of sends; times are seconds."""

    late: float = 0.2
    lateness: float = OVERLAP.total_seconds()
    very_late: float = 0.02  # later than the overlap: only the second look finds them
    repeated: float = 0.1
    same_second: float = 0.1
    malformed: float = 0.01
    future: float = 0.01
    source_fails: float = 0.05
    source_away: float = 0.25  # chance of an outage of up to 6 hours, each day
    send_fails: float = 0.1
    ambiguous: float = 0.03  # of sends; half of those messages have arrived
    destination_away: float = 0.25  # chance of an outage of up to 6 hours, each day
    crash: float = 0.02  # of steps: a poll or a round of sending
    clock_steps: Sequence[float] = ()  # each is put in force once, for up to two hours; 0 is the right time


@dataclass(frozen=True, slots=True)
class Result:
    """
    What became of one world.

    *repeated* are sends beyond the first of an id; *unexcused* those of them that no crash and no lost answer explains.
    """

    seed: int
    events: int
    wanted: int
    lost: int
    unwanted: int
    repeated: int
    unexcused: int
    other_ids: int  # (rule, event, destination) told under two ids
    imbalance: int  # matches without exactly one verdict
    malformed: int
    malformed_lost: int
    crashes: int
    ambiguous: int
    polls: int
    days: float
    first_look_late: float  # the longest time between two polls that came through while the cloud was there, seconds
    seconds: float

    @property
    def good(self) -> bool:
        """Nothing lost, nothing said twice without an excuse, every match accounted for."""
        return not any((self.lost, self.unwanted, self.unexcused, self.other_ids, self.imbalance, self.malformed_lost))


@dataclass(slots=True)
class Wall:
    """The clock that the program sees: true time and what it is off by."""

    true: float = float(BEGIN)
    off: float = 0.0

    def __call__(self) -> float:
        return self.true + self.off


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One record in the cloud: the time it carries, when it becomes visible, its bytes."""

    at: int
    visible: float
    raw: bytes = field(compare=False)


class Cloud:
    """`engine.sources.Source` over a list of events. Windows are closed at both ends, pages come in any order."""

    name = "sim"
    kind = "tencent.cloudaudit"

    def __init__(self, entries: Sequence[Entry], wall: Wall, draw: random.Random, fails: float) -> None:
        self._entries = sorted(entries)
        self._times = [entry.at for entry in self._entries]
        self._wall = wall
        self._draw = draw
        self.fails = fails
        self.away: list[tuple[float, float]] = []

    def fetch(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        start = since.until.timestamp() if since else until.timestamp() - HOUR
        if any(begin <= self._wall.true < end for begin, end in self.away):
            raise SourceError("the simulated cloud is away")
        breaks_at = self._draw.randrange(3) if self._draw.random() < self.fails else None
        found = [
            entry
            for entry in self._entries[
                bisect_left(self._times, int(start)) : bisect_right(self._times, until.timestamp())
            ]
            if entry.visible <= self._wall.true
        ]
        self._draw.shuffle(found)
        pages = [found[i : i + PAGE] for i in range(0, len(found), PAGE)] or [[]]
        for number, page in enumerate(pages):
            if number == breaks_at:
                raise SourceError("the simulated cloud broke off")
            last = number == len(pages) - 1
            yield Page(tuple(Record(entry.raw, "sim") for entry in page), Cursor(until) if last else None)

    def coverage(self) -> Coverage | None:
        return None

    def close(self) -> None:
        """Nothing to close."""


class Destination:
    """An `engine.delivery.Notifier` that remembers what reached it, and may die with the process before or after."""

    pace = timedelta(0)

    def __init__(self, name: str, wall: Wall, draw: random.Random, bad: Misfortune) -> None:
        self.name = name
        self.wall = wall
        self.draw = draw
        self.bad: Misfortune | None = bad
        self.away: list[tuple[float, float]] = []
        self.arrived: Counter[str] = Counter()  # by delivery id
        self.excused: Counter[str] = Counter()  # repeats that a fault explains
        self.ids: dict[tuple[str, str], set[str]] = {}  # (rule, event) -> delivery ids
        self.alerts: set[str] = set()
        self.unrecorded = ""  # the id that arrived and whose outcome is not in the store yet
        self.crash_next = False
        self.ambiguous = 0

    def send(self, delivery: Delivery) -> Outcome:
        if self.crash_next:
            self.crash_next = False
            if self.draw.random() < 0.5:
                self._arrive(delivery)
            raise Crash
        if self.bad is None:
            return self._arrive(delivery)
        if any(begin <= self.wall.true < end for begin, end in self.away):
            return TryLater("HTTP 503", after=timedelta(seconds=30) if self.draw.random() < 0.2 else None)
        chance = self.draw.random()
        if chance < self.bad.ambiguous:
            self.ambiguous += 1
            if self.draw.random() < 0.5:
                self._arrive(delivery)
                self.excused[delivery.id] += 1
            return TryLater("no answer", ambiguous=True)
        if chance < self.bad.ambiguous + self.bad.send_fails:
            return TryLater("HTTP 500")
        return self._arrive(delivery)

    def _arrive(self, delivery: Delivery) -> Outcome:
        self.arrived[delivery.id] += 1
        self.unrecorded = delivery.id
        self.alerts.add(delivery.alert.id)
        for event in delivery.alert.event_ids:
            self.ids.setdefault((delivery.alert.rule_id, event), set()).add(delivery.id)
        return Delivered()

    def preview(self, delivery: Delivery) -> str:
        return delivery.id

    def close(self) -> None:
        """Nothing to close."""


class Mortal:
    """
    A database connection whose process dies before or after the statement that *fuse* counts down to.

    After that nothing gets through any more, no ROLLBACK either: what was not committed is undone by the next opening,
    as it is after SIGKILL.
    """

    def __init__(self, connection: Any, draw: random.Random) -> None:
        self.connection = connection
        self.draw = draw
        self.fuse: int | None = None
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def execute(self, *statement: Any) -> Any:
        return self._run(self.connection.execute, statement)

    def executemany(self, *statement: Any) -> Any:
        return self._run(self.connection.executemany, statement)

    def _run(self, call: Any, statement: Any) -> Any:
        if self.dead:
            raise Crash
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.dead = True
                if self.draw.random() < 0.5:
                    call(*statement)
                raise Crash
        return call(*statement)


@dataclass(slots=True)
class Found:
    """What is known outside at the end: what was to be told, and all that was noted of it."""

    wanted: set[tuple[str, str]]  # (rule, event)
    malformed: int
    destinations: Sequence[Destination]
    forgotten: Mapping[tuple[str, str], Sequence[str]]  # the alert ids of verdicts that the program has forgotten
    malformed_forgotten: int


class Outside:
    """One seed: the cloud, the destinations, and what must be told. The time there is *wall*'s true time."""

    def __init__(self, seed: int, events: int, days: float, bad: Misfortune, wall: Wall) -> None:
        self.draw = random.Random(seed)
        self.bad = bad
        self.days = days
        self.number = events
        self.wall = wall
        self.wanted: set[tuple[str, str]] = set()
        self.malformed = self.malformed_forgotten = 0
        self.forgotten: dict[tuple[str, str], list[str]] = {}
        self.cloud = Cloud(list(self._events()), wall, self.draw, bad.source_fails)
        self.destinations = [Destination(name, wall, self.draw, bad) for name in ("hook", "chat")]
        self.cloud.away = list(self._outages(bad.source_away))
        for destination in self.destinations:
            destination.away = list(self._outages(bad.destination_away))
        self.steps = self._clock_steps()

    def heal(self) -> None:
        """From now on nothing goes wrong any more."""
        self.cloud.fails, self.cloud.away = 0.0, []
        for destination in self.destinations:
            destination.bad = None
            destination.crash_next = False

    def forget(self, verdicts: Iterable[tuple[str, str, str]], malformed: int) -> None:
        """The program forgets these (rule, event, alert) and so many broken records, as it was told to."""
        for rule_id, event_id, alert_id in verdicts:
            self.forgotten.setdefault((rule_id, event_id), []).append(alert_id)
        self.malformed_forgotten += malformed

    def found(self) -> Found:
        return Found(self.wanted, self.malformed, self.destinations, self.forgotten, self.malformed_forgotten)

    # --- what happens in the cloud

    def _events(self) -> Iterator[Entry]:
        draw, bad = self.draw, self.bad
        span = self.days * DAY
        at = BEGIN
        for _ in range(self.number):
            if draw.random() >= bad.same_second:
                at = int(BEGIN + draw.random() * span)
            visible = at + draw.uniform(2, 30)
            if draw.random() < bad.late:
                visible = at + draw.uniform(0, bad.lateness)
            elif draw.random() < bad.very_late:
                visible = at + draw.uniform(bad.lateness, 16 * HOUR)
            elif draw.random() < bad.future:
                visible = at - draw.uniform(0, 2 * HOUR)  # carries a time that is still to come
            if draw.random() < bad.malformed:
                self.malformed += 1
                yield Entry(at, visible, b'{"eventID": "%d", "eventName": ' % draw.getrandbits(64))
                continue
            event = self._event(at)
            yield Entry(at, visible, json.dumps(event).encode())
            if draw.random() < bad.repeated:  # the same event, not the same bytes
                copy = dict(sorted(event.items(), key=lambda _: draw.random()))
                yield Entry(at, visible + draw.uniform(0, bad.lateness / 2), json.dumps(copy, indent=1).encode())

    def _event(self, at: int) -> dict[str, Any]:
        draw = self.draw
        identity = str(uuid.UUID(int=draw.getrandbits(128), version=4))
        chance = draw.random()
        name, code = draw.choice(("DescribeInstances", "GetService", "RunInstances")), "0"
        if chance < 0.03:
            name = "DeleteBucket"
            self.wanted.add((SINGLE, identity))
        elif chance < 0.08:
            name, code = "ConsoleLogin", "AuthFailure"
            self.wanted.add((GROUPED, identity))
        return {
            "eventID": identity,
            "eventName": name,
            "eventTime": at,
            "eventVersion": 2,
            "actionType": "Write",
            "resourceType": "cos",
            "errorCode": draw.choice((code, 0)) if code == "0" else code,
            "userIdentity": {
                "type": "CAMUser",
                "accountId": ACCOUNT,
                "principalId": "100000000048",
                "userName": draw.choice(("ana", "bo", "cy")),
            },
            "sourceIPAddress": "203.0.113.7",
        }

    def _outages(self, a_day: float) -> Iterator[tuple[float, float]]:
        for day in range(int(self.days) + 1):
            if self.draw.random() < a_day:
                begin = BEGIN + (day + self.draw.random()) * DAY
                yield begin, begin + self.draw.uniform(60, 6 * HOUR)

    def _clock_steps(self) -> list[tuple[float, float]]:
        """(true moment, what the clock is off by from then on): each step is taken back within two hours."""
        steps: list[tuple[float, float]] = []
        for number, off in enumerate(self.bad.clock_steps):
            begin = BEGIN + (number + 0.2 + 0.4 * self.draw.random()) * self.days * DAY / len(self.bad.clock_steps)
            steps += [(begin, off), (begin + self.draw.uniform(600, 2 * HOUR), 0.0)]
        return steps


class Far:
    """`Outside` as another process asks for it: every question brings the time along."""

    def __init__(self, seed: int, events: int, days: float, bad: Misfortune) -> None:
        self._outside = Outside(seed, events, days, bad, Wall())
        self._pages: Iterator[Page] = iter(())

    def plan(self) -> list[tuple[float, float]]:
        """When the clock is set, and to what it is then off by."""
        return self._outside.steps

    def fetch(self, now: float, since: Cursor | None, until: datetime) -> None:
        self._outside.wall.true = now
        self._pages = self._outside.cloud.fetch(since, until)

    def page(self) -> Page | None:
        """The next page of what was asked for last; None after the last one."""
        return next(self._pages, None)

    def send(self, now: float, number: int, delivery: Delivery) -> Outcome:
        self._outside.wall.true = now
        return self._outside.destinations[number].send(delivery)

    def heal(self) -> None:
        self._outside.heal()

    def forget(self, verdicts: Sequence[tuple[str, str, str]], malformed: int) -> None:
        self._outside.forget(verdicts, malformed)

    def found(self) -> Found:
        return self._outside.found()


class _Elsewhere(BaseManager):
    """The process that holds a `Far`."""


_Elsewhere.register("Far", Far)


class FarCloud:
    """`engine.sources.Source` over the cloud of another process."""

    name = Cloud.name
    kind = Cloud.kind

    def __init__(self, far: Far, wall: Wall) -> None:
        self._far = far
        self._wall = wall

    def fetch(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        self._far.fetch(self._wall.true, since, until)
        while (page := self._far.page()) is not None:
            yield page

    def coverage(self) -> Coverage | None:
        return None

    def close(self) -> None:
        """Nothing to close."""


class FarDestination(Destination):
    """A destination that remembers in another process."""

    def __init__(self, name: str, wall: Wall, far: Far, number: int) -> None:
        super().__init__(name, wall, random.Random(0), Misfortune())
        self._far = far
        self._number = number

    def send(self, delivery: Delivery) -> Outcome:
        return self._far.send(self.wall.true, self._number, delivery)


class World:
    """
    One seed: what is outside, the store in *folder*, and the program between them.

    With *apart*, what is outside lives in another process, so that the memory of this one is the program's; its process
    cannot crash then. *history* is how long finished things are kept.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        events: int,
        days: float,
        bad: Misfortune,
        apart: bool = False,
        history: timedelta = HISTORY,
    ) -> None:
        self.seed = seed
        self.bad = bad
        self.days = days
        self.number = events
        self.history = history
        self.wall = Wall()
        self.ends = ExitStack()
        self.outside: Outside | Far
        self.cloud: Cloud | FarCloud
        self.destinations: Sequence[Destination]
        if apart:
            elsewhere = self.ends.enter_context(_Elsewhere(ctx=get_context("spawn")))
            self.outside = far = cast("Any", elsewhere).Far(seed, events, days, bad)
            self.draw = random.Random(seed)
            self.cloud = FarCloud(far, self.wall)
            self.destinations = [FarDestination(name, self.wall, far, n) for n, name in enumerate(("hook", "chat"))]
            self.steps = far.plan()
        else:
            self.outside = outside = Outside(seed, events, days, bad, self.wall)
            self.draw = outside.draw
            self.cloud, self.destinations = outside.cloud, outside.destinations
            self.steps = outside.steps
        self.file = str(folder / f"world-{seed}.db")
        rules = folder / "sim.yaml"
        paths = []
        for number, text in enumerate(RULES.split("---\n")):
            path = rules.with_name(f"sim-{number}.yaml")
            path.write_text(text, encoding="utf-8")
            paths.append(str(path))
        critical = parse("severity == 'critical'", place=Place("sim"), lists={})
        self.policy = Policy(packs.load(paths), (Route(("hook", "chat"), critical), Route(("hook",))))
        self.crashes = self.polls = 0
        self.last_poll: float | None = None
        self.longest_gap = 0.0
        self.last_upkeep = self.keep_all_until = 0.0
        self._open()

    # --- the process

    def _open(self) -> None:
        self.store: SqliteStore = open_store(self.file, hold=True)
        self.mortal = Mortal(self.store.connection, self.draw)
        self.store.connection = cast("Any", self.mortal)
        self.kind = kinds.kind("tencent.cloudaudit", redaction_key=self.store.redaction_key())
        self.store.shift_clock(0.0, self.wall())
        self.store.release(self.wall())

    def _restart(self) -> None:
        self.crashes += 1
        self.mortal.connection.close()  # what was not committed is undone
        self.store.close()
        for destination in self.destinations:
            destination.crash_next = False
            if destination.unrecorded:  # it arrived, the process died before it wrote so: one repeat is excused
                destination.excused[destination.unrecorded] += 1
                destination.unrecorded = ""
        self._open()

    def _maybe_crash(self) -> None:
        if self.draw.random() < self.bad.crash:
            if self.draw.random() < 0.5:
                self.mortal.fuse = self.draw.randrange(1, 120)
            else:
                self.draw.choice(self.destinations).crash_next = True

    def _poll(self, second_look: timedelta | None) -> None:
        self.polls += 1
        poll(
            self.cloud,
            self.kind,
            self.policy,
            self.store,
            clock=self.wall,
            overlap=OVERLAP,
            second_look=second_look,
        )
        if self.last_poll is not None:
            self.longest_gap = max(self.longest_gap, self.wall.true - self.last_poll)
        self.last_poll = self.wall.true

    def _look(self) -> None:
        """As `engine.service.SourceWorker.look` does it."""
        back_from_the_future(self.store, self.cloud.name, self.wall(), span=SECOND_LOOK, seen=SEEN)
        self._poll(None)
        last = self.store.source_state(self.cloud.name).last_second_look
        now = self.wall()
        if last is None:
            with self.store.transaction() as tx:
                tx.polled(self.cloud.name, now, new_events=0, second_look=True)
        elif now - last >= SECOND_LOOK_EVERY:
            self._poll(SECOND_LOOK)

    def _send(self) -> None:
        for destination in self.destinations:
            while deliver(destination, destination.name, self.store, clock=self.wall, chance=self.draw.random):
                destination.unrecorded = ""

    def _keep_up(self) -> None:
        """As `engine.service.Service` does it, once an hour; after a long step of the clock nothing is forgotten."""
        if self.wall.true - self.last_upkeep < HOUR or self.wall.true < self.keep_all_until:
            return
        self.last_upkeep = self.wall.true
        now = self.wall()
        horizon = now - SEEN.total_seconds()
        cursor = self.store.source_state(self.cloud.name).cursor
        if cursor is not None:
            horizon = min(horizon, (cursor.until - SECOND_LOOK - timedelta(days=1)).timestamp())
        history = now - self.history.total_seconds()
        ask = self.mortal.connection.execute  # past the fuse: the program itself does not look
        old = ask("SELECT rule_id, event_id, alert_id FROM verdicts WHERE at<?", (history,)).fetchall()
        ((broken,),) = ask("SELECT count(*) FROM quarantine WHERE at<?", (history,)).fetchall()
        self.store.expire(seen_before=horizon, history_before=history)
        if old or broken:
            self.outside.forget(old, broken)

    def _set_clock(self, off: float) -> None:
        """As `engine.service.Service.look_at_clock` answers it; steps of seconds go unseen there."""
        step, self.wall.off = off - self.wall.off, off
        if abs(step) <= STEP:
            return
        if step >= LONG:
            self.keep_all_until = self.wall.true + DAY
        shifted(self.store, step, self.wall(), seen=SEEN)

    def step(self) -> None:
        """One tick: a poll, upkeep, then five rounds of sending a minute apart."""
        while self.steps and self.steps[0][0] <= self.wall.true:
            self._set_clock(self.steps.pop(0)[1])
        self._maybe_crash()
        try:
            try:
                self._look()
            except SourceError as error:
                self.last_poll = None
                self.store.source_failed(self.cloud.name, str(error), self.wall())
            self._keep_up()
        except Crash:
            self._restart()
        for _ in range(5):
            try:
                self._send()
            except Crash:
                self._restart()
            self.wall.true += EVERY / 5
        self.mortal.fuse = None

    def heal(self) -> None:
        """From now on nothing goes wrong any more."""
        self.bad = Misfortune(crash=0.0)
        self.steps = []
        self._set_clock(0.0)
        self.outside.heal()

    def run(self, on_step: Callable[[float], None] = lambda _: None) -> Result:
        """
        The days of the plan, then one more in which everything works, and what came of it.

        *on_step* hears after each step how much of the plan is over, from 0 to 1.
        """
        began = time.monotonic()
        while self.wall.true < BEGIN + self.days * DAY:
            self.step()
            on_step((self.wall.true - BEGIN) / (self.days * DAY))
        self.heal()
        while self.wall.true < BEGIN + (self.days + 1) * DAY:
            self.step()
        return self.finish(time.monotonic() - began)

    def finish(self, seconds: float = 0.0) -> Result:
        """What came of it; everything is closed. *seconds* are what it took."""
        result = self._result(seconds)
        self.store.close()
        self.ends.close()
        return result

    # --- what came of it

    def _result(self, seconds: float) -> Result:
        lost = imbalance = 0
        found = self.outside.found()
        wanted, destinations = found.wanted, found.destinations
        by_name = {destination.name: destination for destination in destinations}
        for rule_id, event_id in wanted:
            kept = [v.alert_id for v, _ in self.store.verdicts(event_id) if v.rule_id == rule_id]
            alert_ids = [*kept, *found.forgotten.get((rule_id, event_id), ())]
            imbalance += len(alert_ids) != 1
            told_to = ("hook", "chat") if rule_id == SINGLE else ("hook",)
            lost += not (alert_ids and all(alert_ids[0] in by_name[name].alerts for name in told_to))
        matches = self.store.counts()["matches"] + sum(map(len, found.forgotten.values()))
        told = {pair for destination in destinations for pair in destination.ids}
        return Result(
            seed=self.seed,
            events=self.number,
            wanted=len(wanted),
            lost=lost,
            unwanted=len(told - wanted),
            repeated=sum(n - 1 for d in destinations for n in d.arrived.values()),
            unexcused=sum(max(0, n - 1 - d.excused[i]) for d in destinations for i, n in d.arrived.items()),
            other_ids=sum(len(ids) > 1 for d in destinations for ids in d.ids.values()),
            imbalance=imbalance + abs(matches - len(wanted)),
            malformed=found.malformed,
            malformed_lost=found.malformed - found.malformed_forgotten - self.store.counts()["quarantined"],
            crashes=self.crashes,
            ambiguous=sum(d.ambiguous for d in destinations),
            polls=self.polls,
            days=self.days,
            first_look_late=self.longest_gap,
            seconds=seconds,
        )


def simulate(
    folder: Path, seed: int, *, events: int = 5_000, days: float = 2.0, bad: Misfortune | None = None
) -> Result:
    """One world from its first day to its last, with its store in *folder*."""
    return World(folder, seed, events=events, days=days, bad=bad or Misfortune()).run()
