"""`tocsin status`: how everything is doing, from the store."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from engine import packs
from engine.canary import RULE_ID as CANARY
from engine.cli.options import config_option, format_option, opened_store, store_option
from engine.cli.show import as_json, at, plain, rows
from engine.errors import ConfigurationError
from engine.meta import KIND as META
from engine.settings import Loaded, config_file, load
from engine.store import OPEN_STATES, Breaker, Ledger, Queued, SourceState, Store

LATELY = 86400.0  # what happened within a day is wrong now
JUST = 3600.0
MANY = 10_000  # deliveries that wait after a failure and are looked at, the newest
# What the store itself does not show any more: that it was told is all there is.
ONLY_TOLD = frozenset({"clock_step", "disk_full", "not_tracked", "stalled", "store_replaced"})


@dataclass(slots=True)
class Status:
    """What the store says, and in *wrong* one sentence for each thing that asks for a person."""

    sources: list[SourceState] = field(default_factory=list)
    destinations: dict[str, dict[str, Any]] = field(default_factory=dict)
    breakers: list[Breaker] = field(default_factory=list)
    ledger: Ledger = field(default_factory=lambda: Ledger(0, {}, 0))
    counts: dict[str, int] = field(default_factory=dict)
    oldest: float | None = None
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    quarantined: dict[str, tuple[int, str]] = field(default_factory=dict)
    changed: dict[str, tuple[int, str]] = field(default_factory=dict)
    canary: float | None = None
    troubles: list[tuple[float, str, str]] = field(default_factory=list)  # when, rule, title
    silences: int = 0
    rules: int | None = None
    wrong: list[str] = field(default_factory=list)


@click.command()
@config_option
@store_option
@format_option
def status(config: str | None, store: str | None, form: str) -> None:
    """
    Sources, destinations, outbox, ledger, faults, quarantine, rules, canary: how they are doing.

    Looks into the store beside a running service. Exits with 1 when something is wrong, and says what.
    """
    loaded = load(Path(config) if config else config_file(), secrets_needed=False)
    now = time.time()
    with opened_store(config, store) as opened:
        found = look(opened, loaded, now)
    if form == "json":
        as_json(_as_object(found))
    else:
        _print(found, now)
    if found.wrong:
        sys.exit(1)


def look(store: Store, loaded: Loaded, now: float) -> Status:
    """What *store* says at *now* about what *loaded* configures. Raises StoreError."""
    settings = loaded.settings
    found = Status(
        sources=[store.source_state(entry.name) for entry in settings.sources],
        breakers=store.breakers(),
        ledger=store.ledger(),
        counts=dict(store.counts()),
        oldest=store.deliveries_open()[1],
        faults=dict(store.faults_since(now - LATELY)),
        quarantined=dict(store.quarantined_since(now - LATELY)),
        changed=dict(store.changed_since(now - LATELY)),
        silences=len(store.silences(now)),
    )
    names = [entry.name for entry in settings.notifiers]
    found.destinations = {name: _untried() for name in names}
    for destination, number in store.waiting().items():
        found.destinations.setdefault(destination, _untried())["waiting"] = number
    for destination, (number, reason) in store.ended_badly_since(now - LATELY).items():
        known = found.destinations.setdefault(destination, _untried())
        known |= {"ended_badly": number, "reason": reason}
        found.wrong.append(f"destination {destination}: {number} dead or refused in a day, the latest: {reason}")
    for breaker in found.breakers:
        found.wrong.append(
            f"destination {breaker.destination} takes nothing since {at(breaker.since)}: {breaker.reason};"
            f" {_next_probe(breaker)}"
        )
    _note_failed_tries(store, found)
    for entry, state in zip(settings.sources, found.sources, strict=True):
        found.wrong += _source_troubles(state, entry.every, settings.meta.source_silent, now)
    if found.oldest is not None and now - found.oldest > max(settings.delivery.escalate_after.total_seconds(), 300.0):
        found.wrong.append(f"a delivery has waited since {at(found.oldest)}")
    if found.ledger.imbalance:
        found.wrong.append(f"the ledger does not add up: it is off by {found.ledger.imbalance}")
    found.wrong += [f"rule {name} broke: {text}" for name, (_, text) in found.faults.items()]
    found.wrong += [
        f"source {name}: {number} records could not be decoded in a day, the latest: {text}"
        for name, (number, text) in found.quarantined.items()
    ]
    found.wrong += [
        f"source {name}: {number} events were read again with another body in a day, the latest: {event_id}"
        for name, (number, event_id) in found.changed.items()
    ]
    found.canary = store.last_delivered(CANARY)
    if settings.canary is not None:
        since = now - (found.canary or 0.0)
        if since > 2 * settings.canary.every.total_seconds():
            found.wrong.append(f"the canary: last arrived {at(found.canary)}")
    found.troubles = [
        (alert.created, alert.rule_id, alert.title) for alert in store.alerts(limit=200) if alert.kind == META
    ]
    for when, rule, title in found.troubles:
        if now - when < JUST and rule.removeprefix("tocsin.meta.") in ONLY_TOLD:
            found.wrong.append(f"{title} ({at(when)})")
    try:
        found.rules = len(packs.load(settings.rules))
    except ConfigurationError as error:
        found.wrong.append(f"the rules on disk are broken: {len(error.problems)} problems; see `tocsin check`")
    return found


def _note_failed_tries(store: Store, found: Status) -> None:
    """What waits after an attempt that failed: how many attempts that were, and what the latest of them said."""
    latest: dict[str, Queued] = {}
    for waiting in store.deliveries(states=("retry", "ambiguous"), limit=MANY):
        known = found.destinations.setdefault(waiting.destination, _untried())
        known["failed_tries"] += waiting.attempts
        before = latest.get(waiting.destination)
        if before is None or waiting.updated >= before.updated:
            latest[waiting.destination] = waiting
    broken = {one.destination for one in found.breakers}
    for destination, last in sorted(latest.items()):
        known = found.destinations[destination]
        known["latest_failure"] = last.reason
        if destination not in broken:  # else its own line says it
            found.wrong.append(f"destination {destination}: {_failed_tries(known)}")


def _untried() -> dict[str, Any]:
    return {"waiting": 0, "ended_badly": 0, "reason": "", "failed_tries": 0, "latest_failure": ""}


def _failed_tries(destination: dict[str, Any]) -> str:
    tries = destination["failed_tries"]
    return (
        f"{tries} {'try' if tries == 1 else 'tries'} failed of what waits, the latest: {destination['latest_failure']}"
    )


def _next_probe(breaker: Breaker) -> str:
    """What comes next for a destination that takes nothing, and who brings it about."""
    if breaker.refuses:
        return "it refuses until it is mended"
    return f"{breaker.failures} attempts in a row failed, one delivery is tried at {at(breaker.probe_at)}"


def _source_troubles(state: SourceState, every: timedelta, silent: timedelta, now: float) -> list[str]:
    where = f"source {state.name}"
    if state.last_error:
        return [f"{where} cannot be read since {at(state.last_poll)}: {state.last_error}"]
    if state.last_poll is None:
        return [f"{where} was never read"]
    if now - state.last_poll > max(3 * every.total_seconds(), 300.0):
        return [f"{where} was last read {at(state.last_poll)}: does the service run?"]
    if state.last_event is not None and now - state.last_event > silent.total_seconds():
        return [f"{where} gave no new event since {at(state.last_event)}"]
    return []


def _print(found: Status, now: float) -> None:
    heads = ("SOURCE", "LAST READ", "READ UP TO", "NEW EVENTS", "LAST NEW EVENT", "TROUBLE")
    rows(
        heads,
        (
            (
                state.name,
                at(state.last_poll),
                at(state.cursor.until.timestamp()) if state.cursor else "-",
                state.events,
                at(state.last_event),
                state.last_error or "-",
            )
            for state in found.sources
        ),
    )
    click.echo()
    broken = {one.destination: one.reason for one in found.breakers}
    rows(
        ("DESTINATION", "WAITING", "FAILED IN A DAY", "STATE"),
        (
            (
                name,
                one["waiting"],
                one["ended_badly"],
                broken.get(name) or (_failed_tries(one) if one["failed_tries"] else "ok"),
            )
            for name, one in found.destinations.items()
        ),
    )
    click.echo()
    counts = found.counts
    waiting = sum(counts.get(f"delivery.{state}", 0) for state in OPEN_STATES)
    ended = ", ".join(
        f"{counts[f'delivery.{state}']} {state}"
        for state in ("delivered", "refused", "dead", "dropped")
        if counts.get(f"delivery.{state}")
    )
    oldest = f", the oldest {now - found.oldest:.0f} s" if found.oldest is not None else ""
    click.echo(f"outbox      {waiting} waiting{oldest}" + (f"; {ended}" if ended else ""))
    outcomes = ", ".join(f"{number} {name}" for name, number in sorted(found.ledger.outcomes.items())) or "none"
    sound = "it adds up" if not found.ledger.imbalance else f"OFF BY {found.ledger.imbalance}"
    click.echo(f"ledger      {found.ledger.matches} matches: {outcomes}; {sound}")
    click.echo(f"rules       {'-' if found.rules is None else found.rules}")
    click.echo(f"faults      {sum(n for n, _ in found.faults.values())} of {len(found.faults)} rules in a day")
    click.echo(f"quarantine  {counts.get('quarantined', 0)} records")
    click.echo(f"changed     {sum(n for n, _ in found.changed.values())} events read again with another body in a day")
    click.echo(f"silences    {found.silences} in force")
    click.echo(f"canary      last arrived {at(found.canary)}")
    for when, _, title in found.troubles[:5]:
        click.echo(f"told        {at(when)}  {plain(title)}")
    click.echo()
    for line in found.wrong:
        click.echo(f"WRONG: {plain(line)}")
    if not found.wrong:
        click.echo("all is well")


def _as_object(found: Status) -> dict[str, Any]:
    return {
        "ok": not found.wrong,
        "wrong": found.wrong,
        "sources": [
            {**asdict(state), "cursor": state.cursor.until.timestamp() if state.cursor else None}
            for state in found.sources
        ],
        "destinations": found.destinations,
        "broken": [asdict(one) for one in found.breakers],
        "outbox": {name: number for name, number in found.counts.items() if name.startswith("delivery.")},
        "oldest_waiting": found.oldest,
        "ledger": {**asdict(found.ledger), "imbalance": found.ledger.imbalance},
        "faults": {name: {"count": number, "latest": text} for name, (number, text) in found.faults.items()},
        "quarantine": {name: {"count": number, "latest": text} for name, (number, text) in found.quarantined.items()},
        "changed": {name: {"count": number, "latest": text} for name, (number, text) in found.changed.items()},
        "rules": found.rules,
        "silences": found.silences,
        "canary": found.canary,
        "told": [{"at": when, "rule_id": rule, "title": title} for when, rule, title in found.troubles],
    }
