"""
When things run: one thread polls each source, one sends for each destination; they meet only in the store.

APScheduler ticks; a tick only wakes those whose time has come, all truth is in the store. Its known faults are met
from outside: it can stop without a word (agronholm/apscheduler#1132) and a step of the clock stalls it (#1066), so a
watchdog on monotonic time ends the process when ticks stop, for the supervisor to start it again.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Final

from apscheduler.schedulers.background import BackgroundScheduler

from engine import logs
from engine.delivery import Notifier, TryLater
from engine.errors import ConfigurationError, SourceError, StoreError, TocsinError
from engine.kinds import Kind
from engine.metrics import Metrics
from engine.pipeline import Policy, Tally, poll
from engine.route import Mute
from engine.sending import deliver
from engine.sources import Source
from engine.store import Store

GRACE_SECONDS: Final = 10.0  # what SIGTERM allows for finishing; what is not done by then is rolled back
STALLED_EXIT: Final = 70  # EX_SOFTWARE: the supervisor starts us again


@dataclass(frozen=True, slots=True)
class Watched:
    """A source, and how often and how far back it is read."""

    source: Source
    kind: Kind
    every: timedelta
    overlap: timedelta
    second_look_every: timedelta
    second_look_span: timedelta


@dataclass(frozen=True, slots=True)
class Upkeep:
    """How long things are kept."""

    seen: timedelta
    history: timedelta


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
    clock: Callable[[], float] = time.time
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
        self._last_tick = time.monotonic()
        self._last_upkeep = 0.0

    # --- running

    def run(self) -> None:
        """Until `stop`: poll, send, reload. Returns within GRACE_SECONDS of it."""
        interrupted = self.parts.store.release(self.parts.clock())
        if interrupted:
            self.log.warning("deliveries were cut off by the last end of the process", deliveries=interrupted)
        scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        scheduler.add_job(self._on_tick, "interval", seconds=self.tick, id="tick")
        for thread in (*self.workers, *self.senders):
            thread.start()
        scheduler.start()
        watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._last_tick = time.monotonic()
        watchdog.start()
        self._on_tick()
        try:
            while not self.stopping.wait(1.0):
                if self.reload_asked.is_set() or self.parts.rules_changed():
                    self.reload_asked.clear()
                    self.reload()
        finally:
            self.stopping.set()
            scheduler.shutdown(wait=False)
            self._join()

    def once(self) -> int:
        """Read every source once, send what is due, and return 0, or 69 when a source could not be read."""
        self.parts.store.release(self.parts.clock())
        failed = [worker for worker in self.workers if not worker.look()]
        for sender in self.senders:
            while not self.stopping.is_set() and sender.send_one():
                sender.rest()
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
        for watched in self.parts.watched:
            name = watched.source.name
            try:
                coverage = watched.source.coverage()
            except SourceError as error:
                self.log.warning("could not look at the tracking sets", source=name, error=str(error))
                continue
            if coverage is None:
                continue
            self.parts.metrics.tracked.labels(name).set(coverage.covered)
            if coverage.covered:
                self.log.info("write events are tracked", source=name, reason=coverage.reason)
            else:
                self.log.warning("WRITE EVENTS ARE NOT TRACKED", source=name, reason=coverage.reason)

    def wake_senders(self) -> None:
        for sender in self.senders:
            sender.wake.set()

    # --- how it is doing

    def alive(self) -> bool:
        return time.monotonic() - self._last_tick < self._patience()

    def unready(self) -> list[str]:
        """Why an event might not become an alert right now; empty when all is well."""
        reasons = [f"source {worker.name}: {worker.trouble}" for worker in self.workers if worker.trouble]
        reasons += [f"destination {sender.name}: {sender.trouble}" for sender in self.senders if sender.trouble]
        if not self.alive():
            reasons.append("the ticks have stopped")
        try:
            self.parts.store.next_due("")
        except StoreError as error:
            reasons.append(str(error))
        return reasons

    # --- inside

    def _on_tick(self) -> None:
        self._last_tick = time.monotonic()
        self.parts.metrics.ticks.inc()
        for worker in self.workers:
            if worker.due():
                worker.wake.set()
        self.wake_senders()
        try:
            self._keep_up()
        except StoreError as error:
            self.log.error("upkeep failed", error=str(error))

    def _keep_up(self) -> None:
        counts = self.parts.store.deliveries_open()
        self.parts.metrics.pending.set(counts[0])
        self.parts.metrics.oldest.set(max(0.0, self.parts.clock() - counts[1]) if counts[1] is not None else 0.0)
        if time.monotonic() - self._last_upkeep < 3600 and self._last_upkeep:
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
        while not self.stopping.wait(1.0):
            dead = [thread.name for thread in (*self.workers, *self.senders) if not thread.is_alive()]
            if dead or not self.alive():
                self.log.critical("ending, to be started again", stalled=not self.alive(), dead_threads=dead)
                os._exit(STALLED_EXIT)

    def _join(self) -> None:
        deadline = time.monotonic() + GRACE_SECONDS - 1.0
        self.stop()
        for thread in (*self.workers, *self.senders):
            thread.join(timeout=max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self.log.warning("left unfinished; it will be taken up again", thread=thread.name)


class SourceWorker(threading.Thread):
    """Polls one source when it is due."""

    def __init__(self, service: Service, watched: Watched) -> None:
        super().__init__(name=f"source-{watched.source.name}", daemon=True)
        self.service = service
        self.watched = watched
        self.wake = threading.Event()
        self.trouble = ""
        self._next = 0.0  # monotonic

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def run(self) -> None:
        while not self.service.stopping.is_set():
            self.wake.wait()
            self.wake.clear()
            if self.service.stopping.is_set():
                return
            if self.due():
                self._next = time.monotonic() + self.watched.every.total_seconds()
                self.look()

    def look(self) -> bool:
        """One poll, and the second look when its time has come. False when the source or the store failed."""
        parts, name = self.service.parts, self.watched.source.name
        try:
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
        self.trouble = ""
        return True

    def _poll(self, second_look: timedelta | None) -> None:
        parts, name = self.service.parts, self.watched.source.name
        began = time.monotonic()
        tally = poll(
            self.watched.source,
            self.watched.kind,
            parts.policy,
            parts.store,
            clock=parts.clock,
            overlap=self.watched.overlap,
            second_look=second_look,
            mutes=parts.mutes,
            stopping=self.service.stopping.is_set,
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
        parts.on_tally(name, tally)
        if tally.queued:
            self.service.wake_senders()

    def _failed(self, error: TocsinError) -> None:
        parts, name = self.service.parts, self.watched.source.name
        self.trouble = str(error)
        parts.metrics.polls.labels(name, "failed").inc()
        self.service.log.error("could not read", source=name, error=str(error), refused=type(error).__name__)
        try:
            parts.store.source_failed(name, str(error), parts.clock())
        except StoreError as also:
            self.service.log.error("could not record it", source=name, error=str(also))


class Sender(threading.Thread):
    """Sends for one destination, at its pace, so that a slow one delays no other."""

    def __init__(self, service: Service, name: str, notifier: Notifier) -> None:
        super().__init__(name=f"sender-{name}", daemon=True)
        self.service = service
        self.destination = name
        self.notifier = notifier
        self.wake = threading.Event()
        self.trouble = ""

    def run(self) -> None:
        while not self.service.stopping.is_set():
            try:
                while not self.service.stopping.is_set() and self.send_one():
                    self.rest()
            except StoreError as error:
                self.trouble = str(error)
                self.service.log.error("could not send", destination=self.destination, error=str(error))
            self.wake.wait(timeout=self._idle())
            self.wake.clear()

    def rest(self) -> None:
        """The pause that the destination wants between two messages."""
        self.service.stopping.wait(self.notifier.pace.total_seconds())

    def send_one(self) -> bool:
        """One attempt; False when nothing is due."""
        parts = self.service.parts
        done = deliver(self.notifier, self.destination, parts.store, clock=parts.clock, chance=random.random)
        if done is None:
            return False
        delivery, outcome, state = done
        parts.metrics.deliveries.labels(self.destination, state).inc()
        reason = outcome.reason if not hasattr(outcome, "receipt") else ""
        self.trouble = "" if state == "delivered" else reason if state in ("refused", "dead") else self.trouble
        say = self.service.log.info if state == "delivered" else self.service.log.warning
        say(
            "sent" if state == "delivered" else "not sent",
            delivery=delivery.id,
            destination=self.destination,
            state=state,
            attempt=delivery.attempt,
            rule=delivery.alert.rule_id,
            reason=reason,
            again=isinstance(outcome, TryLater) and state != "dead",
        )
        parts.on_delivery(delivery.id, self.destination, state)
        return True

    def _idle(self) -> float:
        """Until the next row is due, or somebody wakes us."""
        try:
            due = self.service.parts.store.next_due(self.destination)
        except StoreError:
            return 5.0
        return 5.0 if due is None else min(max(due - self.service.parts.clock(), 0.05), 5.0)
