"""Have we said this already? And the reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from engine.alert import EVENT_IDS_KEPT, Alert
from engine.rule import Severity


class Reason(StrEnum):
    """Why an alert is told, or why it is not."""

    FIRST = "first of its story"
    QUIET_OVER = "its quiet period is over"
    SEVERITY_ROSE = "more severe than what was told"
    MERGED = "told already within its quiet period"

    @property
    def tells(self) -> bool:
        return self is not Reason.MERGED


@dataclass(frozen=True, slots=True)
class Told:
    """What was last told of a story: which alert, how severe, and when (epoch seconds of the telling)."""

    alert_id: str
    severity: Severity
    at: float


def decide(
    alert: Alert, told: Told | None, earlier: Alert | None, quiet: timedelta, now: float
) -> tuple[Alert, Reason]:
    """
    Whether *alert* is a new thing to say. *told* is the last telling of its story and *earlier* the alert it was.

    When it is not, the alert returned is *earlier* grown by this one: its count, ids and times. A rise in severity
    breaks the silence, once per level. An event never raises its story twice: an alert whose id was told is merged.
    """
    reason = why(alert, told if earlier else None, quiet, now)
    if reason.tells or earlier is None:
        return alert, reason
    return (earlier if alert.id == earlier.id else merged(earlier, alert)), reason


def why(alert: Alert, told: Told | None, quiet: timedelta, now: float) -> Reason:
    """The reason alone, for who keeps the story's count elsewhere."""
    if told is None:
        return Reason.FIRST
    if alert.id == told.alert_id:
        return Reason.MERGED
    if alert.severity > told.severity:
        return Reason.SEVERITY_ROSE
    return Reason.QUIET_OVER if now - told.at >= quiet.total_seconds() else Reason.MERGED


def merged(earlier: Alert, later: Alert) -> Alert:
    """*earlier* with what *later* adds; the first EVENT_IDS_KEPT ids are kept, the count is exact."""
    ids = earlier.event_ids + tuple(i for i in later.event_ids if i not in earlier.event_ids)
    return replace(
        earlier,
        first_seen=min(earlier.first_seen, later.first_seen),
        last_seen=max(earlier.last_seen, later.last_seen),
        count=earlier.count + later.count,
        event_ids=ids[:EVENT_IDS_KEPT],
    )
