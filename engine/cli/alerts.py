"""`tocsin alerts list|show`."""

from __future__ import annotations

from typing import Any

import click

from engine.alert import Alert
from engine.cli.options import config_option, format_option, opened_store, store_option
from engine.cli.show import as_json, at, plain, rows
from engine.errors import TocsinError


@click.group()
def alerts() -> None:
    """List and show alerts."""


@alerts.command("list")
@config_option
@store_option
@format_option
@click.option("--rule", "rule_id", help="Only of this rule.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
def list_(config: str | None, store: str | None, form: str, rule_id: str | None, limit: int) -> None:
    """The newest alerts, newest first."""
    with opened_store(config, store) as opened:
        found = opened.alerts(limit=limit, rule_id=rule_id)
    if form == "json":
        for alert in found:
            as_json(_brief(alert))
    else:
        heads = ("ALERT", "LAST SEEN", "SEVERITY", "EVENTS", "RULE", "TITLE")
        rows(heads, ((a.id, at(a.last_seen), a.severity.word, a.count, a.rule_id, a.title) for a in found))


@alerts.command()
@click.argument("alert_id")
@config_option
@store_option
@format_option
def show(alert_id: str, config: str | None, store: str | None, form: str) -> None:
    """One alert, its evidence and its deliveries."""
    with opened_store(config, store) as opened:
        alert = opened.find_alert(alert_id)
        queued = opened.deliveries(alert_id=alert_id)
    if alert is None:
        raise TocsinError(f"there is no alert {alert_id}")
    if form == "json":
        deliveries = [{"id": d.id, "destination": d.destination, "state": d.state} for d in queued]
        as_json(
            {
                **_brief(alert),
                "matched": alert.matched,
                "reasons": alert.reasons,
                "evidence": alert.evidence,
                "deliveries": deliveries,
            }
        )
        return
    for name, value in _brief(alert).items():
        click.echo(f"{name:12}  {plain(str(value))}")
    click.echo(f"{'matched':12}  {' '.join(alert.matched.split())}")
    for reason in alert.reasons:
        click.echo(f"{'because':12}  {plain(reason)}")
    for note in alert.notes:
        click.echo(f"{'note':12}  {plain(note)}")
    for d in queued:
        click.echo(f"{'delivery':12}  {d.id}: {d.state} {plain(d.reason)}")
    if alert.runbook:
        click.echo(f"\n{alert.runbook}")
    click.echo(f"\n{plain(alert.evidence)}")


def _brief(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "rule_id": alert.rule_id,
        "severity": alert.severity.word,
        "title": alert.title,
        "kind": alert.kind,
        "account": alert.account,
        "first_seen": at(alert.first_seen),
        "last_seen": at(alert.last_seen),
        "count": alert.count,
        "event_ids": list(alert.event_ids),
        "group": dict(alert.group),
        "fingerprint": alert.fingerprint,
    }
