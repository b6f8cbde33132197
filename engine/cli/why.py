"""`tocsin why EVENT_ID`: what became of one event, with times."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from engine.cli.options import config_option, format_option, opened_store, store_option
from engine.cli.show import as_json, at, plain


@click.command()
@click.argument("event_id")
@config_option
@store_option
@format_option
def why(event_id: str, config: str | None, store: str | None, form: str) -> None:
    """What became of the event EVENT_ID: seen or not, which rules it met, what was told to whom, and when."""
    with opened_store(config, store) as opened:
        seen = opened.seen(event_id)
        changed = opened.changed(event_id)
        verdicts = opened.verdicts(event_id)
        deliveries = {v.alert_id: opened.deliveries(alert_id=v.alert_id) for v, _ in verdicts if v.alert_id}
        attempts = {d.id: opened.attempts(d.id) for queued in deliveries.values() for d in queued}
    if form == "json":
        as_json(
            {
                "event_id": event_id,
                "seen": [{"kind": s.identity.kind, "account": s.identity.account, "at": s.at} for s in seen],
                "changed": [
                    {"kind": c.identity.kind, "account": c.identity.account, "source": c.source, "at": c.at}
                    for c in changed
                ],
                "verdicts": [
                    {
                        "rule_id": v.rule_id,
                        "outcome": v.outcome,
                        "alert_id": v.alert_id or None,
                        "detail": v.detail,
                        "at": when,
                        "deliveries": [
                            {
                                "id": d.id,
                                "destination": d.destination,
                                "state": d.state,
                                "attempts": d.attempts,
                                "queued": d.created,
                                "escalated_from": d.escalated_from or None,
                                "cause": d.cause or None,
                                "tries": [asdict(one) for one in attempts[d.id]],
                            }
                            for d in deliveries.get(v.alert_id, [])
                        ],
                    }
                    for v, when in verdicts
                ],
            }
        )
    elif not seen and not verdicts:
        click.echo(f"{plain(event_id)}: never seen, or forgotten since (retention.seen)")
    else:
        for s in seen:
            click.echo(f"{at(s.at)}  seen: {s.identity.kind}, account {plain(s.identity.account) or '-'}")
        for c in changed:
            where = f"source {plain(c.source)}, account {plain(c.identity.account) or '-'}"
            click.echo(f"{at(c.at)}  read again with another body ({where}): not looked at, rules saw the first")
        if not verdicts:
            click.echo("no rule met it")
        for verdict, when in verdicts:
            line = f"{at(when)}  {verdict.rule_id}: {verdict.outcome}"
            line += f" {verdict.alert_id}" if verdict.alert_id else ""
            click.echo(line + (f" ({plain(verdict.detail)})" if verdict.detail else ""))
            for queued in deliveries.get(verdict.alert_id, []):
                click.echo(f"    {queued.id}: {queued.state}, {queued.attempts} attempts, queued {at(queued.created)}")
                if queued.escalated_from:
                    click.echo(f"        escalated from {queued.escalated_from}: {plain(queued.cause)}")
                for one in attempts[queued.id]:
                    said = plain(one.reason or one.receipt)
                    click.echo(f"        {at(one.at)}  {one.state}" + (f"  {said}" if said else ""))
    if not seen and not verdicts:
        sys.exit(1)
