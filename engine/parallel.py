"""
A scan on one core or on several, with the same lines in the same order.

The input is cut into pieces that can be looked at by themselves (`engine.sources.files`). With several jobs, processes
decode and evaluate them, and hand back, of most events, only what makes them the same event, and their time; of those
that match, which rules do. This process puts that together in the order of the input, with the code that a scan on one
core uses: it alone knows which events are repeated, which alerts belong together, and what rules with memory have seen.
What is odd (a record that cannot be decoded, or only in part) comes back as it is and is decoded here. So the lines
cannot depend on the number of jobs.

Memory is that of a few pieces for each job: no more are read ahead than that.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from engine import kinds
from engine.alert import Alert, Fault
from engine.errors import DecodeError, TocsinError
from engine.evaluate import evaluate
from engine.event import Quarantined, Record
from engine.kinds import MODULES, Kind
from engine.packs import cache
from engine.rule import RuleSet
from engine.scan import Given, Passed, Scan, Scanned, Weighed, day, digest, told_of
from engine.sources.files import Found, OnProblem, OnRead, Piece, found, parts

AHEAD = 3  # pieces in flight for each job: one is looked at, one is on its way, one is done
WHOLE_BELOW = 2 * 1024 * 1024  # bytes; smaller files are opened, and unpacked, by the process that looks at them


class Problem(NamedTuple):
    """What is no record, and why."""

    place: str
    message: str


Noticed = Given | Problem


class WorkerError(TocsinError):
    """A process that looked at a part of the input has ended: most often for want of memory."""

    exit_code = 74


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ignore(*_: object) -> None:
    """Nobody asked."""


@dataclass(slots=True)
class Scanner:
    """
    One scan of files by the rules that were loaded from *rule_paths*.

    *jobs*: processes that decode and evaluate; 1 for none beside this one, 0 for one for each core. *seen* counts as
    `alerts` is read. *broken* counts what is no record, each told to *on_problem*.
    """

    rules: RuleSet
    rule_paths: Sequence[str]
    jobs: int
    redaction_key: bytes = field(repr=False)
    on_fault: Callable[[Fault], None] = _ignore
    on_quarantined: Callable[[Quarantined], None] = _ignore
    on_problem: OnProblem = _ignore
    on_read: OnRead = _ignore
    broken: int = 0
    seen: Scanned = field(default_factory=Scanned)

    def alerts(self, paths: Iterable[str | Path]) -> Generator[Alert, None, None]:
        """
        The alerts of *paths*, in the order in which they are certain, the same for any number of jobs.

        Close it to end the processes before it is read to the end. Raises OSError when a path that was named cannot be
        read, WorkerError when a process is killed.
        """
        known = {name: kinds.kind(name, redaction_key=self.redaction_key) for name in MODULES}
        scan = Scan(self.rules, known, self.on_fault, self.on_quarantined, self.seen)
        jobs = self.jobs or cores()
        if jobs == 1:
            yield from scan.alerts(self._records(parts(paths, on_read=self.on_read)))
            return
        with _pool(jobs, self.rules, self.rule_paths, self.redaction_key) as submit:
            pieces = parts(paths, on_read=self.on_read, whole_below=WHOLE_BELOW)
            yield from scan.alerts(self._given(_in_order(pieces, submit, AHEAD * jobs)))

    def _records(self, pieces: Iterable[Piece]) -> Iterator[Found]:
        for piece in pieces:
            yield from found(piece, self._problem)

    def _given(self, answers: Iterable[list[Noticed]]) -> Iterator[Given]:
        for answer in answers:
            for one in answer:
                if isinstance(one, Problem):
                    self._problem(one.place, one.message)
                else:
                    yield one

    def _problem(self, place: str, message: str) -> None:
        self.broken += 1
        self.on_problem(place, message)


Submit = Callable[[Piece], "Future[list[Noticed]]"]


def _in_order(pieces: Iterable[Piece], submit: Submit, most: int) -> Iterator[list[Noticed]]:
    """What is noticed in each piece, in their order, *most* of them in flight."""
    flying: deque[Future[list[Noticed]]] = deque()
    try:
        for piece in pieces:
            flying.append(submit(piece))
            while len(flying) >= most or (flying and flying[0].done()):
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()
    except BrokenProcessPool:
        raise WorkerError(
            "a process of the scan has ended: it was killed, for want of memory perhaps, or the rules were changed"
        ) from None


@contextmanager
def _pool(jobs: int, rules: RuleSet, rule_paths: Sequence[str], redaction_key: bytes) -> Iterator[Submit]:
    others = set(multiprocessing.active_children())
    # Spawned, not forked: this process may have threads, and what they hold would be held for ever in a fork.
    executor = ProcessPoolExecutor(
        jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(tuple(rule_paths), redaction_key, _print_of(rules)),
    )

    def submit(piece: Piece) -> Future[list[Noticed]]:
        with _interrupts_held():  # this may start a process, and Ctrl-C is for the one at the terminal to answer
            try:
                return executor.submit(_notice, piece)
            except OSError as error:  # as it breaks
                raise BrokenProcessPool from error

    with _interrupts_held():
        for _ in range(
            jobs
        ):  # all processes start now: one that starts while another is killed can be waited for for ever
            executor.submit(_ready)
    try:
        yield submit
    except WorkerError:
        # The executor asks the other processes to end and waits; one that was starting may never hear it.
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C comes after this, if it comes meanwhile. A process that is started here never hears of it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in the other processes -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Worker:
    rules: RuleSet
    kinds: Mapping[str, Kind]


_worker: _Worker | None = None


def _begin(rule_paths: tuple[str, ...], redaction_key: bytes, expected: int) -> None:
    global _worker  # noqa: PLW0603 one for each process, made once: rules take longer to load than a piece to read
    threading.Thread(target=_end_with_parent, daemon=True).start()
    known = {name: kinds.kind(name, redaction_key=redaction_key) for name in MODULES}
    rules = cache.load(rule_paths)
    if _print_of(rules) != expected:
        os._exit(1)  # they were changed just now, and the numbers of rules would mean other rules
    _worker = _Worker(rules, known)


def _print_of(rules: RuleSet) -> int:
    return zlib.crc32("\n".join(f"{rule.id} {rule.version} {rule.enabled}" for rule in rules).encode())


def _end_with_parent() -> None:
    """A process that waits for pieces from a parent that was killed would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _ready() -> None:
    """The process has begun."""


