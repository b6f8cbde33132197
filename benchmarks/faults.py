"""
The figures of reliability, R1 to R11, printed with what they were measured on: `scripts/bench faults`.

R1, R2, R3, R8, R9 and R10 come from the simulator; R4 and R5 from `benchmarks.crashpoints`, which needs strace; R6, R7
and R8's memory from the real service. R11 belongs to the stores and is printed by `scripts/bench stores`.

Each figure is printed when it is there. A full run also writes them into docs/performance.md, at its end.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Final
from unittest.mock import patch

import click
from structlog.testing import capture_logs

from benchmarks import page
from benchmarks.simulator import DAY, EVERY, HISTORY, HOUR, Misfortune, Result, World, simulate
from engine import kinds
from engine.coverage import Coverage
from engine.event import Cursor, Page
from engine.pipeline import Policy
from engine.rule import RuleSet
from engine.service import Parts, Service, Upkeep, Watched
from engine.store.sqlite import open_store

STEPPED_EVERY: Final = 2.0  # seconds between two polls of the service whose clock is set

STEPS: dict[str, float] = {
    "-1 h (also the end of daylight saving, if the clock ran on it)": -HOUR,
    "+1 h (also its beginning)": HOUR,
    "-1 s (a leap second)": -1.0,
    "+30 d": 30 * DAY,
    "-30 d": -30 * DAY,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """What the program holds at a moment of a long run. Megabytes are of 10⁶ bytes."""

    day: float
    memory: float  # of the whole process: resident
    store: float  # the database with its log
    descriptors: int


@dataclass(frozen=True, slots=True)
class Soak:
    """A long run, and what it held at each moment that was asked for, in order."""

    result: Result
    marks: tuple[Mark, ...]

    def growth(self, since: float) -> float:
        """How much more memory at the end than at the first mark from day *since* on, as a share of that."""
        first = next(mark for mark in self.marks if mark.day >= since)
        return self.marks[-1].memory / first.memory - 1


@dataclass(frozen=True, slots=True)
class Stepped:
    """A real service whose clock was set while it ran. Memory in megabytes; *gap* in its own intervals."""

    gap: float  # the longest time between two polls, from before the step on
    more_memory: float  # the most after the step over what was before it


def worlds(seeds: range, *, events: int, days: float, bad: Misfortune) -> Iterator[Result]:
    """One world for each seed, one after the other, each in a folder that is gone when it is over."""
    for seed in seeds:
        with a_folder() as folder:
            yield simulate(folder, seed, events=events, days=days, bad=bad)


def soak(*, events: int, days: float, at: tuple[float, ...], seed: int = 1, history: timedelta = HISTORY) -> Soak:
    """
    One long world without crashes, and what the program holds on the days *at* (the last is the end).

    It runs in a fresh process, and the cloud and the destinations remember in another: what is measured is the program
    alone, and no memory that something earlier left free hides its growth.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(_soak, events, days, at, seed, history).result()


def _soak(events: int, days: float, at: tuple[float, ...], seed: int, history: timedelta) -> Soak:
    with a_folder() as folder:
        bad = Misfortune(crash=0.0)
        world = World(folder, seed, events=events, days=days, bad=bad, apart=True, history=history)
        marks: list[Mark] = []
        left = sorted(at)

        def note(done: float) -> None:
            while left and done * days >= left[0]:
                size = sum(path.stat().st_size for path in folder.glob("world-*")) / 1e6
                marks.append(Mark(left.pop(0), _memory(), size, _descriptors()))

        return Soak(world.run(on_step=note), tuple(marks))


class Idle:
    """A `Source` without events that notes when it was asked, by monotonic time."""

    name = "idle"
    kind = "tencent.cloudaudit"

    def __init__(self) -> None:
        self.asked: list[float] = []

    def fetch(self, _since: Cursor | None, until: datetime) -> Iterator[Page]:
        self.asked.append(time.monotonic())
        yield Page((), Cursor(until))

    def coverage(self) -> Coverage | None:
        return None

    def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True)
