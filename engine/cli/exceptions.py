"""`tocsin rules exceptions`: does each exception still deserve its place?"""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from engine import packs
from engine.cli.options import config_option, configured_rules, format_option, opened_store, store_option
from engine.cli.show import as_json, at, rows
from engine.errors import StoreError, TocsinError
from engine.exceptions import Hidden, complaints, key
from engine.rule import Exception_, Rule


@click.command()
@click.option("--rules", "paths", multiple=True, metavar="PATH", help="Rules, instead of the configuration's.")
@click.option("--accept", metavar="KEY", help="You have looked at what is new among what KEY hides: it is known now.")
@config_option
@store_option
@format_option
def exceptions(paths: tuple[str, ...], accept: str | None, config: str | None, store: str | None, form: str) -> None:
    """
    Every exception with what it hid and when last.

    Exit code 1 when one has expired, hid nothing for 30 days, or hid something of a new kind (another outcome, country,
    client or network than ever before).
    """
    if accept:
        with opened_store(config, store) as opened:
            if not opened.accept_hidden(accept):
                raise TocsinError(f"no exception has the key {accept}")
        click.echo(f"{accept}: accepted")
        return
    found = packs.load(list(paths) or configured_rules(config))
    now = time.time()
    known = _known(config, store)
    lines = [
        (key(rule.id, one), rule, one, *known.get(key(rule.id, one), (now, None)))
        for rule in found
        for one in rule.unless
    ]
    bad = 0
    table = []
    for name, rule, one, loaded, hidden in lines:
        wrong = complaints(one, hidden, loaded, now)
        bad += bool(wrong)
        if form == "json":
            as_json(_whole(name, rule, one, hidden, wrong))
        times = (hidden.count, at(hidden.last)) if hidden else (0, "-")
        table.append((name, rule.id, one.expires or "-", *times, one.owner, one.reason, "; ".join(wrong) or "ok"))
    if form == "text":
        rows(("KEY", "RULE", "EXPIRES", "HID", "LAST", "OWNER", "REASON", "STATE"), table)
        click.echo(f"{len(lines)} exceptions, {bad} to look at", err=True)
    sys.exit(1 if bad else 0)


def _known(config: str | None, store: str | None) -> dict[str, tuple[float, Hidden | None]]:
    """What the store knows; without a store nothing has been hidden yet."""
    try:
        with opened_store(config, store) as opened:
            return dict(opened.exceptions())
    except StoreError as error:
        click.echo(f"{error}; showing the rules alone", err=True)
        return {}


def _whole(name: str, rule: Rule, one: Exception_, hidden: Hidden | None, wrong: tuple[str, ...]) -> dict[str, Any]:
    return {
        "key": name,
        "rule_id": rule.id,
        "match": one.match.text,
        "reason": one.reason,
        "owner": one.owner,
        "expires": str(one.expires) if one.expires else None,
        "place": str(one.place),
        "hidden": hidden.count if hidden else 0,
        "first": hidden.first if hidden else None,
        "last": hidden.last if hidden else None,
        "kinds": dict(hidden.kinds) if hidden else {},
        "new": list(hidden.novel) if hidden else [],
        "complaints": list(wrong),
    }
