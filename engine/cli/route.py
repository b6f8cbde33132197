"""`tocsin route --event FILE`: what would happen to an event, without network and without a trace."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from engine import kinds, packs, plugins
from engine.alert import Alert, Fault, Match
from engine.cli.options import config_option, format_option
from engine.cli.show import as_json, plain
from engine.correlate import raise_alert
from engine.delivery import Delivery
from engine.errors import DecodeError, StoreError
from engine.evaluate import evaluate
from engine.event import Event, Identity
from engine.kinds import MODULES, Kind
from engine.route import Mute, Route, Routing, destinations
from engine.rule import RuleSet
from engine.sending import delivery_id
from engine.settings import Loaded, config_file, load


@dataclass(frozen=True, slots=True)
class Way:
    """What one match would become."""

    match: Match
    alert: Alert
    excepted: str  # the exception's reason, "" where there is none
    routing: Routing
    then: dict[str, tuple[str, ...]]  # destination -> who is next when it does not get a critical alert


@click.command()
@click.option("--event", "event_file", required=True, metavar="FILE", help='The event: a record or some fields ("-").')
@click.option("--rules", "rules", multiple=True, metavar="PATH", help="Rules, instead of the configuration's.")
@click.option("--kind", default="tencent.cloudaudit", show_default=True, help="Kind of an event given by a few fields.")
@click.option("--message/--no-message", default=True, help="Show the message as each destination would get it.")
@config_option
@format_option
def route(event_file: str, rules: tuple[str, ...], kind: str, message: bool, config: str | None, form: str) -> None:
    """
    What would happen to the event in FILE: rules that it meets, alert, silences, route and why, and each message.

    Nothing is sent, stored or asked. What was told before is not looked at: a story may be quiet at this moment.
    Exits with 1 when nobody would be told, with 2 when FILE holds no event, with 74 when it cannot be read.
    """
    loaded = load(
        Path(config) if config else config_file(),
        overrides={"rules": list(rules)} if rules else None,
        secrets_needed=False,
    )
    ruleset = packs.load(loaded.settings.rules)
    routes = loaded.routes(ruleset.lists)
    mutes = _mutes(loaded, ruleset)
    told = False
    for event, reader in _events(event_file, kind):
        ways, faults = _ways(event, reader, ruleset, routes, mutes)
        previews = {way.alert.id: _previews(way, loaded) for way in ways} if message else {}
        told = told or any(way.routing.destinations and not way.excepted for way in ways)
        if form == "json":
            as_json(_as_object(event, ways, faults, previews))
        else:
            for line in _lines(event, ways, faults, previews):
                click.echo(line)
    if not told:
        sys.exit(1)


def _events(event_file: str, kind_name: str) -> Iterator[tuple[Event, Kind]]:
    """
    The events in the file, or the one that a few fields stand for. One without a time is taken to happen now.

    Raises click.BadParameter when there is none, OSError when the file cannot be read.
    """
    from engine.sources import files

    key = secrets.token_bytes(32)
    if kind_name not in MODULES:
        raise click.BadParameter(f"kinds: {', '.join(MODULES)}", param_hint="--kind")
    troubles: list[str] = []
    found = 0
    raw = sys.stdin.buffer.read() if event_file == "-" else Path(event_file).read_bytes()
    if event_file != "-":
        for name, record in files.records([event_file], on_problem=lambda p, m: troubles.append(f"{p}: {m}")):
            reader = kinds.kind(name, redaction_key=key)
            decoded = reader.decode(record)
            if decoded.event is not None:
                found += 1
                yield _dated(decoded.event), reader
            elif decoded.quarantined is not None:
                troubles.append(f"{record.place}: {decoded.quarantined.reason}")
    if found:
        return
    try:
        sample: Any = json.loads(raw)
    except (ValueError, RecursionError):
        sample = None
    if not isinstance(sample, dict):
        raise click.BadParameter("; ".join(troubles) or f"{event_file} holds no event", param_hint="--event")
    reader = kinds.kind(kind_name, redaction_key=key)
    yield _partial(sample, reader), reader


def _dated(event: Event) -> Event:
    """*event*, now if it does not say when."""
    if not event.time:
        event.time = int(time.time())
    return event


def _partial(sample: dict[str, Any], reader: Kind) -> Event:
    """An event of a few fields by hand, read as a rule's test reads it."""
    try:
        fields = reader.view(sample)
    except DecodeError as error:
        raise click.BadParameter(f"this is no event: {error}", param_hint="--event") from None
    norm = fields.get("norm") or {}
    moment = norm.get("time")
    identity = Identity(reader.name, str(norm.get("account") or ""), str(fields.get("eventID") or "(by hand)"))
    return Event(
        identity,
        time=moment if isinstance(moment, int) and moment else int(time.time()),
        name=str(fields.get("eventName") or ""),
        raw=json.dumps(sample).encode(),
        decode=lambda _: fields,
    )


