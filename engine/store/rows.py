"""How rows are read, and keys are made, in every store: a database may be another one, an event's key may not."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from engine import alert as alerts_
from engine.event import Identity
from engine.exceptions import Hidden
from engine.store import Breaker, Queued

QUEUED = (
    "id",
    "alert_id",
    "destination",
    "state",
    "attempts",
    "due",
    "created",
    "updated",
    "reason",
    "receipt",
    "escalated_from",
    "cause",
)
SELECT_QUEUED = f"SELECT o.{', o.'.join(QUEUED)}, a.body FROM outbox o JOIN alerts a ON a.id = o.alert_id"
OPEN = "('queued', 'sending', 'retry', 'ambiguous')"
WAITING = "('queued', 'retry', 'ambiguous')"  # open, and in nobody's hand
TROUBLED = "SELECT 1 FROM breakers WHERE destination={0} UNION ALL SELECT 1 FROM failing WHERE destination={0}"
SELECT_BREAKERS = (
    "SELECT b.destination, b.since, b.probe_at, b.reason, b.refuses, coalesce(f.failures, 0)"
    " FROM breakers b LEFT JOIN failing f ON f.destination = b.destination ORDER BY b.destination"
)


def queued(row: tuple[Any, ...]) -> Queued:
    """A delivery from a row of SELECT_QUEUED."""
    alert = alerts_.decode(row[-1])
    named = dict(zip(QUEUED, row, strict=False))
    return Queued(**named, title=alert.title, severity=alert.severity.word)


def breaker(row: tuple[Any, ...]) -> Breaker:
    """A broken destination from a row of SELECT_BREAKERS."""
    destination, since, probe_at, reason, refuses, failures = row
    return Breaker(destination, since, probe_at, reason, bool(refuses), failures)


def hidden(body: bytes | None) -> Hidden | None:
    """What an exception has hidden, as it was stored; None: nothing yet."""
    return None if body is None else msgspec.json.decode(body, type=Hidden)


def key(identity: Identity) -> bytes:
    """The sixteen bytes by which an event is known as seen, the same in every store."""
    return digest("\0".join(identity).encode("utf-8", "surrogatepass"))


def digest(data: bytes) -> bytes:
    """Sixteen bytes of BLAKE2b."""
    return hashlib.blake2b(data, digest_size=16).digest()