class Turned:
    """A wall clock that can be set."""

    off: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.off

    def as_datetime(self) -> type[datetime]:
        """`datetime` whose `now` is this clock's: for the scheduler, which asks no other."""
        clock = self

        class Now(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Now:
                return cls.fromtimestamp(clock(), tz)

        return Now


def stepped(off: float, *, seconds: float = 12.0) -> Stepped:
    """The real service with its real scheduler; after three seconds its clock is set by *off*, and *seconds* follow."""
    clock, source = Turned(), Idle()
    now = clock.as_datetime()
    with (
        patch("apscheduler.schedulers.base.datetime", now),
        patch("apscheduler.executors.base.datetime", now),
        closing(open_store(":memory:")) as store,
        capture_logs(),
    ):
        kind = kinds.kind(source.kind, redaction_key=store.redaction_key())
        every, day = timedelta(seconds=STEPPED_EVERY), timedelta(days=1)
        policy = Policy(RuleSet(()))
        service = Service(
            Parts(
                store=store,
                policy=policy,
                watched=[Watched(source, kind, every, timedelta(minutes=15), timedelta(hours=1), day)],
                destinations={},
                mutes=lambda _: [],
                reload=lambda: policy,
                rules_changed=lambda: False,
                upkeep=Upkeep(8 * day, 90 * day),
                clock=clock,
                end=lambda _: None,
            )
        )
        running = threading.Thread(target=service.run, daemon=True)
        running.start()
        time.sleep(3.0)
        before, polls = _memory(), len(source.asked)
        clock.off = off
        most, until = before, time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.05)
            most = max(most, _memory())
        service.stop()
        running.join()
    times = [*source.asked[polls - 1 :], until]
    return Stepped(max(b - a for a, b in pairwise(times)) / STEPPED_EVERY, most - before)


def restart_seconds(folder: Path) -> float:
    """From starting the program to its first poll of the emulator having come through, on a store that exists."""
    from benchmarks.crashpoints import Scene

    with Scene(folder) as scene:
        scene.happen(1)
        scene.once()
        began = time.monotonic()
        asked = scene.cloud.requests["DescribeEvents"]
        service = scene.start()
        while scene.cloud.requests["DescribeEvents"] == asked and time.monotonic() - began < 60:
            time.sleep(0.01)
        seconds = time.monotonic() - began
        service.send_signal(signal.SIGTERM)
        service.wait(timeout=20)
        return seconds


@dataclass(slots=True)
class Report:
    """Figures, each printed as soon as it is there and kept for the page."""

    rows: list[tuple[str, str]] = field(default_factory=list)

    def say(self, figure: str, text: str) -> None:
        click.echo(f"{figure:4} {text}")
        self.rows.append((figure, text))

    def bad_seeds(self, results: list[Result]) -> None:
        for result in results:
            if not result.good:
                self.say("", f"seed {result.seed} is not good: {result}")


