"""`tocsin notify DESTINATION`: send a test alert over the real way."""

from __future__ import annotations

import sys
import time

import click

from engine import plugins
from engine.alert import Alert
from engine.cli.options import config_option, configuration
from engine.delivery import Delivered, Delivery, Refused, TryLater
from engine.errors import TocsinError
from engine.rule import Severity
from engine.sending import attempt


@click.command()
@click.argument("destination")
@config_option
@click.option("--preview", is_flag=True, help="Print what would be sent; send nothing.")
def notify(destination: str, config: str | None, preview: bool) -> None:
    """Send a test alert, marked TEST, to DESTINATION, and say what it answered."""
    loaded = configuration(config)
    entry = next((one for one in loaded.settings.notifiers if one.name == destination), None)
    if entry is None:
        names = ", ".join(one.name for one in loaded.settings.notifiers) or "none"
        raise TocsinError(f"no notifier is called {destination!r}; there are: {names}")
    notifier = plugins.notifier(entry.type).build(entry.name, loaded.notifier_settings[entry.name])
    try:
        delivery = Delivery(f"T-{int(time.time())}-{destination}", sample(int(time.time())), destination)
        if preview:
            click.echo(notifier.preview(delivery))
            return
        outcome = attempt(notifier, delivery)
    finally:
        notifier.close()
    match outcome:
        case Delivered(receipt):
            click.echo(f"{destination}: delivered" + (f" ({receipt})" if receipt else ""))
        case TryLater(reason, after, _):
            again = f"; it asked to wait {after.total_seconds():.0f} s" if after else ""
            click.echo(f"{destination}: not now: {reason}{again}", err=True)
            sys.exit(1)
        case Refused(reason):
            click.echo(f"{destination}: refused: {reason}", err=True)
            sys.exit(1)


def sample(now: int) -> Alert:
    """An alert about nothing, with a little of everything that a layout shows."""
    norm = {
        "action": "ConsoleLogin",
        "service": "account",
        "outcome": "ok",
        "actor": "root",
        "actor_type": "root",
        "account": "100000000001",
        "region": "ap-guangzhou",
        "ip": "203.0.113.7",
        "time": now,
        "mfa": False,
    }
    return Alert(
        id="A-TESTTEST00",
        rule_id="tocsin.test",
        rule_version="test",
        severity=Severity.INFO,
        title="Test of this destination: nothing has happened",
        kind="tencent.cloudaudit",
        account="100000000001",
        group={},
        fingerprint="0" * 32,
        first_seen=now,
        last_seen=now,
        count=1,
        event_ids=("00000000-0000-4000-8000-000000000000",),
        created=now,
        fields={"eventName": "ConsoleLogin", "norm": norm},
        evidence='{"eventName": "ConsoleLogin"}',
        description="Somebody asked `tocsin notify` to send this.",
        matched="eventName == 'ConsoleLogin'",
        test=True,
    )
