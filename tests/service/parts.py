"""What the tests of sending and of the watch share: a clock that a test turns, and destinations that do as told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from engine.alert import Alert
from engine.delivery import Delivered, Delivery, Outcome
from engine.metrics import Metrics
from engine.rule import Severity
from engine.sending import delivery_id
from engine.store import Store
from engine.vigil import Vigil
from tests.samples import an_alert

NOW = 1_790_000_000.0


@dataclass
class Clock:
    """A wall clock and a monotonic one; `advance` turns both, `set` only the wall clock."""

    wall: float = NOW
    steady: float = 1000.0

    def __call__(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def set(self, step: float) -> None:
        self.wall += step


@dataclass
class Destination:
    """A notifier that answers with *outcomes* in turn, the last one for ever, and keeps what it was given."""

    outcomes: list[Outcome] = field(default_factory=lambda: [Delivered("ok")])
    sent: list[Delivery] = field(default_factory=list)
    pace: timedelta = timedelta(0)

    def send(self, delivery: Delivery) -> Outcome:
        self.sent.append(delivery)
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]

    def preview(self, delivery: Delivery) -> str:
        return delivery.id

    def close(self) -> None: ...


def queue(store: Store, to: str, *, at: float = NOW, number: int = 1, severity: Severity = Severity.HIGH) -> str:
    """An alert and its delivery in the outbox; the id of the delivery."""
    alert = an_alert(id=f"A-{number}", fingerprint=f"f{number}", severity=severity, created=int(at))
    with store.transaction() as tx:
        tx.save_alert(alert)
        tx.queue(delivery_id(alert, to), alert.id, to, at)
    return delivery_id(alert, to)


def a_vigil(
    store: Store,
    clock: Clock,
    *to: str,
    direct: Callable[[Alert, Any], None] = lambda _alert, _to: None,
) -> Vigil:
    return Vigil(store, to=to, clock=clock, monotonic=clock.monotonic, metrics=Metrics(), direct=direct)


def metas(store: Store) -> list[tuple[str, str]]:
    """(rule, about) of every meta-alert, oldest first."""
    found = [alert for alert in reversed(store.alerts(limit=1000)) if alert.kind == "tocsin.meta"]
    return [(alert.rule_id.removeprefix("tocsin.meta."), str(alert.group["about"])) for alert in found]