def run(
    *,
    seeds: int = 200,
    events: int = 5_000,
    soak_events: int = 1_000_000,
    soak_days: float = 1.0,
    crash_every: int = 1,
) -> Report:
    """Every figure, printed. *crash_every*: each how many-th crash point is tried; 1 tries them all."""
    report = Report()
    say = report.say
    everything = Misfortune()
    harmless = Misfortune(crash=0.0, ambiguous=0.0)
    results = list(worlds(range(1, seeds + 1), events=events, days=2.0, bad=everything))
    say(
        "R1",
        f"{sum(r.events for r in results):,} events, seeds 1 to {seeds}:"
        f" {sum(r.wanted for r in results):,} to be told, {sum(r.lost for r in results)} lost,"
        f" {sum(r.imbalance for r in results)} matches without exactly one outcome",
    )
    report.bad_seeds(results)
    calm = list(worlds(range(1, seeds + 1), events=events, days=2.0, bad=harmless))
    say(
        "R2",
        f"the same without crashes and ambiguous sends: {sum(r.repeated for r in calm)} repeated,"
        f" {sum(r.lost for r in calm)} lost",
    )
    report.bad_seeds(calm)
    crashes, ambiguous = sum(r.crashes for r in results), sum(r.ambiguous for r in results)
    say(
        "R3",
        f"{sum(r.repeated for r in results)} repeated sends after {crashes:,} crashes and {ambiguous:,} sends without"
        f" an answer, {sum(r.unexcused for r in results)} of them beyond one for each,"
        f" {sum(r.other_ids for r in results)} under another id",
    )
    _crash_points(crash_every, report)
    with tempfile.TemporaryDirectory() as folder:
        say("R6", f"{restart_seconds(Path(folder)):.2f} s from start to the first poll")
    say("R7", "the watchdog's limit is two ticks or 5 s, then exit 70: tests/path/test_faults_watch.py")
    _clock_steps(min(events, 3_000), report)
    marks = (soak_days / 10, soak_days)
    long = soak(events=soak_events, days=soak_days, at=marks)
    warm, end = long.marks
    say(
        "R9",
        f"{soak_days:g} simulated days, {long.result.events:,} events, {long.result.polls:,} polls: memory"
        f" {warm.memory:.1f} MB after a tenth, {end.memory:.1f} MB at the end ({long.growth(0):+.1%}),"
        f" descriptors {warm.descriptors} → {end.descriptors}, store {end.store:.1f} MB,"
        f" {long.result.lost} lost, {long.result.unexcused} repeated without an excuse",
    )
    report.bad_seeds([long.result])
    say(
        "R10",
        f"{sum(r.malformed for r in results):,} broken records among R1's: {sum(r.malformed_lost for r in results)}"
        f" missing from the quarantine, {sum(r.unwanted for r in results)} alerts that nobody was due",
    )
    say("R11", "see `scripts/bench stores`")
    return report


def _clock_steps(events: int, report: Report) -> None:
    stepped(0.0, seconds=1.0)  # whatever the first service of a process loads is not the step's
    for name, off in STEPS.items():
        bad = Misfortune(crash=0.0, source_fails=0.0, source_away=0.0, clock_steps=(off,))
        results = list(worlds(range(1, 11), events=events, days=4.0, bad=bad))
        real = stepped(off)
        report.say(
            "R8",
            f"clock steps {name}: {sum(r.lost for r in results)} lost, {sum(r.unexcused for r in results)} repeated,"
            f" at most {max(r.first_look_late for r in results) / EVERY:.1f} intervals between two polls; in a real"
            f" service {real.gap:.1f} intervals and {real.more_memory:+.1f} MB",
        )
        report.bad_seeds(results)


def _crash_points(every: int, report: Report) -> None:
    from benchmarks import crashpoints

    if not crashpoints.available():
        report.say("R4", "not measured: strace is not installed (apt-get install strace)")
        report.say("R5", "not measured: strace is not installed (apt-get install strace)")
        return
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # it tells of each client that died in a request
    with tempfile.TemporaryDirectory() as folder:
        kills = crashpoints.kills(Path(folder), every=every)
    report.say("R4", f"SIGKILL at {_how_many(every)}: {kills}")
    with tempfile.TemporaryDirectory() as folder:
        errors = crashpoints.errors(Path(folder), every=every)
    report.say("R5", f"an error at {_how_many(every)}: {errors}")


def _how_many(every: int) -> str:
    return "every call" if every == 1 else f"each {every}th call of each name"


def write(report: Report, machine: str) -> None:
    """Put the figures into docs/performance.md."""
    page.write("faults", f"Measured on {machine}.\n\n{page.table(('', 'what came of it'), report.rows)}")


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder in memory where there is one: these runs are about order and loss, not about disks."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def _memory() -> float:
    """Megabytes of this process now."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux: the most it ever was has to do
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0
