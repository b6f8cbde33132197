"""`tocsin silence add|list|expire`: a person asks for quiet, with a reason and an end."""

from __future__ import annotations

import getpass
import secrets
import time

import click

from engine import packs
from engine.cli.options import config_option, configured_rules, format_option, opened_store, store_option
from engine.cli.show import as_json, at, rows
from engine.errors import Place, TocsinError
from engine.expression import ExpressionFault, parse
from engine.store import Silence
from engine.strict_yaml import duration


@click.group()
def silence() -> None:
    """Add, list and expire silences: matching alerts are recorded, not sent."""


@silence.command()
@click.argument("match")
@click.option("--for", "span", required=True, metavar="SPAN", help="How long: 30m, 2h, 1d.")
@click.option("--comment", required=True, help="Why.")
@click.option("--author", help="Who (default: you).")
@config_option
@store_option
def add(match: str, span: str, comment: str, author: str | None, config: str | None, store: str | None) -> None:
    """
    Hold back alerts for which MATCH is true, from now on.

    MATCH is JMESPath over the alert: rule_id == 'tencent.root.console_login' && norm.ip == '203.0.113.7'
    """
    try:
        seconds = duration(span).total_seconds()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from None
    try:
        parse(match, place=Place("MATCH"), lists=packs.load(configured_rules(config)).lists)
    except ExpressionFault as fault:
        raise click.BadParameter(f"{fault.message}, at character {fault.offset + 1}", param_hint="MATCH") from None
    now = time.time()
    made = Silence(f"S-{secrets.token_hex(4)}", match, author or getpass.getuser(), comment, now, now + seconds)
    with opened_store(config, store) as opened:
        opened.add_silence(made)
    click.echo(f"{made.id} until {at(made.ends)}")


@silence.command("list")
@click.option("--all", "ended_too", is_flag=True, help="Those that have ended, too.")
@config_option
@store_option
@format_option
def list_(ended_too: bool, config: str | None, store: str | None, form: str) -> None:
    """The silences in force."""
    with opened_store(config, store) as opened:
        found = opened.silences(None if ended_too else time.time())
    if form == "json":
        for one in found:
            as_json({"id": one.id, "match": one.match, "author": one.author, "comment": one.comment, "ends": one.ends})
    else:
        rows(
            ("SILENCE", "ENDS", "AUTHOR", "MATCH", "COMMENT"),
            ((s.id, at(s.ends), s.author, s.match, s.comment) for s in found),
        )


@silence.command()
@click.argument("silence_id")
@config_option
@store_option
def expire(silence_id: str, config: str | None, store: str | None) -> None:
    """End a silence now."""
    with opened_store(config, store) as opened:
        if not opened.expire_silence(silence_id, time.time()):
            raise TocsinError(f"there is no silence {silence_id} in force")
    click.echo(f"{silence_id}: ended")
