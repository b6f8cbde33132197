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
from engine.exceptions import Hidden
from engine.rule import Severity
from engine.store.windows import WindowRows

DeliveryState = Literal["queued", "sending", "retry", "delivered", "refused", "ambiguous", "dead", "dropped"]
OPEN_STATES: tuple[DeliveryState, ...] = ("queued", "sending", "retry", "ambiguous")


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What became of one match, exactly one per (event, rule): the ledger's line.

    *outcome*: "alert" (told, or to be told, by its deliveries), "merged" (into *alert_id*), "excepted" (by *detail*),
    "silenced" (by *detail*), "unrouted" (no route takes it), "counted" (part of a rule's memory, and of no alert yet).
    """

    event: Identity
    rule_id: str
    outcome: Literal["alert", "merged", "excepted", "silenced", "unrouted", "counted"]
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
    escalated_from: str = ""  # the delivery whose alert this one carries on
    cause: str = ""  # why it was queued, where that is not the route


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver: when, how it ended, and what the destination said."""

    number: int
    at: float
    state: DeliveryState
    reason: str
    receipt: str


@dataclass(frozen=True, slots=True)
class Breaker:
    """
    A destination that takes nothing: its deliveries wait, one is tried at *probe_at*.

    It *refuses* until a person mends it, or else is away: *failures* attempts in a row came to nothing.
    """

    destination: str
    since: float
    probe_at: float
    reason: str
    refuses: bool = True
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """
    Whether every match ended in exactly one recorded outcome.

    *matches* is counted where matches are found, *outcomes* is what the verdicts say; *untold* are verdicts "alert"
    without any delivery.
    """

    matches: int
    outcomes: Mapping[str, int]
    untold: int

    @property
    def imbalance(self) -> int:
        """0 when it adds up."""
        return abs(self.matches - sum(self.outcomes.values())) + self.untold


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """That an event was looked at: at *at*, or at its own time if that is later."""

    identity: Identity
    at: float


@dataclass(frozen=True, slots=True)
class ChangedEvent:
    """That a known event was read again from *source* and said something else, first at *at*."""

    identity: Identity
    source: str
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
    last_event: float | None = None  # when a new one last came, or when the watch began


class Transaction(WindowRows, Protocol):
    """One unit of writing. Leaving it normally commits, durably; leaving it by an exception undoes all."""

    def unseen(self, events: Sequence[Event], at: float, bodies: Sequence[int] = ()) -> list[Event]:
        """
        Those never stored before, first of each identity, in the order given; they count as seen at commit.

        *bodies* are the checksums of what each of them says (`engine.kinds.body`), kept with the ids.
        """
        ...

    def note_changed(self, source: str, events: Sequence[Event], at: float, bodies: Sequence[int]) -> int:
        """
        Of *events*, which are all known, note those that say something else than when they were first seen.

        Each thing said is noted once for each event. Returns how many were new.
        """
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

    def record(self, verdicts: Iterable[Verdict], at: float, *, matches: int | None = None) -> None:
        """
        The verdicts of *matches* matches (as many as there are verdicts, unless it is said): both sides of the ledger.

        A verdict that is known already changes nothing, and neither does its match.
        """
        ...

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

    def hidden(self, exception: str) -> Hidden | None:
        """What the exception with this key has hidden so far."""
        ...

    def save_hidden(self, exception: str, rule_id: str, hidden: Hidden, at: float) -> None: ...


class Store(Protocol):
    """Thread-safe. Raises StoreError for every failure of disk or database, AlreadyRunningError for a second holder."""

    def transaction(self) -> AbstractContextManager[Transaction]: ...

    def close(self) -> None: ...

    # how sources are doing
    def rewind(self, source: str, cursor: Cursor) -> None:
        """
        The cursor goes back to *cursor* if it is later, and so does the last second look: what lies between is read
        again, and known by its ids.
        """
        ...

    def source_state(self, source: str) -> SourceState: ...
    def source_failed(self, source: str, error: str, at: float) -> None: ...
    def hold_source(self, source: str, now: float, lease: float) -> bool:
        """
        Whether *source* is this process's to poll until *now* + *lease*; asked again, it is held longer.

        Always, where no other process can use the store; else only while no other holds it.
        """
        ...

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
        At start: rows that a dead process left `sending` may have been sent; they become ambiguous, due *now*. Who is
        away is tried *now*: it may be back.

        Only the holder of the store may call it, before its senders run. Returns how many there were.
        """
        ...

    def break_destination(
        self, destination: str, reason: str, at: float, probe_at: float, *, refuses: bool = True
    ) -> bool:
        """
        Nothing is claimed for *destination* before *probe_at*. True when it was whole until now.

        One that is only away (not *refuses*) is claimed for those that were tried least often first. What refuses goes
        on refusing: that it fails as well changes nothing.
        """
        ...

    def mend_destination(self, destination: str, at: float) -> bool:
        """It takes messages (again): what waited for it is due *at*. True when it was broken until now."""
        ...

    def count_failure(self, destination: str, delivery_id: str, at: float, *, gap: float) -> int:
        """
        One more attempt that failed though nothing was wrong with the message: how many it were in a row.

        While the destination is not broken, the same delivery failing again is not counted: it may be that one's own
        fault. When nobody tried for *gap* seconds, counting begins anew and who was away is so no longer.
        """
        ...

    def give_up(self, destination: str, queued_before: float, at: float, reason: str) -> int:
        """What waits for *destination* since *queued_before*, and is in nobody's hand, is dead. Returns how many."""
        ...

    def postpone_probe(self, destination: str, probe_at: float) -> None:
        """The probe told nothing: the next one is at *probe_at*. Nothing happens where nothing is broken."""
        ...

    def breakers(self) -> list[Breaker]: ...

    def escalate(self, delivery_id: str, to: tuple[str, str] | None, at: float, cause: str) -> bool:
        """
        The alert of *delivery_id* goes on to (delivery id, destination), due *at*; None: there is nowhere to go.

        Each delivery is escalated once: False when it was before, or when *to* is queued already.
        """
        ...

    def overdue(self, before: float, *, severity: Severity, limit: int = 100) -> list[Queued]:
        """
        Deliveries of alerts at least so severe that were not escalated yet and that ended badly, wait since *before*,
        or wait for a destination that refuses.
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
    def changed(self, event_id: str) -> list[ChangedEvent]: ...
    def faults(self, limit: int = 100) -> list[Mapping[str, Any]]: ...
    def quarantined(self, limit: int = 100) -> list[Mapping[str, Any]]: ...
    def counts(self) -> Mapping[str, int]:
        """`events`, `matches`, `alerts`, `faults`, `quarantined`, `verdict.<outcome>`, `delivery.<state>`."""
        ...

    def ledger(self) -> Ledger: ...

    def faults_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        """Rules that broke after *at*: how often they ever did, and their latest message."""
        ...

    def quarantined_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        """Sources with records quarantined after *at*: how many, and the reason for the latest."""
        ...

    def changed_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        """Sources that gave known events with another body after *at*: how many, and the latest one's id."""
        ...

    def ended_badly_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        """Destinations with deliveries dead or refused after *at*: how many, and the reason of the latest."""
        ...

    def waiting(self) -> Mapping[str, int]:
        """Destinations with deliveries that have not ended: how many."""
        ...

    def last_raised(self, rule_id: str) -> float | None:
        """When the rule's latest alert was created."""
        ...

    def last_delivered(self, rule_id: str) -> float | None:
        """When an alert of the rule last reached a destination."""
        ...

    def deliveries_open(self) -> tuple[int, float | None]:
        """How many deliveries have not ended, and when the oldest of them was queued."""
        ...

    # exceptions
    def exceptions_loaded(self, exceptions: Mapping[str, str], at: float) -> None:
        """Remember when each exception (key -> rule id) was first in force."""
        ...

    def exceptions(self) -> Mapping[str, tuple[float, Hidden | None]]:
        """Key -> when it was first in force, and what it has hidden."""
        ...

    def accept_hidden(self, exception: str) -> bool:
        """A person has looked at what is new among what it hides. False if there is no such exception."""
        ...

    # silences
    def add_silence(self, silence: Silence) -> None: ...
    def silences(self, at: float | None = None) -> list[Silence]:
        """All, or those in force at *at*."""
        ...

    def expire_silence(self, silence_id: str, at: float) -> bool: ...

    # upkeep
    def mark(self, name: str, at: float | None = None) -> float | None:
        """The moment remembered under *name*, after setting it to *at* if that is given."""
        ...

    def shift_clock(self, step: float, now: float) -> None:
        """
        The wall clock was set by *step* seconds, to *now*: what waits keeps waiting as long as it would have, and
        nothing was queued, told, polled or looked at in the future. With a *step* of 0 only the latter: for a clock
        that was set while nobody watched.
        """
        ...

    def probe(self) -> None:
        """Write something and forget it. Raises StoreError when the store cannot be written."""
        ...

    def redaction_key(self) -> bytes:
        """32 random bytes, made once per store, so that equal secrets give equal tokens across restarts."""
        ...

    def expire(self, *, seen_before: float, history_before: float) -> None:
        """Forget seen ids and finished history older than the given times; open deliveries are never forgotten."""
        ...
