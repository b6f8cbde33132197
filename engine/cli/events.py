"""`tocsin events`: look into what sources give, and into what could not be decoded."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import click

from engine.cli.options import config_option, configuration, format_option, opened_store, store_option
from engine.cli.show import as_json, at, plain, rows
from engine.errors import TocsinError
from engine.event import Cursor
from engine.strict_yaml import duration


@click.group()
def events() -> None:
    """Fetch events from a source, list the quarantine and the faults."""


@events.command()
@click.argument("source")
@config_option
@click.option("--last", "span", default="1h", show_default=True, metavar="SPAN", help="How far back: 15m, 1h, 7d.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option("--full", is_flag=True, help="Every field as rules see it (JSON lines), not one line each.")
def fetch(source: str, config: str | None, span: str, limit: int, full: bool) -> None:
    """Read SOURCE now and print its events; nothing is stored and nobody is told."""
    from engine import kinds, plugins

    loaded = configuration(config)
    entry = next((one for one in loaded.settings.sources if one.name == source), None)
    if entry is None:
        names = ", ".join(one.name for one in loaded.settings.sources) or "none"
        raise TocsinError(f"no source is called {source!r}; there are: {names}")
    try:
        back = duration(span)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--last") from None
    reader = plugins.source(entry.type).build(entry.name, loaded.source_settings[source])
    kind = kinds.kind(reader.kind, redaction_key=secrets.token_bytes(32))
    now = datetime.now(UTC)
    left = limit
    try:
        for page in reader.fetch(Cursor(now - max(back, timedelta(seconds=1))), now):
            for record in page.records:
                decoded = kind.decode(record)
                if decoded.quarantined is not None:
                    click.echo(plain(f"cannot be decoded: {decoded.quarantined.reason}"), err=True)
                if decoded.event is None:
                    continue
                if full:
                    as_json(decoded.event.fields)
                else:
                    norm = decoded.event.fields["norm"]
                    who, where = norm["actor"] or "-", norm["ip"] or "-"
                    event = decoded.event
                    click.echo(plain(f"{at(event.time)} {event.event_id} {event.name} {norm['outcome']} {who} {where}"))
                left -= 1
                if left == 0:
                    return
    finally:
        reader.close()


@events.command()
@config_option
@store_option
@format_option
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
def quarantine(config: str | None, store: str | None, form: str, limit: int) -> None:
    """Records that could not be decoded, newest first, with the reason; secrets in them are replaced."""
    with opened_store(config, store) as opened:
        found = opened.quarantined(limit)
        total = opened.counts()["quarantined"]
    if form == "json":
        for one in found:
            as_json({**one, "raw": bytes(one["raw"]).decode("utf-8", "replace")})
        return
    rows(("AT", "SOURCE", "REASON", "RECORD"), (_quarantine_row(one) for one in found))
    click.echo(f"{len(found)} of {total}", err=True)


def _quarantine_row(one: object) -> tuple[str, ...]:
    assert isinstance(one, dict)
    text = bytes(one["raw"]).decode("utf-8", "replace")
    return at(one["at"]), one["source"], one["reason"], text if len(text) <= 80 else text[:79] + "…"


@events.command()
@config_option
@store_option
@format_option
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
def faults(config: str | None, store: str | None, form: str, limit: int) -> None:
    """Rules that broke on events, newest first, with how often."""
    with opened_store(config, store) as opened:
        found = opened.faults(limit)
    if form == "json":
        for one in found:
            as_json(one)
        return
    rows(
        ("LAST", "TIMES", "RULE", "EVENT", "MESSAGE"),
        ((at(f["last_at"]), f["count"], f["rule_id"], f["event_id"], f["message"]) for f in found),
    )
