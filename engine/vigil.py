"""
The watch over the watchman: what is wrong with Tocsin itself, and telling it.

A trouble either lasts (a source that cannot be read) and is held until it is over, or has happened (the clock was set)
and is said. Either way it becomes a meta-alert in the outbox, at most once an hour for each thing that it is about, and
shows in /readyz, /metrics and the log. Where the store cannot take it, it goes straight to the destinations.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from engine import logs
from engine.alert import Alert
from engine.dedup import Told, decide
from engine.errors import StoreDamagedError, StoreError, StoreFatalError
from engine.meta import QUIET, RULES, MetaRule, meta_alert, meta_destinations
from engine.metrics import Metrics
from engine.route import Mute, Route, destinations
from engine.sending import delivery_id
from engine.store import Store

CHECK_EVERY: Final = 60.0
LEDGER_EVERY: Final = 300.0
STUCK: Final = 900.0  # seconds: six dense attempts have failed, and two of those that come every five minutes


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is, or was, wrong. *until* is when it stops being shown (monotonic); None while it lasts."""

    rule: MetaRule
    about: str
    detail: str
    until: float | None = None

    def __str__(self) -> str:
        return f"{self.rule.title.replace('{about}', self.about)}: {self.detail}"


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How reading a source goes: what the last failure was, since when it fails, whether asking again can help."""

    name: str
    trouble: str = ""
    failing_since: float | None = None  # by the service's clock
    refused: bool = False


class Vigil:
    """Holds what is wrong and tells it. Safe to share between threads."""

    def __init__(
        self,
        store: Store,
        *,
        to: Sequence[str],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        metrics: Metrics,
        mutes: Callable[[float], Sequence[Mute]] = lambda _: (),
        direct: Callable[[Alert, Sequence[str]], None] = lambda _alert, _to: None,
    ) -> None:
        """*direct* sends an alert to destinations without the store, as well as it can."""
        self._store = store
        self._to = tuple(to)
        self._clock = clock
        self._monotonic = monotonic
        self._metrics = metrics
        self._mutes = mutes
        self._direct = direct
        self._log = logs.get()
        self._lock = threading.RLock()
        self._troubles: dict[tuple[str, str], Trouble] = {}
        self._told: dict[tuple[str, str], float] = {}  # monotonic
        self._since = clock() - QUIET.total_seconds()
        self._next_check = self._next_ledger = 0.0

    # --- what is wrong

    def hold(self, name: str, about: str, detail: str, *, tell: bool = True) -> None:
        """
        It is so now, and may have been: told when it begins, and again every hour while it lasts; or only shown.

        Raises StoreFatalError and StoreDamagedError, after which nothing may be written any more; `say` does too.
        """
        with self._lock:
            self._troubles[name, about] = Trouble(RULES[name], about, detail)
            self._metrics.trouble.labels(name, about).set(1)
            if tell:
                self._tell(RULES[name], about, detail)

    def clear(self, name: str, about: str) -> None:
        """It is not, or no longer, so."""
        with self._lock:
            trouble = self._troubles.pop((name, about), None)
            if trouble is not None:
                self._told.pop((name, about), None)
                self._metrics.trouble.labels(name, about).set(0)
                self._log.info("over", rule=trouble.rule.id, about=about)

    def say(self, name: str, about: str, detail: str) -> None:
        """It has happened: told, and shown for an hour."""
        with self._lock:
            until = self._monotonic() + QUIET.total_seconds()
            self._troubles[name, about] = Trouble(RULES[name], about, detail, until)
            self._metrics.trouble.labels(name, about).set(1)
            self._tell(RULES[name], about, detail)

    def blocking(self) -> list[str]:
        """What keeps events from being heard right now."""
        return [str(one) for one in self._shown() if one.rule.blocks and one.until is None]

    def notes(self) -> list[str]:
        """What else is wrong, or was within the hour."""
        return [str(one) for one in self._shown() if not (one.rule.blocks and one.until is None)]

    def _shown(self) -> list[Trouble]:
        with self._lock:
            now = self._monotonic()
            for key, trouble in list(self._troubles.items()):
                if trouble.until is not None and trouble.until <= now:
                    self.clear(*key)
            return list(self._troubles.values())

    def _among(self, name: str, found: Mapping[str, str]) -> None:
        """Exactly these things have the trouble *name*."""
        with self._lock:
            over = [about for rule, about in self._troubles if rule == name and about not in found]
        for about in over:
            self.clear(name, about)
        for about, detail in found.items():
            self.hold(name, about, detail)

    # --- telling it

    def _tell(self, rule: MetaRule, about: str, detail: str) -> None:
        now, mark = self._monotonic(), (rule.name, about)
        if mark in self._told and now - self._told[mark] < QUIET.total_seconds():
            return
        self._told[mark] = now
        self._metrics.meta.labels(rule.name).inc()
        self._log.warning(rule.title.replace("{about}", about), rule=rule.id, about=about, reason=detail)
        alert = meta_alert(rule, about, detail, self._clock())
        to = meta_destinations(self._to, about)
        try:
            self._queue(alert, to)
        except StoreError as error:
            self._log.error("a meta-alert could not be stored: it is sent at once", rule=rule.id, error=str(error))
            self._direct(alert, to)
            if isinstance(error, StoreFatalError | StoreDamagedError):
                raise

    def _queue(self, alert: Alert, to: Sequence[str]) -> None:
        """In the outbox, in one transaction; unless it was told within the hour, or a silence holds it back."""
        now = self._clock()
        routing = destinations(alert, (Route(tuple(to)),), self._mutes(now))
        with self._store.transaction() as tx:
            told = tx.told(alert.fingerprint)
            alert, reason = decide(alert, told, tx.alert(told.alert_id) if told else None, QUIET, now)
            tx.save_alert(alert)
            if not reason.tells or routing.silenced_by:
                return
            tx.save_told(alert.fingerprint, Told(alert.id, alert.severity, now))
            for name, _ in routing.destinations:
                tx.queue(delivery_id(alert, name), alert.id, name, now)

    # --- looking

    def clock_was_set(self) -> None:
        """What was to be looked at since a moment of the old time is looked at since now."""
        self._since = self._clock() - CHECK_EVERY

    def check(
        self,
        sources: Iterable[SourceHealth],
        *,
        failing_after: timedelta,
        silent_after: timedelta,
        canary: tuple[str, str] | None = None,
    ) -> bool:
        """
        Look at everything, once a minute: True when it did. *canary* is where it is missing, and a sentence.

        Raises StoreError.
        """
        if self._monotonic() < self._next_check:
            return False
        self._next_check = self._monotonic() + CHECK_EVERY
        now, since = self._clock(), self._since
        self._since = now - CHECK_EVERY  # a page takes its time before it is committed
        self._sources(list(sources), now, failing_after, silent_after)
        for name, look in (
            ("rule_fault", self._store.faults_since),
            ("quarantine_growth", self._store.quarantined_since),
            ("delivery_dead", self._store.ended_badly_since),
        ):
            for about, (number, reason) in look(since).items():
                self.say(name, about, f"{number} so far, the latest: {reason}")
        self._among("destination_refuses", self._unreached(now))
        self._among("canary_missing", dict([canary] if canary else []))
        if self._monotonic() >= self._next_ledger:
            self._next_ledger = self._monotonic() + LEDGER_EVERY
            self.check_ledger()
        return True

    def _unreached(self, now: float) -> dict[str, str]:
        """Destinations that take nothing, each with the reason: broken ones, and those that fail for STUCK seconds."""
        found: dict[str, str] = {}
        _, oldest = self._store.deliveries_open()
        if oldest is not None and now - oldest > STUCK:
            for waiting in self._store.deliveries(states=("retry", "ambiguous"), limit=1000):
                if now - waiting.created > STUCK:
                    found[waiting.destination] = f"deliveries wait for more than 15 minutes: {waiting.reason}"
        return found | {one.destination: one.reason for one in self._store.breakers() if one.refuses}

    def check_ledger(self) -> None:
        """Every match ends in exactly one outcome, every alert has a delivery. Raises StoreError."""
        ledger = self._store.ledger()
        self._metrics.imbalance.set(ledger.imbalance)
        said = f"{ledger.matches} matches, {sum(ledger.outcomes.values())} outcomes, {ledger.untold} without delivery"
        self._among("ledger_imbalance", {"this store": said} if ledger.imbalance else {})

    def _sources(
        self, sources: Sequence[SourceHealth], now: float, failing_after: timedelta, silent_after: timedelta
    ) -> None:
        failing, silent = {}, {}
        for source in sources:
            state = self._store.source_state(source.name)
            if source.trouble:
                since = now if source.failing_since is None else source.failing_since
                if source.refused or now - since >= failing_after.total_seconds():
                    failing[source.name] = source.trouble
            elif state.last_event is not None and now - state.last_event > silent_after.total_seconds():
                silent[source.name] = f"no new event for {(now - state.last_event) / 3600:.1f} hours"
        self._among("source_failing", failing)
        self._among("source_silent", silent)
