"""
Nouns of telling: a Delivery is one alert for one destination, an Outcome is what became of one attempt.

Failing to deliver is a value. A notifier makes one attempt and says what happened; one place (the outbox) decides when
to try again. Library retries are off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from engine.alert import Alert


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination has it; *receipt* is what it called the message (a Slack ts, an HTTP status)."""

    receipt: str = ""


@dataclass(frozen=True, slots=True)
class TryLater:
    """
    Not this time: rate limited, server error, no connection.

    *after*: the destination asked to wait so long. *ambiguous*: the message may have arrived (the answer was lost
    after the body had left), so a repeat must carry the same id. *limited*: it takes messages, but fewer at a time.
    """

    reason: str
    after: timedelta | None = None
    ambiguous: bool = False
    limited: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """
    It will never be taken as it is: wrong token, unknown channel, HTTP 4xx. *reason* holds no secret, no URL.

    *permanent*: not this message is wrong but the destination, and it takes none until a person mends it. Two
    refusals with the same reason are equal: this says what to do about it, not what was said.
    """

    reason: str
    permanent: bool = field(default=False, compare=False)


Outcome = Delivered | TryLater | Refused


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert on its way to one destination. *id* is the same at every attempt: the receiver's idempotency key."""

    id: str
    alert: Alert
    destination: str
    attempt: int = 1  # this one, from 1
    earlier_ambiguous: bool = False  # an earlier attempt may have arrived
    queued: float = 0.0  # when it was queued, epoch seconds
    thread: str = ""  # the receipt, here, of the alert that this one takes back: it belongs into the same thread


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: fine, wrong (with what to do), or (*fine* None) not to be known from here."""

    fine: bool | None
    what: str  # one sentence, without secrets
    to_do: str = ""


@runtime_checkable
class Checkable(Protocol):
    """A notifier that can look at its destination without telling it anything."""

    def check(self) -> Sequence[Finding]:
        """What is right and wrong with the destination; nothing that anybody there would see. Never raises."""
        ...


class Notifier(Protocol):
    """One configured destination. Used by one thread at a time."""

    @property
    def pace(self) -> timedelta:
        """The least time between two sends that the destination tolerates (Slack: 1 s)."""
        ...

    def send(self, delivery: Delivery) -> Outcome:
        """One attempt, within 30 s. Expected failures are values; whatever it raises counts as TryLater."""
        ...

    def preview(self, delivery: Delivery) -> str:
        """What would be sent, as text for a person, without network; secrets masked."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NotifierPlugin:
    """What a module in `notifiers/` exports as PLUGIN: its settings (strict) and how to build one from them."""

    settings: type[BaseModel]
    build: Callable[[str, Any], Notifier]  # (destination name, settings instance)
