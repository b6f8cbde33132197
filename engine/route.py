"""Who should hear it?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.alert import Alert
from engine.errors import EvaluationError
from engine.expression import Expression


@dataclass(frozen=True, slots=True)
class Route:
    """The first route whose condition holds takes the alert; with *go_on* the next ones are asked as well."""

    to: tuple[str, ...]
    match: Expression | None = None  # over `view(alert)`; None takes everything
    go_on: bool = False


@dataclass(frozen=True, slots=True)
class Mute:
    """A silence in force: alerts that it matches are recorded, not sent."""

    id: str
    match: Expression


@dataclass(frozen=True, slots=True)
class Routing:
    """Where an alert goes, and why: each destination with the route that named it, or the silence that held it back."""

    destinations: tuple[tuple[str, str], ...] = ()
    silenced_by: str = ""


def view(alert: Alert) -> dict[str, Any]:
    """The alert as conditions of routes and silences see it; `event` is the event's fields."""
    norm = alert.fields.get("norm")
    return {
        "id": alert.id,
        "rule_id": alert.rule_id,
        "severity": alert.severity.word,
        "title": alert.title,
        "kind": alert.kind,
        "account": alert.account,
        "group": dict(alert.group),
        "count": alert.count,
        "techniques": list(alert.techniques),
        "norm": dict(norm) if isinstance(norm, Mapping) else {},
        "event": dict(alert.fields),
    }


def destinations(alert: Alert, routes: Sequence[Route], mutes: Iterable[Mute]) -> Routing:
    """
    Where *alert* goes. *mutes* are those in force now.

    A condition that breaks on this alert errs towards telling: a silence does not hold, a route takes it.
    """
    seen = view(alert)
    for mute in mutes:
        if _holds(mute.match, seen, otherwise=False):
            return Routing(silenced_by=mute.id)
    chosen: dict[str, str] = {}
    for number, route in enumerate(routes, start=1):
        if route.match is None or _holds(route.match, seen, otherwise=True):
            why = f"route {number}" + (f": {route.match.text}" if route.match else "")
            for name in route.to:
                chosen.setdefault(name, why)
            if not route.go_on:
                break
    return Routing(tuple(chosen.items()))


def _holds(condition: Expression, seen: dict[str, Any], *, otherwise: bool) -> bool:
    try:
        return condition.holds(seen)
    except EvaluationError:
        return otherwise