def _mutes(loaded: Loaded, rules: RuleSet) -> Sequence[Mute]:
    """The silences in force, where there is a store to look into."""
    from engine.app import Mutes, open_configured_store, store_path

    url = loaded.settings.store
    if url.startswith("sqlite:") and not Path(store_path(url)).is_file():
        return ()
    try:
        store = open_configured_store(url)
        try:
            return list(Mutes(store, rules.lists)(time.time()))
        finally:
            store.close()
    except StoreError as error:
        click.echo(f"silences cannot be read: {error}", err=True)
        return ()


def _ways(
    event: Event, reader: Kind, rules: RuleSet, routes: Sequence[Route], mutes: Sequence[Mute]
) -> tuple[list[Way], list[Fault]]:
    now = time.time()
    matches, faults = evaluate(rules, event, datetime.fromtimestamp(now, UTC).date())
    ways = []
    for match in matches:
        alert = raise_alert(match, now=now, evidence=reader.evidence(event.raw))
        excepted = "" if match.excepted is None else match.rule.unless[match.excepted].reason
        routing = destinations(alert, routes, mutes)
        then = {name: one.then for name, _ in routing.destinations for one in routes if name in one.to and one.then}
        ways.append(Way(match, alert, excepted, routing, then))
    return ways, faults


def _previews(way: Way, loaded: Loaded) -> dict[str, str]:
    """The message for each destination. Destinations whose secrets are not here are shown with a stand-in's."""
    shown: dict[str, str] = {}
    if way.excepted:
        return shown
    for name, _ in way.routing.destinations:
        entry = next(one for one in loaded.settings.notifiers if one.name == name)
        if name not in loaded.notifier_settings:
            shown[name] = "(it cannot be shown without the destination's secrets)"
            continue
        notifier = plugins.notifier(entry.type).build(name, loaded.notifier_settings[name])
        try:
            delivery = Delivery(delivery_id(way.alert, name), way.alert, name, queued=time.time())
            shown[name] = notifier.preview(delivery)
        finally:
            notifier.close()
    return shown


def _lines(
    event: Event, ways: Sequence[Way], faults: Sequence[Fault], previews: dict[str, dict[str, str]]
) -> Iterator[str]:
    yield f"{plain(event.name or 'event')} {plain(event.event_id)} ({event.kind})"
    for fault in faults:
        yield f"  {fault.rule_id} breaks: {plain(fault.message)}"
    if not ways:
        yield "  meets no rule: nobody is told"
    for way in ways:
        alert = way.alert
        yield f"  {alert.rule_id}: {alert.severity.word}: {plain(alert.title)}"
        if way.match.rule.memory is not None:
            yield "    the rule also looks at other events before it alerts; this is about one event alone"
        if way.excepted:
            yield f"    excepted: {plain(way.excepted)}: nobody is told"
            continue
        if way.routing.silenced_by:
            yield f"    silenced by {way.routing.silenced_by}: nobody is told"
            continue
        if not way.routing.destinations:
            yield "    no route takes it: nobody is told"
        for name, why in way.routing.destinations:
            then = f"; if it does not arrive: {', '.join(way.then[name])}" if way.then.get(name) else ""
            yield f"    to {name} by {plain(why)}{then}"
        for name, text in previews.get(alert.id, {}).items():
            yield f"    --- {name}"
            yield from (f"    {plain(line)}" for line in text.splitlines())


def _as_object(
    event: Event, ways: Sequence[Way], faults: Sequence[Fault], previews: dict[str, dict[str, str]]
) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "kind": event.kind,
        "faults": [{"rule_id": fault.rule_id, "message": fault.message} for fault in faults],
        "matches": [
            {
                "rule_id": way.alert.rule_id,
                "alert_id": way.alert.id,
                "severity": way.alert.severity.word,
                "title": way.alert.title,
                "memory": way.match.rule.memory is not None,
                "excepted": way.excepted or None,
                "silenced_by": way.routing.silenced_by or None,
                "destinations": []
                if way.excepted
                else [
                    {
                        "name": name,
                        "why": why,
                        "then": list(way.then.get(name, ())),
                        "message": previews.get(way.alert.id, {}).get(name),
                    }
                    for name, why in way.routing.destinations
                ],
            }
            for way in ways
        ],
    }
