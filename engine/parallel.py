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

import gc
import multiprocessing
import os
import queue
import signal
import sys
import threading
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from engine import kinds
from engine.alert import Alert, Fault
from engine.errors import DecodeError, TocsinError
from engine.evaluate import evaluate
from engine.event import Quarantined, Record
from engine.kinds import MODULES, Kind
from engine.packs import cache
from engine.rule import RuleSet
from engine.scan import Given, Passed, Scan, Scanned, Teller, Weighed, day, digest
from engine.sources.files import Found, OnProblem, OnRead, Piece, Stretch, found, opened, parts

AHEAD = 3  # pieces in flight for each job: one is looked at, one is on its way, one is done
WARM = 32  # pieces that this process looks at before there are others: what it has compiled by then, they have
WHOLE_BELOW = 2 * 1024 * 1024  # bytes; smaller files are opened, and unpacked, by the process that looks at them


class Problem(NamedTuple):
    """What is no record, and why."""

    place: str
    message: str


class Seen(NamedTuple):
    """As Weighed, of another process: *number* is the record's place among those of its piece, from 0."""

    number: int
    weighed: Weighed  # without the record, unless a rule with memory has to keep it


Noticed = tuple[str, Record] | Passed | Seen | Problem


class Answer(NamedTuple):
    """What is in a piece; *lines* is how many it has, if that had to be counted."""

    noticed: list[Noticed]
    lines: int | None


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
        with _frozen():
            if jobs == 1:
                yield from scan.alerts(self._records(parts(paths, on_read=self.on_read)))
            else:
                with closing(self._shared(paths, known, jobs)) as given:
                    yield from scan.alerts(given)

    def _shared(
        self, paths: Iterable[str | Path], known: Mapping[str, Kind], jobs: int
    ) -> Generator[Given, None, None]:
        """The records here, the first ones, and then what other processes have decided of theirs."""
        pieces = parts(paths, on_read=self.on_read, whole_below=WHOLE_BELOW)
        line = 1
        for piece in islice(pieces, WARM):
            inner: list[Piece] = [piece]
            if isinstance(piece, Stretch):
                inner, lines = opened(piece := replace(piece, line=piece.line or line))
                line = (piece.line or 1) + lines
            yield from self._records(inner)
        first = next(pieces, None)
        if first is None:
            return
        if isinstance(first, Stretch):
            first = replace(first, line=first.line or line)
        with _crew(jobs, Work(self.rules, known), self.rule_paths, self.redaction_key) as crew:
            yield from self._given(crew.answers(chain([first], pieces)))

    def _records(self, pieces: Iterable[Piece]) -> Iterator[Found]:
        for piece in pieces:
            yield from found(piece, self._problem)

    def _given(self, answers: Iterable[tuple[Piece, Answer]]) -> Iterator[Given]:
        line = 0  # so many stand before a stretch in its file
        for piece, answer in answers:
            if not isinstance(piece, Stretch) or piece.line is not None:
                line = 0
            for one in answer.noticed:
                if isinstance(one, Problem):
                    self._problem(_further(one.place, line), one.message)
                elif isinstance(one, Seen):
                    yield one.weighed if one.weighed.raw else one.weighed._replace(raw=_again(piece, one.number))
                elif isinstance(one, Passed):
                    yield one
                else:
                    yield one[0], Record(one[1].raw, _further(one[1].place, line))
            if isinstance(piece, Stretch) and answer.lines is not None:
                line += (piece.line or 1) - 1 + answer.lines

    def _problem(self, place: str, message: str) -> None:
        self.broken += 1
        self.on_problem(place, message)


def _further(place: str, lines: int) -> str:
    """*place*, so many lines further down."""
    if not lines:
        return place
    name, _, line = place.rpartition(":")
    return f"{name}:{int(line) + lines}" if name and line.isdecimal() else place


def _again(piece: Piece, number: int) -> Callable[[], bytes]:
    """How to have a record of *piece* once more."""
    return lambda: next(islice(found(piece, _ignore), number, None))[1].raw


# --- the other processes, seen from here ------------------------------------------------------------------------------


@dataclass(slots=True)
class Worker:
    process: Any  # multiprocessing's, of either context
    connection: Connection
    given: deque[tuple[int, Piece]] = field(default_factory=deque)  # its pieces with their numbers, in their order


class _Crew:
    """Processes that look at pieces; each is given its next before it has answered for the last."""

    def __init__(self, workers: list[Worker]) -> None:
        self._workers = workers
        self._answers: dict[int, tuple[Piece, Answer]] = {}

    def answers(self, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, Answer]]:
        """What is noticed in each piece, in their order. Raises WorkerError when a process has ended."""
        due = 0
        for number, piece in enumerate(pieces):
            worker = min(self._workers, key=lambda one: len(one.given))
            try:
                worker.connection.send(piece)
            except OSError:
                raise _ended() from None
            worker.given.append((number, piece))
            self._receive(wait_for=False)
            while due in self._answers or number - due + 1 >= AHEAD * len(self._workers):
                yield self._answer(due)
                due += 1
        while due in self._answers or any(worker.given for worker in self._workers):
            yield self._answer(due)
            due += 1

    def _answer(self, due: int) -> tuple[Piece, Answer]:
        while due not in self._answers:
            self._receive(wait_for=True)
        return self._answers.pop(due)

    def _receive(self, *, wait_for: bool) -> None:
        """Take the answers that have come; with *wait_for*, at least one."""
        asked = [worker for worker in self._workers if worker.given]
        ready = wait([worker.connection for worker in asked], None if wait_for else 0)
        for worker in asked:
            if worker.connection in ready:
                try:
                    answer: Answer | Exception = worker.connection.recv()
                except (EOFError, OSError):
                    raise _ended() from None
                if isinstance(answer, Exception):
                    raise answer
                number, piece = worker.given.popleft()
                self._answers[number] = piece, answer