def _notice(piece: Piece) -> list[Noticed]:
    assert _worker is not None
    return notice(piece, _worker.rules, _worker.kinds)


def notice(piece: Piece, rules: RuleSet, known: Mapping[str, Kind]) -> list[Noticed]:
    """What is in *piece*, in its order."""
    noticed: list[Noticed] = []
    numbers = {id(rule): number for number, rule in enumerate(rules.rules)}
    passing = Passed("", [])
    for kind_name, record in found(piece, lambda place, message: noticed.append(Problem(place, message))):
        weighed = weigh(record, known[kind_name], rules, numbers)
        if weighed is None:
            noticed.append((kind_name, record))
        elif isinstance(weighed, Weighed):
            noticed.append(weighed)
        else:
            if not noticed or noticed[-1] is not passing or passing.kind != kind_name:
                passing = Passed(kind_name, [])
                noticed.append(passing)
            passing.events.append(weighed)
    return noticed


def weigh(record: Record, kind: Kind, rules: RuleSet, numbers: Mapping[int, int]) -> Weighed | tuple[bytes, int] | None:
    """
    What rules say of the event in *record*; where none says anything, its digest and time.

    *numbers* are those of the rules in their set, by `id`. None where the record must be looked at again.
    """
    decoded = kind.decode(record)
    event = decoded.event
    if event is None or decoded.quarantined is not None:
        return None
    try:
        matches, faults = evaluate(rules, event, day(event))
        told = [(numbers[id(match.rule)], match.excepted, told_of(match)) for match in matches]
    except DecodeError:
        return None
    if told or faults:
        return Weighed(event.identity, event.time, event.name, event.raw, told, faults)
    return digest(event.identity), event.time
