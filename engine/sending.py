"""
The second half of the path: claim → deliver → record, and, for a critical alert that did not arrive, → escalate.

It sends what the store holds; what happened is recorded with the attempt, and one policy says when to try again. A
destination that takes nothing is broken: its deliveries wait, unburnt, and one at a time is tried. One that refuses (a
revoked token, a channel that is gone) is tried every minute, until a person has mended it. One at which attempt after
attempt fails (errors of its server, no connection, no answer) is away: it is tried at the pace of a single delivery's
retries, and the first success sends everything. What waited for it for a day is dead, tried or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from engine.alert import Alert
from engine.delivery import Delivered, Delivery, Notifier, Outcome, Refused, TryLater
from engine.meta import KIND as META
from engine.retry import FEWEST, GIVE_UP_AFTER, next_attempt
from engine.route import Route, next_destination
from engine.rule import Severity
from engine.store import DeliveryState, Queued, Store

PROBE_EVERY: Final = timedelta(minutes=1)  # of a destination that refuses
AWAY: Final = 5  # failures in a row, no two after each other at the same delivery
# Failures are in a row while nobody rests longer: of the day after which a delivery is dead, most was spent on trying.
FORGOTTEN_AFTER: Final = timedelta(hours=6)
ESCALATED: Final = Severity.CRITICAL  # what cannot wait


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
    due_by: float | None = None,
) -> tuple[Delivery, Outcome, DeliveryState] | None:
    """
    One attempt at the delivery that has waited longest for *destination*; None when nothing is due.

    With *due_by* (epoch seconds, not later than now) only what was due then: what fails is not due again so soon.
    """
    now = clock()
    asked = now if due_by is None else min(due_by, now)
    delivery = store.claim(destination, asked, lease.total_seconds() + (now - asked))
    if delivery is None:
        return None
    outcome = attempt(notifier, delivery)
    now = clock()
    probe_at = now + PROBE_EVERY.total_seconds()
    match outcome:
        case Delivered(receipt):
            state: DeliveryState = "delivered"
            store.settle(delivery, state, now, receipt=receipt)
            store.mend_destination(destination, now)
        case Refused(reason) if outcome.permanent:
            too_late = now - delivery.queued >= GIVE_UP_AFTER.total_seconds()
            state = "dead" if too_late else "retry"
            store.break_destination(destination, reason, now, probe_at)
            store.settle(delivery, state, now, due=probe_at, reason=reason)
        case Refused(reason):
            state = "refused"
            store.settle(delivery, state, now, reason=reason)
            store.mend_destination(destination, now)  # it looked at the message: it is there, and lets us in
        case TryLater(reason, after, ambiguous):
            due = next_attempt(attempt=delivery.attempt, now=now, created=delivery.queued, after=after, chance=chance())
            state = "dead" if due is None else "ambiguous" if ambiguous else "retry"
            store.settle(delivery, state, now, due=due or 0.0, reason=reason)
            store.postpone_probe(destination, probe_at if after is None else max(probe_at, due or 0.0))
            if (after is None or not outcome.limited) and _fail(store, delivery, reason, now, after, chance()):
                state = "dead"
    return delivery, outcome, state


def _fail(store: Store, delivery: Delivery, reason: str, now: float, after: timedelta | None, chance: float) -> bool:
    """
    The destination failed once more: it may be away now. True when *delivery* was given up for that.

    What waited a day for a destination that was tried often enough is given up, though not each of them was tried.
    """
    destination = delivery.destination
    failures = store.count_failure(destination, delivery.id, now, gap=FORGOTTEN_AFTER.total_seconds())
    if failures < AWAY:
        return False
    # As many probes as a single delivery would have had attempts. It is no delivery: when to give up is not its matter.
    probe_at = next_attempt(attempt=failures - AWAY + 1, now=now, created=now, after=after, chance=chance)
    assert probe_at is not None
    store.break_destination(destination, reason, now, probe_at, refuses=False)
    if failures < FEWEST:
        return False
    too_long = now - GIVE_UP_AFTER.total_seconds()
    store.give_up(destination, too_long, now, reason)
    return delivery.queued <= too_long


def attempt(notifier: Notifier, delivery: Delivery) -> Outcome:
    """What `send` says; whatever it raises is a failed attempt that may have arrived, told by its type alone."""
    try:
        return notifier.send(delivery)
    except Exception as error:  # noqa: BLE001 a notifier's own fault must not end the sender; its text may hold secrets
        return TryLater(f"the notifier broke: {type(error).__name__}", ambiguous=True)


def escalate(store: Store, routes: Sequence[Route], now: float, *, patience: timedelta) -> list[tuple[Queued, str]]:
    """
    Critical alerts that did not reach a destination go to the next one of their route, at once.

    That is: refused, dead, waiting for a broken destination, or undelivered for *patience*. The delivery itself keeps
    its state, and goes on being tried where it still is. Returns each with the destination that it went on to.
    """
    gone_on = []
    for failed in store.overdue(now - patience.total_seconds(), severity=ESCALATED):
        alert = store.find_alert(failed.alert_id)
        found = None
        if alert is not None and alert.kind != META:
            tried = {one.destination for one in store.deliveries(alert_id=alert.id)}
            found = next_destination(alert, routes, failed.destination, tried)
        if alert is None or found is None:
            store.escalate(failed.id, None, now, "")
            continue
        name, why = found
        cause = f"{failed.destination}: {failed.state}, {failed.reason or 'not delivered yet'}; next by {why}"
        if store.escalate(failed.id, (delivery_id(alert, name), name), now, cause):
            gone_on.append((failed, name))
    return gone_on
