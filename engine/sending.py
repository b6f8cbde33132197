"""
The second half of the path: claim → deliver → record.

It sends what the store holds; what happened is recorded with the attempt, and one policy says when to try again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from engine.alert import Alert
from engine.delivery import Delivered, Delivery, Notifier, Outcome, Refused, TryLater
from engine.retry import next_attempt
from engine.store import DeliveryState, Store


def delivery_id(alert: Alert, destination: str) -> str:
    """The receiver's idempotency key: the same at every attempt, and no "." in it (Standard Webhooks 1.0.0)."""
    return f"{alert.id}-{destination}".replace(".", "-")


def deliver(
    notifier: Notifier,
    destination: str,
    store: Store,
    *,
    clock: Callable[[], float],
    chance: Callable[[], float],
    lease: timedelta = timedelta(minutes=2),
) -> tuple[Delivery, Outcome, DeliveryState] | None:
    """One attempt at the delivery that has waited longest for *destination*; None when nothing is due."""
    delivery = store.claim(destination, clock(), lease.total_seconds())
    if delivery is None:
        return None
    outcome = attempt(notifier, delivery)
    now = clock()
    match outcome:
        case Delivered(receipt):
            state: DeliveryState = "delivered"
            store.settle(delivery, state, now, receipt=receipt)
        case Refused(reason):
            state = "refused"
            store.settle(delivery, state, now, reason=reason)
        case TryLater(reason, after, ambiguous):
            due = next_attempt(attempt=delivery.attempt, now=now, created=delivery.queued, after=after, chance=chance())
            state = "dead" if due is None else "ambiguous" if ambiguous else "retry"
            store.settle(delivery, state, now, due=due or 0.0, reason=reason)
    return delivery, outcome, state


def attempt(notifier: Notifier, delivery: Delivery) -> Outcome:
    """What `send` says; whatever it raises is a failed attempt that may have arrived, told by its type alone."""
    try:
        return notifier.send(delivery)
    except Exception as error:  # noqa: BLE001 a notifier's own fault must not end the sender; its text may hold secrets
        return TryLater(f"the notifier broke: {type(error).__name__}", ambiguous=True)