def _ended() -> WorkerError:
    return WorkerError(
        "a process of the scan has ended: it was killed, for want of memory perhaps, or the rules were changed"
    )


@contextmanager
def _crew(jobs: int, work: Work, rule_paths: Sequence[str], redaction_key: bytes) -> Iterator[_Crew]:
    """*jobs* processes. They are gone at the end, however that comes."""
    forked = _may_fork()
    context: Any = multiprocessing.get_context("fork" if forked else "spawn")
    start: Any = work if forked else _Start(tuple(rule_paths), redaction_key, _print_of(work.rules))
    workers: list[Worker] = []
    try:
        gc.freeze()  # a collection in a fork would touch, and so copy, all that it shares
        with _interrupts_held():  # Ctrl-C is for the process at the terminal to answer
            for _ in range(jobs):
                here, there = context.Pipe()
                above = [worker.connection for worker in workers] if forked else []
                process = context.Process(
                    target=_look, args=(there, start, [*above, here] if forked else []), daemon=True
                )
                process.start()
                there.close()
                workers.append(Worker(process, here))
        yield _Crew(workers)
    finally:
        for worker in workers:
            worker.connection.close()
            worker.process.kill()  # it holds nothing that a kill could harm
        for worker in workers:
            worker.process.join()


def _may_fork() -> bool:
    """
    Whether other processes can be forks, which have the rules, compiled, at once and in the same memory.

    What other threads hold, a fork would hold for ever: where there are any, processes begin afresh and load the rules.
    macOS has frameworks that no fork survives.
    """
    return sys.platform == "linux" and threading.active_count() == 1


@contextmanager
def _frozen() -> Iterator[None]:
    """What there is now, mostly rules, is not looked through again and again for what could be thrown away."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


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


class Work:
    """What it takes to look at pieces."""

    __slots__ = ("kinds", "numbers", "rules", "teller")

    def __init__(self, rules: RuleSet, known: Mapping[str, Kind]) -> None:
        self.rules = rules
        self.kinds = known
        self.numbers = {id(rule): number for number, rule in enumerate(rules.rules)}
        self.teller = Teller()


class _Start(NamedTuple):
    """What it takes to have that in a process that has nothing."""

    rule_paths: tuple[str, ...]
    redaction_key: bytes
    expected: int

    def work(self) -> Work:
        rules = cache.load(self.rule_paths)
        if _print_of(rules) != self.expected:
            os._exit(1)  # they were changed just now, and the numbers of rules would mean other rules
        return Work(rules, {name: kinds.kind(name, redaction_key=self.redaction_key) for name in MODULES})


def _print_of(rules: RuleSet) -> int:
    return zlib.crc32("\n".join(f"{rule.id} {rule.version} {rule.enabled}" for rule in rules).encode())


def _look(connection: Connection, start: Work | _Start, others: Sequence[Connection]) -> None:
    """Answer for pieces until there are no more, or until the process that gives them is gone."""
    for other in others:
        other.close()  # while this process holds the other end of its own pipe, it would never hear that it is closed
    work = start.work() if isinstance(start, _Start) else start
    pieces: queue.SimpleQueue[Piece] = queue.SimpleQueue()
    # Pieces are taken as they come, so that whoever gives them never waits for an answer to be read.
    threading.Thread(target=_take, args=(connection, pieces), daemon=True).start()
    with suppress(OSError):  # nobody wants to know any more
        while True:
            piece = pieces.get()
            try:
                answer: Answer | Exception = notice(piece, work)
            except OSError as error:  # of a file that was named
                answer = error
            connection.send(answer)


def _take(connection: Connection, pieces: queue.SimpleQueue[Piece]) -> None:
    try:
        while True:
            pieces.put(connection.recv())
    except (EOFError, OSError):
        os._exit(1)


def notice(piece: Piece, work: Work) -> Answer:
    """What is in *piece*, in its order."""
    noticed: list[Noticed] = []
    passing = Passed("", [])

    def on_problem(place: str, message: str) -> None:
        noticed.append(Problem(place, message))

    inner, lines = opened(piece) if isinstance(piece, Stretch) else ([piece], None)
    records = chain.from_iterable(found(one, on_problem) for one in inner)
    for number, (kind_name, record) in enumerate(records):
        weighed = weigh(record, kind_name, work)
        if weighed is None:
            noticed.append((kind_name, record))
        elif isinstance(weighed, Weighed):
            noticed.append(Seen(number, weighed))
        else:
            if not noticed or noticed[-1] is not passing or passing.kind != kind_name:
                passing = Passed(kind_name, [])
                noticed.append(passing)
            passing.events.append(weighed)
    return Answer(noticed, lines)


def weigh(record: Record, kind_name: str, work: Work) -> Weighed | tuple[bytes, int] | None:
    """
    What rules say of the event in *record*; where none says anything, its digest and time.

    None where the record must be looked at again.
    """
    decoded = work.kinds[kind_name].decode(record)
    event = decoded.event
    if event is None or decoded.quarantined is not None:
        return None
    try:
        matches, faults = evaluate(work.rules, event, day(event))
        told = [(work.numbers[id(match.rule)], match.excepted, work.teller.told_elsewhere(match)) for match in matches]
    except DecodeError:
        return None
    if told or faults:
        kept = event.raw if any(match.rule.memory is not None for match in matches) else b""
        return Weighed(event.identity, event.time, event.name, kept, told, faults)
    return digest(event.identity), event.time
