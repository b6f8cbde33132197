"""
The figures of reliability, R1 to R11, printed with what they were measured on: `scripts/bench faults`.

R1, R2, R3, R8, R9 and R10 come from the simulator; R4 and R5 from `benchmarks.crashpoints`, which needs strace; R6 and
R7 from the real process. R11 belongs to the stores and is printed by `scripts/bench stores`.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.simulator import DAY, HOUR, Misfortune, Result, World, simulate

STEPS: dict[str, float] = {
    "-1 h (also the end of daylight saving, if the clock ran on it)": -HOUR,
    "+1 h (also its beginning)": HOUR,
    "-1 s (a leap second)": -1.0,
    "+30 d": 30 * DAY,
    "-30 d": -30 * DAY,
}


@dataclass(frozen=True, slots=True)
class Soak:
    """What a long run left behind. Memory is that of the whole process, megabytes."""

    result: Result
    memory_after_a_tenth: float
    memory_at_end: float
    descriptors_before: int
    descriptors_after: int
    store_megabytes: float


def worlds(seeds: range, *, events: int, days: float, bad: Misfortune) -> Iterator[Result]:
    """One world for each seed, one after the other, each in a folder that is gone when it is over."""
    for seed in seeds:
        with _folder() as folder:
            yield simulate(folder, seed, events=events, days=days, bad=bad)


def soak(*, events: int, days: float, seed: int = 1) -> Soak:
    """One long world, with what the process holds before and after."""
    with _folder() as folder:
        world = World(folder, seed, events=events, days=days, bad=Misfortune(crash=0.0))
        before = _descriptors()
        warm = 0.0

        def note(done: float) -> None:
            nonlocal warm
            if not warm and done >= 0.1:
                warm = _memory()

        result = world.run(on_step=note)
        size = sum(path.stat().st_size for path in folder.glob("world-*")) / 1e6
        return Soak(result, warm, _memory(), before, _descriptors(), size)


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


def run(*, seeds: int = 200, events: int = 5_000, soak_events: int = 100_000, crash_every: int = 10) -> None:
    """Print every figure. *crash_every*: each how many-th crash point is tried; 1 tries them all."""
    everything = Misfortune()
    harmless = Misfortune(crash=0.0, ambiguous=0.0)
    results = list(worlds(range(1, seeds + 1), events=events, days=2.0, bad=everything))
    _say(
        "R1",
        f"{sum(r.events for r in results):,} events, seeds 1 to {seeds}:"
        f" {sum(r.wanted for r in results):,} to be told, {sum(r.lost for r in results)} lost,"
        f" {sum(r.imbalance for r in results)} matches without exactly one outcome",
    )
    _bad_seeds(results)
    calm = list(worlds(range(1, seeds + 1), events=events, days=2.0, bad=harmless))
    _say(
        "R2",
        f"the same without crashes and ambiguous sends: {sum(r.repeated for r in calm)} repeated,"
        f" {sum(r.lost for r in calm)} lost",
    )
    _bad_seeds(calm)
    causes = sum(r.crashes + r.ambiguous for r in results)
    _say(
        "R3",
        f"{sum(r.repeated for r in results)} repeated sends after {causes} crashes and ambiguous sends,"
        f" {sum(r.unexcused for r in results)} of them beyond one for each,"
        f" {sum(r.other_ids for r in results)} under another id",
    )
    _crash_points(crash_every)
    with tempfile.TemporaryDirectory() as folder:
        _say("R6", f"{restart_seconds(Path(folder)):.2f} s from start to the first poll")
    _say("R7", "the watchdog's limit is two ticks or 5 s, then exit 70: tests/path/test_faults_watch.py")
    for name, off in STEPS.items():
        stepped = list(
            worlds(
                range(1, 11),
                events=min(events, 3_000),
                days=4.0,
                bad=Misfortune(crash=0.0, source_fails=0.0, source_away=0.0, clock_steps=(off,)),
            )
        )
        _say(
            "R8",
            f"clock steps {name}: {sum(r.lost for r in stepped)} lost, {sum(r.unexcused for r in stepped)} repeated,"
            f" longest time between two polls {max(r.first_look_late for r in stepped) / 300:.1f} intervals",
        )
        _bad_seeds(stepped)
    long = soak(events=soak_events, days=30.0)
    _say(
        "R9",
        f"30 days, {long.result.events:,} events, {long.result.polls:,} polls: memory"
        f" {long.memory_at_end / long.memory_after_a_tenth - 1:+.1%} after the first tenth,"
        f" store {long.store_megabytes:.1f} MB, descriptors {long.descriptors_before} → {long.descriptors_after},"
        f" {long.result.lost} lost",
    )
    _say(
        "R10",
        f"{sum(r.malformed for r in results):,} broken records among them: {sum(r.malformed_lost for r in results)}"
        f" missing from the quarantine, {sum(r.unwanted for r in results)} alerts that nobody was due",
    )
    _say("R11", "see scripts/bench stores")


def _crash_points(every: int) -> None:
    from benchmarks import crashpoints

    if not crashpoints.available():
        _say("R4", "not measured: strace is not installed (apt-get install strace)")
        _say("R5", "not measured: strace is not installed (apt-get install strace)")
        return
    with tempfile.TemporaryDirectory() as folder:
        kills = crashpoints.kills(Path(folder), every=every)
    _say("R4", str(kills))
    with tempfile.TemporaryDirectory() as folder:
        errors = crashpoints.errors(Path(folder), every=every)
    _say("R5", str(errors))


def _say(figure: str, text: str) -> None:
    click.echo(f"{figure:4} {text}")


def _bad_seeds(results: list[Result]) -> None:
    for result in results:
        if not result.good:
            _say("", f"seed {result.seed} is not good: {result}")


@contextmanager
def _folder() -> Iterator[Path]:
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


if __name__ == "__main__":
    run(seeds=int(sys.argv[1]) if len(sys.argv) > 1 else 200)
