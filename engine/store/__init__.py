"""
The store: everything that must outlive the process.

Kill the process at any instruction and start it again: a page and all that follows from it (seen ids, matches, alerts,
outbox rows, faults, quarantine, windows, cursor) is written in ONE transaction, and a delivery leaves the outbox only
with its outcome. Times are epoch seconds (UTC, float where waiting matters); the caller gives them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from engine.alert import Alert, Fault
from engine.dedup import Told
from engine.delivery import Delivery
from engine.event import Cursor, Event, Identity, Quarantined

DeliveryState = Literal["queued", "sending", "retry", "delivered", "refused", "ambiguous", "dead", "dropped"]
OPEN_STATES: tuple[DeliveryState, ...] = ("queued", "sending", "retry", "ambiguous")


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What became of one match, exactly one per (event, rule): the ledger's line.

    *outcome*: "alert" (told, or to be told, by its deliveries), "merged" (into *alert_id*), "excepted" (by *detail*),
    "silenced" (by *detail*), "unrouted" (no route takes it).
    """

    event: Identity
    rule_id: str
    outcome: Literal["alert", "merged", "excepted", "silenced", "unrouted"]
    alert_id: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Queued:
    """One delivery as the outbox holds it."""

    id: str
    alert_id: str
    destination: str
    state: DeliveryState
    attempts: int
    due: float
    created: float
    updated: float
    reason: str  # of the last attempt
    receipt: str
    title: str = ""
    severity: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver: when, how it ended, and what the destination said."""

    number: int
    at: float
    state: DeliveryState
    reason: str
    receipt: str


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """That an event was looked at: at *at*, or at its own time if that is later."""

    identity: Identity
    at: float


@dataclass(frozen=True, slots=True)
class Silence:
    """A person asked for quiet: matching alerts are recorded, not sent, until *ends*."""

    id: str
    match: str  # JMESPath over the alert
    author: str
    comment: str
    starts: float
    ends: float


@dataclass(frozen=True, slots=True)
class SourceState:
    """How one source is doing."""

    name: str
    cursor: Cursor | None
    last_poll: float | None  # the last one that came through
    last_error: str
    last_error_at: float | None
    last_second_look: float | None
    events: int  # new ones, since the store was made


class Transaction(Protocol):
    """One unit of writing. Leaving it normally commits, durably; leaving it by an exception undoes all."""

    def unseen(self, events: Sequence[Event], at: float) -> list[Event]:
        """Those never stored before, first of each identity, in the order given; they count as seen at commit."""
        ...

    def told(self, fingerprint: str) -> Told | None: ...

    def alert(self, alert_id: str) -> Alert | None: ...

    def save_alert(self, alert: Alert) -> None:
        """Insert or, for a known id, update."""
        ...

    def save_told(self, fingerprint: str, told: Told) -> None: ...

    def queue(self, delivery_id: str, alert_id: str, destination: str, due: float) -> None:
        """A row in the outbox; nothing happens if *delivery_id* is known already."""
        ...

    def record(self, verdicts: Iterable[Verdict], at: float) -> None: ...

    def save_faults(self, faults: Iterable[Fault], at: float) -> None:
        """One row per (rule, message), counted; the latest event is kept as the example."""
        ...

    def quarantine(self, source: str, items: Iterable[Quarantined], at: float) -> int:
        """How many were new; the same bytes are kept once."""
        ...

    def move_cursor(self, source: str, cursor: Cursor) -> None:
        """Never backwards."""
        ...

    def polled(self, source: str, at: float, *, new_events: int, second_look: bool = False) -> None: ...


class Store(Protocol):
    """Thread-safe. Raises StoreError for every failure of disk or database, AlreadyRunningError for a second holder."""

    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def close(self) -> None: ...

    # how sources are doing
    def source_state(self, source: str) -> SourceState: ...
    def source_failed(self, source: str, error: str, at: float) -> None: ...

    # the outbox, for one sender per destination
    def claim(self, destination: str, now: float, lease: float) -> Delivery | None:
        """
        The due delivery that has waited longest, now `sending` until *now* + *lease* (a conditional update: nobody else
        gets it). A row whose lease has run out may have been sent: it is claimed again, as ambiguous.
        """
        ...

    def settle(
        self,
        delivery: Delivery,
        state: DeliveryState,
        at: float,
        *,
        due: float = 0.0,
        reason: str = "",
        receipt: str = "",
    ) -> None:
        """The outcome of one attempt: recorded with it, and the next due time if there is to be one."""
        ...

    def release(self, now: float) -> int:
        """
        At start: rows that a dead process left `sending` may have been sent; they become ambiguous, due *now*.

        Only the holder of the store may call it, before its senders run. Returns how many there were.
        """
        ...

    def next_due(self, destination: str) -> float | None: ...
    def requeue(self, delivery_id: str, at: float) -> bool: ...
    def drop(self, delivery_id: str, at: float, reason: str) -> bool: ...

    # asking
    def alerts(self, *, limit: int = 50, rule_id: str | None = None) -> list[Alert]: ...
    def find_alert(self, alert_id: str) -> Alert | None: ...
    def deliveries(
        self, *, states: Sequence[DeliveryState] = (), alert_id: str | None = None, limit: int = 100
    ) -> list[Queued]: ...
    def find_delivery(self, delivery_id: str) -> Queued | None: ...
    def attempts(self, delivery_id: str) -> list[Attempt]: ...
    def verdicts(self, event_id: str) -> list[tuple[Verdict, float]]: ...
    def seen(self, event_id: str) -> list[SeenEvent]: ...
    def faults(self, limit: int = 100) -> list[Mapping[str, Any]]: ...
    def quarantined(self, limit: int = 100) -> list[Mapping[str, Any]]: ...
    def counts(self) -> Mapping[str, int]:
        """`events`, `matches`, `alerts`, `faults`, `quarantined`, `verdict.<outcome>`, `delivery.<state>`."""
        ...

    def deliveries_open(self) -> tuple[int, float | None]:
        """How many deliveries have not ended, and when the oldest of them was queued."""
        ...

    # silences
    def add_silence(self, silence: Silence) -> None: ...
    def silences(self, at: float | None = None) -> list[Silence]:
        """All, or those in force at *at*."""
        ...

    def expire_silence(self, silence_id: str, at: float) -> bool: ...

    # upkeep
    def redaction_key(self) -> bytes:
        """32 random bytes, made once per store, so that equal secrets give equal tokens across restarts."""
        ...

    def expire(self, *, seen_before: float, history_before: float) -> None:
        """Forget seen ids and finished history older than the given times; open deliveries are never forgotten."""
        ...
