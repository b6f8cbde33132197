"""
When things run: one thread polls each source, one sends for each destination; they meet only in the store.

APScheduler ticks; a tick only wakes those whose time has come, all truth is in the store. Its known faults are met
from outside: it can stop without a word (agronholm/apscheduler#1132), so a watchdog on monotonic time ends the process
when ticks stop, for the supervisor to start it again; and a step of the clock stalls it or floods its memory (#1066),
so its trigger never counts what was missed, and its job is made anew when the clock was set.
"""

from __future__ import annotations

import os
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from engine import logs
from engine.alert import Alert
from engine.canary import Canary
from engine.correlate.lateness import LATENESS, Between
from engine.delivery import Delivered, Delivery, Notifier, Refused
from engine.errors import (
    ConfigurationError,
    SourceError,
    SourceRefusedError,
    StoreDamagedError,
    StoreError,
    StoreFatalError,
    StoreFullError,
    TocsinError,
)
from engine.kinds import Kind
from engine.metrics import Metrics
from engine.pipeline import Policy, Tally, poll
from engine.route import Mute
from engine.sending import attempt, deliver, delivery_id, escalate
from engine.sources import Source
from engine.store import OPEN_STATES, DeliveryState, Store
from engine.vigil import SourceHealth, Vigil
from engine.wallclock import LONG, ClockGuard, back_from_the_future, shifted

GRACE_SECONDS: Final = 10.0  # what SIGTERM allows for finishing; what is not done by then is rolled back
STALLED_EXIT: Final = 70  # EX_SOFTWARE: the supervisor starts us again
ONCE_SECONDS: Final = 60.0  # in which `run --once` begins attempts; the last one ends by its own limit
HOLD_SECONDS: Final = 60.0  # how much longer than two polls a source stays with a process that is not heard of
UPKEEP_SECONDS: Final = 3600.0
COVERAGE_SECONDS: Final = 3600.0
THIS_MACHINE: Final = "this machine"
THIS_STORE: Final = "of this service"


