"""Who should hear it?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.alert import Alert
from engine.errors import EvaluationError
from engine.expression import Expression


@dataclass(frozen=True, slots=True)
class Route:
    """
    The first route whose condition holds takes the alert; with *go_on* the next ones are asked as well.

    *then* are its next destinations, in this order: each is told when the one before did not get a critical alert.
    """

    to: tuple[str, ...]
    match: Expression | None = None  # over `view(alert)`; None takes everything
    go_on: bool = False
    then: tuple[str, ...] = ()


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
    for why, route in _taking(seen, routes):
        for name in route.to:
            chosen.setdefault(name, why)
    return Routing(tuple(chosen.items()))


def next_destination(
    alert: Alert, routes: Sequence[Route], failed: str, tried: Collection[str]
) -> tuple[str, str] | None:
    """
    Who is told of *alert* when *failed* did not get it, and by which route: the first of `then`, in the routes that
    named *failed*, that is not among *tried*. None when there is none left.
    """
    for why, route in _taking(view(alert), routes):
        if failed in route.to or failed in route.then:
            for name in route.then:
                if name != failed and name not in tried:
                    return name, why
    return None


def _taking(seen: dict[str, Any], routes: Sequence[Route]) -> Iterator[tuple[str, Route]]:
    """The routes that take the alert, each with what it says about itself."""
    for number, route in enumerate(routes, start=1):
        if route.match is None or _holds(route.match, seen, otherwise=True):
            yield f"route {number}" + (f": {route.match.text}" if route.match else ""), route
            if not route.go_on:
                return


def _holds(condition: Expression, seen: dict[str, Any], *, otherwise: bool) -> bool:
    try:
        return condition.holds(seen)
    except EvaluationError:
        return otherwise
