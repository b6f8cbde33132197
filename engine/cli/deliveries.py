"""`tocsin deliveries list|show|retry|drop`."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import cast

import click

from engine.cli.options import config_option, format_option, opened_store, store_option
from engine.cli.show import as_json, at, plain, rows
from engine.errors import TocsinError
from engine.store import OPEN_STATES, DeliveryState

STATES = ("queued", "sending", "retry", "delivered", "refused", "ambiguous", "dead", "dropped")


@click.group()
def deliveries() -> None:
    """List, show, retry and drop deliveries."""


@deliveries.command("list")
@config_option
@store_option
@format_option
@click.option("--state", "states", multiple=True, type=click.Choice([*STATES, "open"]), help="Only in this state.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
def list_(config: str | None, store: str | None, form: str, states: tuple[str, ...], limit: int) -> None:
    """The newest deliveries, newest first; `--state open` for those that have not ended."""
    wanted = [s for state in states for s in (OPEN_STATES if state == "open" else (cast("DeliveryState", state),))]
    with opened_store(config, store) as opened:
        found = opened.deliveries(states=wanted, limit=limit)
    if form == "json":
        for one in found:
            as_json(asdict(one))
    else:
        heads = ("DELIVERY", "STATE", "TRIES", "UPDATED", "SEVERITY", "TITLE", "REASON")
        rows(heads, ((d.id, d.state, d.attempts, at(d.updated), d.severity, d.title, d.reason) for d in found))


@deliveries.command()
@click.argument("delivery_id")
@config_option
@store_option
@format_option
def show(delivery_id: str, config: str | None, store: str | None, form: str) -> None:
    """One delivery and every attempt at it."""
    with opened_store(config, store) as opened:
        found = opened.find_delivery(delivery_id)
        tries = opened.attempts(delivery_id)
    if found is None:
        raise TocsinError(f"there is no delivery {delivery_id}")
    if form == "json":
        as_json({**asdict(found), "tries": [asdict(one) for one in tries]})
        return
    due = f", due {at(found.due)}" if found.state in OPEN_STATES else ""
    click.echo(f"{found.id}: {found.state}{due}\n{found.severity}: {plain(found.title)}")
    if found.escalated_from:
        click.echo(f"escalated from {found.escalated_from}: {plain(found.cause)}")
    rows(
        ("TRY", "AT", "STATE", "SAID"),
        ((one.number, at(one.at), one.state, one.reason or one.receipt) for one in tries),
    )


@deliveries.command()
@click.argument("delivery_ids", nargs=-1, required=True)
@config_option
@store_option
def retry(delivery_ids: tuple[str, ...], config: str | None, store: str | None) -> None:
    """Send again, now: refused, dead, dropped or waiting deliveries. A delivered one is never sent again."""
    with opened_store(config, store) as opened:
        for delivery_id in delivery_ids:
            if not opened.requeue(delivery_id, time.time()):
                raise TocsinError(f"{delivery_id} is not there, is being sent, or was delivered")
            click.echo(f"{delivery_id}: queued")


@deliveries.command()
@click.argument("delivery_ids", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why it need not be sent; it is kept with the delivery.")
@config_option
@store_option
def drop(delivery_ids: tuple[str, ...], reason: str, config: str | None, store: str | None) -> None:
    """Give up deliveries that have not ended."""
    with opened_store(config, store) as opened:
        for delivery_id in delivery_ids:
            if not opened.drop(delivery_id, time.time(), f"dropped by hand: {reason}"):
                raise TocsinError(f"{delivery_id} is not there, is being sent, or has ended")
            click.echo(f"{delivery_id}: dropped")