@dataclass(frozen=True, slots=True)
class Watched:
    """A source, and how often and how far back it is read."""

    source: Source
    kind: Kind
    every: timedelta
    overlap: timedelta
    second_look_every: timedelta
    second_look_span: timedelta
    reach: Between | None = None  # the overlap is what was measured, between these; `overlap` is then the most
    lateness: Between = LATENESS


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How long things are kept."""

    seen: timedelta
    history: timedelta


@dataclass(frozen=True, slots=True)
class Care:
    """When something counts as wrong, and who hears of it."""

    meta: tuple[str, ...] = ()
    escalate_after: timedelta = timedelta(minutes=5)
    source_failing: timedelta = timedelta(minutes=5)
    source_silent: timedelta = timedelta(hours=24)
    canary: Canary | None = None


@dataclass(slots=True)
class Parts:
    """Everything a service is made of; `app` puts it together."""

    store: Store
    policy: Policy
    watched: Sequence[Watched]
    destinations: Mapping[str, Notifier]
    mutes: Callable[[float], Sequence[Mute]]
    reload: Callable[[], Policy]  # raises ConfigurationError: the old policy stays in force
    rules_changed: Callable[[], bool]
    upkeep: Upkeep
    metrics: Metrics = field(default_factory=Metrics)
    care: Care = Care()
    dry_run: bool = False  # destinations only print: nothing is sent, and the log must not say so
    stall_mark: Path | None = None  # written when the process ends because it stood still, told at the next start
    damage_mark: Path | None = None  # written when the store turns out damaged, which the next start then replaces
    replaced: str = ""  # where the damaged store of the last start was put aside
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    end: Callable[[int], Any] = os._exit  # at once, with an exit code: nothing may be written any more
    on_tally: Callable[[str, Tally], None] = lambda _source, _tally: None
    on_delivery: Callable[[str, str, str], None] = lambda _delivery, _destination, _state: None


class Service:
    """A running Tocsin. `run` returns when `stop` is called; `once` does one round."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.log = logs.get()
        self.stopping = threading.Event()
        self.reload_asked = threading.Event()
        shortest = min((w.every for w in parts.watched), default=timedelta(seconds=30))
        self.tick = min(max(shortest.total_seconds() / 2, 0.25), 15.0)
        self.workers = [SourceWorker(self, watched) for watched in parts.watched]
        self.senders = [Sender(self, name, notifier) for name, notifier in parts.destinations.items()]
        self.vigil = Vigil(
            parts.store,
            to=parts.care.meta,
            clock=parts.clock,
            monotonic=parts.monotonic,
            metrics=parts.metrics,
            mutes=parts.mutes,
            direct=self._send_directly,
        )
        self.full = False  # the store has no space: reading is paused
        self._guard = ClockGuard(parts.clock, parts.monotonic)
        self._scheduler: Any = None
        self._began = parts.clock()
        self._last_tick = time.monotonic()
        self._last_upkeep = 0.0
        self._keep_all_until = 0.0  # monotonic: nothing is forgotten before

    # --- running

    def run(self) -> None:
        """Until `stop`: poll, send, reload. Returns within GRACE_SECONDS of it."""
        interrupted = self._take_up()
        if interrupted:
            self.log.warning("deliveries were cut off by the last end of the process", deliveries=interrupted)
        self._say_what_was()
        self._scheduler = scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        self._schedule()
        for thread in (*self.workers, *self.senders):
            thread.start()
        scheduler.start()
        watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._last_tick = time.monotonic()
        watchdog.start()
        self._on_tick()
        try:
            while not self.stopping.wait(1.0):
                self.look_at_clock()
                if self.reload_asked.is_set() or self.parts.rules_changed():
                    self.reload_asked.clear()
                    self.reload()
        finally:
            self.stopping.set()
            scheduler.shutdown(wait=False)
            self._join()

    def once(self, *, beside: bool = True) -> int:
        """
        Read every source once, send what is due, and return 0, or 69 when a source could not be read.

        Each delivery that is due gets one attempt, those of one destination *beside* those of the others, and none
        begins later than ONCE_SECONDS after the first: what is left stays queued for the next run, and it is said.
        What sending itself brings up (a destination refuses, a critical alert goes on to the next one) gets its attempt
        as well, at those destinations where nothing is left to be tried again; what that brings up waits.
        """
        self._take_up()
        self._say_what_was()
        failed = [worker for worker in self.workers if not worker.look()]
        self._look_after()
        until = self.parts.monotonic() + ONCE_SECONDS
        willing = self._send_round(self.senders, until, beside=beside)
        self._escalate(self.parts.clock())
        self._send_round(willing, until, beside=beside)
        for destination, number in self.parts.store.waiting().items():
            self.log.warning("still queued, for the next run", destination=destination, deliveries=number)
        return SourceError.exit_code if failed else 0

    def stop(self) -> None:
        """Finish what is at hand and end; called from a signal handler."""
        self.stopping.set()
        for worker in self.workers:
            worker.wake.set()
        self.wake_senders()

    def reload(self) -> bool:
        """The rules on disk take over, or, when they are broken, the old ones stay and it is said."""
        try:
            policy = self.parts.reload()
        except ConfigurationError as error:
            self.parts.metrics.reload_ok.set(0)
            self.log.error("the rules on disk are broken: the old ones stay in force", problems=str(error).splitlines())
            return False
        self.parts.policy = policy
        self.parts.metrics.reload_ok.set(1)
        self.parts.metrics.rules.set(len(policy.rules))
        self.log.info("rules reloaded", rules=len(policy.rules))
        return True

    def check_coverage(self) -> None:
        """Say it when a source's events are copied nowhere: the tracking set is what a thief switches off first."""
        for worker in self.workers:
            worker.check_coverage()

    def look_at_clock(self) -> None:
        """When the clock was set: the ticks begin anew, what waits waits as long as before, and it is said."""
        step = self._guard.step()
        if not step:
            return
        parts, now = self.parts, self.parts.clock()
        parts.metrics.clock_steps.inc()
        self._began += step
        if self._scheduler is not None:
            self._schedule()
        if step >= LONG:
            self._keep_all_until = parts.monotonic() + 86400.0
        try:
            shifted(parts.store, step, now, seen=parts.upkeep.seen)
        except StoreError as error:
            self.store_failed(error)
        self.vigil.clock_was_set()
        way = "forward" if step > 0 else "back"
        self.vigil.say("clock_step", THIS_MACHINE, f"{way} by {abs(step):.0f} seconds; every source is read again")
        for worker in self.workers:
            worker.hurry()

    def store_failed(self, error: StoreError) -> None:
        """
        What the store's failure asks for: no space pauses reading, a disk that lost what was written ends the process.

        A failed fsync is never repeated: the kernel may have dropped the pages and would report success.
        """
        if isinstance(error, StoreFatalError | StoreDamagedError):
            self.log.critical("ending, to be started again and to read again", error=str(error))
            if isinstance(error, StoreDamagedError):
                _leave(self.parts.damage_mark, str(error))
            self.parts.end(StoreError.exit_code)
        elif isinstance(error, StoreFullError):
            self.full = True
            try:
                self.vigil.hold("disk_full", THIS_STORE, str(error))
            except StoreError as worse:
                self.store_failed(worse)

    def space_again(self) -> bool:
        """Whether the store can be written (again)."""
        if not self.full:
            return True
        try:
            self.parts.store.probe()
        except StoreError as error:
            self.store_failed(error)
            return False
        self.full = False
        self.vigil.clear("disk_full", THIS_STORE)
        self.log.info("there is space again")
        return True

    def wake_senders(self) -> None:
        for sender in self.senders:
            sender.wake.set()

    # --- how it is doing

    def alive(self) -> bool:
        return time.monotonic() - self._last_tick < self._patience()

    def unready(self) -> list[str]:
        """Why an event might not become an alert right now; empty when all is well."""
        told = self.vigil.blocking()
        troubles = [(f"source {worker.watched.source.name}", worker.trouble) for worker in self.workers]
        troubles += [(f"destination {sender.destination}", sender.trouble) for sender in self.senders]
        reasons = [f"{who}: {what}" for who, what in troubles if what and not any(what in line for line in told)]
        if not self.alive():
            reasons.append("the ticks have stopped")
        reasons += told
        try:
            self.parts.store.next_due("")
        except StoreError as error:
            reasons.append(str(error))
        return reasons

    def notes(self) -> list[str]:
        """What else is wrong, though events do become alerts, or was within the hour."""
        return self.vigil.notes()

    # --- inside

    def _on_tick(self) -> None:
        self._last_tick = time.monotonic()
        self.parts.metrics.ticks.inc()
        for worker in self.workers:
            if worker.due():
                worker.wake.set()
        self.wake_senders()
        try:
            self._look_after()
            self._keep_up()
        except StoreError as error:
            self.log.error("upkeep failed", error=str(error))
            self.store_failed(error)

    def _schedule(self) -> None:
        """The one job of the scheduler, made anew: it is next due a tick from now, whatever the clock said before."""
        self._scheduler.add_job(self._on_tick, FromNow(self.tick), id="tick", replace_existing=True)

    def _take_up(self) -> int:
        """What the last process left: deliveries that it was sending, how many, and times of a clock that was ahead."""
        now = self.parts.clock()
        self.parts.store.shift_clock(0.0, now)
        return self.parts.store.release(now)

    def _say_what_was(self) -> None:
        """What went wrong before this start."""
        mark = self.parts.stall_mark
        if mark is not None and mark.is_file():
            self.vigil.say("stalled", "this service", mark.read_text(encoding="utf-8", errors="replace")[:500])
            mark.unlink(missing_ok=True)
        if self.parts.replaced:
            self.vigil.say("store_replaced", "of this service", f"the damaged one is kept as {self.parts.replaced}")

    def _send_round(self, senders: Sequence[Sender], until: float, *, beside: bool) -> list[Sender]:
        """One attempt at each delivery that is due now; those of *senders* that left none to be tried again."""
        due_by = self.parts.clock()
        with ThreadPoolExecutor(max(1, len(senders)) if beside else 1, thread_name_prefix="once") as threads:
            rounds = [threads.submit(sender.send_what_is_due, due_by, until) for sender in senders]
        # A round's result raises what it ended with.
        return [sender for sender, round_ in zip(senders, rounds, strict=True) if round_.result()]

    def _escalate(self, now: float) -> bool:
        """Critical alerts that did not arrive go on to the next destination; whether any did. Raises StoreError."""
        parts = self.parts
        gone_on = escalate(parts.store, parts.policy.routes, now, patience=parts.care.escalate_after)
        for failed, name in gone_on:
            parts.metrics.escalations.labels(name).inc()
            self.log.warning("escalated", delivery=failed.id, state=failed.state, to=name, reason=failed.reason)
        return bool(gone_on)

    def _look_after(self) -> None:
        """Escalate what does not arrive, fly the canary, look at what may be wrong. Raises StoreError."""
        parts, care = self.parts, self.parts.care
        now = parts.clock()
        gone_on = self._escalate(now)
        flown = care.canary is not None and care.canary.due(parts.store, now)
        if care.canary is not None:
            if flown and parts.store.hold_source("tocsin-canary", now, HOLD_SECONDS):  # one of several workers
                care.canary.fly(parts.store, now)
            parts.metrics.canary.set(care.canary.age(parts.store, now, self._began))
        looked = self.vigil.check(
            [worker.health() for worker in self.workers],
            failing_after=care.source_failing,
            silent_after=care.source_silent,
            canary=self._missing_canary(now),
        )
        if looked:  # once a minute
            parts.store.shift_clock(0.0, now)
        broken = {one.destination for one in parts.store.breakers()}
        for sender in self.senders:
            parts.metrics.broken.labels(sender.destination).set(sender.destination in broken)
        if gone_on or flown:
            self.wake_senders()

    def _missing_canary(self, now: float) -> tuple[str, str] | None:
        canary = self.parts.care.canary
        seconds = canary.missing(self.parts.store, now, self._began) if canary else 0.0
        return (canary.to, f"none arrived for {seconds / 60:.0f} minutes") if canary and seconds else None

    def _send_directly(self, alert: Alert, to: Sequence[str]) -> None:
        """Past the store, best effort: each sender makes one attempt when it comes to it."""
        for sender in self.senders:
            if sender.destination in to:
                sender.direct.put(Delivery(delivery_id(alert, sender.destination), alert, sender.destination))
                sender.wake.set()

    def _keep_up(self) -> None:
        counts = self.parts.store.deliveries_open()
        self.parts.metrics.pending.set(counts[0])
        self.parts.metrics.oldest.set(max(0.0, self.parts.clock() - counts[1]) if counts[1] is not None else 0.0)
        if time.monotonic() - self._last_upkeep < UPKEEP_SECONDS and self._last_upkeep:
            return
        if self.parts.monotonic() < self._keep_all_until:
            return
        self._last_upkeep = time.monotonic()
        now = self.parts.clock()
        self.parts.store.expire(
            seen_before=self._forget_before(now), history_before=now - self.parts.upkeep.history.total_seconds()
        )

    def _forget_before(self, now: float) -> float:
        """No id is forgotten that a source, resumed at its cursor after an outage, would read again."""
        horizon = now - self.parts.upkeep.seen.total_seconds()
        for watched in self.parts.watched:
            cursor = self.parts.store.source_state(watched.source.name).cursor
            if cursor is not None:
                reach = max(watched.overlap, watched.second_look_span) + timedelta(days=1)
                horizon = min(horizon, (cursor.until - reach).timestamp())
        return horizon

    def _patience(self) -> float:
        return max(2 * self.tick, 5.0)

    def _watch(self) -> None:
        looked = time.monotonic()
        while not self.stopping.wait(1.0):
            before, looked = looked, time.monotonic()
            if looked - before > self._patience():  # we did not run either: the process was stopped, nothing stalled
                self._last_tick = looked
                continue
            dead = [thread.name for thread in (*self.workers, *self.senders) if not thread.is_alive()]
            if dead or not self.alive():
                self.log.critical("ending, to be started again", stalled=not self.alive(), dead_threads=dead)
                said = f"these threads had ended: {', '.join(dead)}" if dead else "the ticks had stopped"
                _leave(self.parts.stall_mark, f"{said}, seen at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
                self.parts.end(STALLED_EXIT)
                return

    def _join(self) -> None:
        deadline = time.monotonic() + GRACE_SECONDS - 1.0
        self.stop()
        for thread in (*self.workers, *self.senders):
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self.log.warning("left unfinished; it will be taken up again", thread=thread.name)


class FromNow(BaseTrigger):  # type: ignore[misc]  # apscheduler 3 has no types
    """
    Fires so many seconds after now, each time: what was missed is not counted.

    apscheduler's own interval trigger lists every missed time: after a step of the clock by years, by the million.
    """

    def __init__(self, seconds: float) -> None:
        self._every = timedelta(seconds=seconds)

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        return now + self._every


def _leave(mark: Path | None, text: str) -> None:
    """A note for the next start, where one can be left."""
    if mark is not None:
        try:
            mark.write_text(text, encoding="utf-8")
        except OSError as error:
            logs.get().error("no note could be left for the next start", error=str(error))


class SourceWorker(threading.Thread):
    """Polls one source when it is due."""

    def __init__(self, service: Service, watched: Watched) -> None:
        super().__init__(name=f"source-{watched.source.name}", daemon=True)
        self.service = service
        self.watched = watched
        self.wake = threading.Event()
        self.trouble = ""
        self.refused = False
        self.failing_since: float | None = None  # by the service's clock
        self._next = 0.0  # monotonic: when it was planned, not when a tick found it due
        self._was_covered = False  # since this process began
        self._next_coverage = 0.0  # monotonic: after the first look, which must not wait for it

    def health(self) -> SourceHealth:
        return SourceHealth(self.watched.source.name, self.trouble, self.failing_since, self.refused)

    def hurry(self) -> None:
        """Poll now, whenever the next poll was due."""
        self._next = 0.0
        self.wake.set()

    def due(self) -> bool:
        """Whether the planned time has come, or will have come long before the next tick."""
        return self.service.parts.monotonic() >= self._next - self.service.tick / 4

    def take_turn(self) -> bool:
        """
        Whether it is due; if so, the next poll is planned: from the planned time, so that no delay adds up.

        What was missed altogether is not made up for: one poll reads everything.
        """
        if not self.due():
            return False
        now, every = self.service.parts.monotonic(), self.watched.every.total_seconds()
        self._next = (self._next if now < self._next + every else now) + every
        return True

    def run(self) -> None:
        while not self.service.stopping.is_set():
            self.wake.wait()
            self.wake.clear()
            if self.service.stopping.is_set():
                return
            if self.take_turn():
                if self.service.space_again():
                    self.look()
                if time.monotonic() >= self._next_coverage:
                    try:
                        self.check_coverage()
                    except StoreError as error:
                        self.service.store_failed(error)

    def look(self) -> bool:
        """One poll, and the second look when its time has come. False when the source or the store failed."""
        parts, name = self.service.parts, self.watched.source.name
        try:
            if not self.holds():
                self.trouble, self.refused, self.failing_since = "", False, None
                return True
            self._back_from_the_future()
            self._poll(None)
            last = parts.store.source_state(name).last_second_look
            now = parts.clock()
            if last is None:  # a new source: what lies before its first hour is not ours
                with parts.store.transaction() as tx:
                    tx.polled(name, now, new_events=0, second_look=True)
            elif now - last >= self.watched.second_look_every.total_seconds():
                self._poll(self.watched.second_look_span)
        except (SourceError, StoreError) as error:
            self._failed(error)
            return False
        except Exception as error:  # one source's defect must not end the thread in silence
            self.service.log.exception("polling broke", source=name)
            self._failed(TocsinError(f"polling broke: {type(error).__name__}"))
            return False
        if self.trouble:
            self.service.log.info("source is back", source=name)
        self.trouble, self.refused, self.failing_since = "", False, None
        return True

    def holds(self) -> bool:
        """Whether this process polls the source; where several share a store, another may. Raises StoreError."""
        lease = 2 * self.watched.every.total_seconds() + HOLD_SECONDS
        return self.service.parts.store.hold_source(self.watched.source.name, self.service.parts.clock(), lease)

    def check_coverage(self) -> None:
        """
        Whether the source's write events are kept somewhere: logged and shown, and told when they no longer are.

        An account that never had a tracking set would otherwise ring every hour for what its owner knows.
        """
        self._next_coverage = time.monotonic() + COVERAGE_SECONDS
        service, name = self.service, self.watched.source.name
        try:
            coverage = self.watched.source.coverage()
        except SourceError as error:
            service.log.warning("could not look at the tracking sets", source=name, error=str(error))
            return
        except Exception:  # it is asked by the thread that polls, which must go on
            service.log.exception("looking at the tracking sets broke", source=name)
            return
        if coverage is None:
            return
        service.parts.metrics.tracked.labels(name).set(coverage.covered)
        if coverage.covered:
            service.log.info("write events are tracked", source=name, reason=coverage.reason)
            service.vigil.clear("not_tracked", name)
            self._was_covered = True
        else:
            service.log.warning("WRITE EVENTS ARE NOT TRACKED", source=name, reason=coverage.reason)
            service.vigil.hold("not_tracked", name, coverage.reason, tell=self._was_covered)

    def _back_from_the_future(self) -> None:
        parts, watched = self.service.parts, self.watched
        span = max(watched.second_look_span, watched.overlap)
        name = watched.source.name
        back = back_from_the_future(parts.store, name, parts.clock(), span=span, seen=parts.upkeep.seen)
        if back:
            self.service.log.warning("the clock was wrong: reading again", source=name, seconds=round(back))

    def _poll(self, second_look: timedelta | None) -> None:
        parts, name = self.service.parts, self.watched.source.name
        began = time.monotonic()
        tally = poll(
            self.watched.source,
            self.watched.kind,
            parts.policy,
            parts.store,
            clock=parts.clock,
            overlap=self.watched.reach or self.watched.overlap,
            lateness=self.watched.lateness,
            second_look=second_look,
            mutes=parts.mutes,
            stopping=lambda: self.service.stopping.is_set() or not self.holds(),
            queued=self.service.wake_senders,
        )
        seconds = time.monotonic() - began
        parts.metrics.polled(name, tally, seconds)
        cursor = parts.store.source_state(name).cursor
        if cursor is not None:
            parts.metrics.poll_lag.labels(name).set(parts.clock() - cursor.until.timestamp())
        say = self.service.log.info if tally.events or tally.quarantined else self.service.log.debug
        say(
            "read again" if second_look else "read",
            source=name,
            pages=tally.pages,
            events=tally.events,
            repeated=tally.repeated,
            quarantined=tally.quarantined,
            matches=tally.matches,
            faults=tally.faults,
            told=tally.told,
            seconds=round(seconds, 3),
        )
        if tally.changed:
            _, latest = parts.store.changed_since(0.0).get(name, (0, ""))
            self.service.log.warning(
                "events were read again with another body: rules saw the first",
                source=name,
                events=tally.changed,
                latest=latest,
            )
        parts.on_tally(name, tally)

    def _failed(self, error: TocsinError) -> None:
        parts, name = self.service.parts, self.watched.source.name
        self.trouble = str(error)
        self.refused = isinstance(error, SourceRefusedError)
        if self.failing_since is None:
            self.failing_since = parts.clock()
        parts.metrics.polls.labels(name, "failed").inc()
        self.service.log.error("could not read", source=name, error=str(error), refused=type(error).__name__)
        try:
            parts.store.source_failed(name, str(error), parts.clock())
        except StoreError as also:
            self.service.log.error("could not record it", source=name, error=str(also))
        if isinstance(error, StoreError):
            self.service.store_failed(error)


class Sender(threading.Thread):
    """Sends for one destination, at its pace, so that a slow one delays no other."""

    def __init__(self, service: Service, name: str, notifier: Notifier) -> None:
        super().__init__(name=f"sender-{name}", daemon=True)
        self.service = service
        self.destination = name
        self.notifier = notifier
        self.wake = threading.Event()
        self.direct: queue.SimpleQueue[Delivery] = queue.SimpleQueue()  # what the store could not take
        self.trouble = ""

    def run(self) -> None:
        while not self.service.stopping.is_set():
            self._send_direct()
            try:
                while not self.service.stopping.is_set() and self.send_one():
                    self.rest()
            except StoreError as error:
                if self.trouble != str(error):
                    self.service.log.error("could not send", destination=self.destination, error=str(error))
                self.trouble = str(error)
                self.service.store_failed(error)
            self.wake.wait(timeout=self._idle())
            self.wake.clear()

    def rest(self) -> None:
        """The pause that the destination wants between two messages."""
        self.service.stopping.wait(self.notifier.pace.total_seconds())

    def send_what_is_due(self, due_by: float, until: float) -> bool:
        """
        One attempt at each delivery that was due at *due_by*, none begun after *until* (monotonic).

        Whether none of them is to be tried again.
        """
        over = True
        while not self.service.stopping.is_set() and self.service.parts.monotonic() < until:
            state = self.send_one(due_by)
            if state is None:
                break
            over = over and state not in OPEN_STATES
            self.rest()
        return over

    def send_one(self, due_by: float | None = None) -> DeliveryState | None:
        """One attempt, and the state that it left; None when nothing is due, or was at *due_by*."""
        parts = self.service.parts
        done = deliver(
            self.notifier, self.destination, parts.store, clock=parts.clock, chance=random.random, due_by=due_by
        )
        if done is None:
            return None
        delivery, outcome, state = done
        parts.metrics.deliveries.labels(self.destination, state).inc()
        reason = outcome.reason if not hasattr(outcome, "receipt") else ""
        permanent = isinstance(outcome, Refused) and outcome.permanent
        gone = permanent or state == "dead"  # one message that is refused says nothing about the next
        self.trouble = reason if gone else "" if state in ("delivered", "refused") else self.trouble
        if permanent:
            self.service.vigil.hold("destination_refuses", self.destination, reason)
        elif state == "delivered":
            self.service.vigil.clear("destination_refuses", self.destination)
        if parts.dry_run:
            self._say_would_be_sent(delivery)
        else:
            self._say_what_became(delivery, state, reason)
        parts.on_delivery(delivery.id, self.destination, state)
        return state

    def _say_would_be_sent(self, delivery: Delivery) -> None:
        self.service.log.info(
            "would be sent", delivery=delivery.id, destination=self.destination, rule=delivery.alert.rule_id
        )

    def _say_what_became(self, delivery: Delivery, state: DeliveryState, reason: str) -> None:
        say = self.service.log.info if state == "delivered" else self.service.log.warning
        say(
            "sent" if state == "delivered" else "not sent",
            delivery=delivery.id,
            destination=self.destination,
            state=state,
            attempt=delivery.attempt,
            rule=delivery.alert.rule_id,
            reason=reason,
            again=state in OPEN_STATES,
        )

    def _send_direct(self) -> None:
        while True:
            try:
                delivery = self.direct.get_nowait()
            except queue.Empty:
                return
            outcome = attempt(self.notifier, delivery)
            arrived = isinstance(outcome, Delivered)
            self.service.parts.metrics.deliveries.labels(
                self.destination, "direct" if arrived else "direct failed"
            ).inc()
            self.service.log.warning(
                "sent past the store",
                destination=self.destination,
                rule=delivery.alert.rule_id,
                arrived=arrived,
                reason="" if isinstance(outcome, Delivered) else outcome.reason,
            )

    def _idle(self) -> float:
        """Until the next row is due, or somebody wakes us."""
        try:
            due = self.service.parts.store.next_due(self.destination)
        except StoreError:
            return 5.0
        return 5.0 if due is None else min(max(due - self.service.parts.clock(), 0.05), 5.0)
