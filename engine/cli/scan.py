"""`tocsin scan`: evaluate rules over files of events, with no state outside the call."""

from __future__ import annotations

import json
import secrets
import sys

import click

from engine import kinds, packs
from engine.alert import Alert, Fault
from engine.event import Quarantined
from engine.kinds import MODULES
from engine.scan import Scan, line
from engine.sources.files import records as read_records


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILES…")
@click.option("--rules", "rule_paths", multiple=True, metavar="PATH", help="Rule files, folders, builtin:tencent …")
@click.option("--format", "form", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Faults and undecodable records make the exit code 1.")
def scan(paths: tuple[str, ...], rule_paths: tuple[str, ...], form: str, strict: bool) -> None:
    """
    Evaluate rules over FILES…: JSON lines, DescribeEvents answers, CloudTrail Records; plain or gzip; folders; "-".

    One alert a line on stdout. Faults and records that cannot be decoded go to stderr and are counted at the end.
    """
    key = secrets.token_bytes(32)  # tokens compare equal within one scan
    known = {name: kinds.kind(name, redaction_key=key) for name in MODULES}
    rules = packs.load(rule_paths or packs.DEFAULT)
    problems = 0

    def on_problem(place: str, message: str) -> None:
        nonlocal problems
        problems += 1
        click.echo(f"{place}: {message}", err=True)

    def on_fault(fault: Fault) -> None:
        click.echo(f"fault: {fault.rule_id} on event {fault.event.event_id}: {fault.message}", err=True)

    def on_quarantined(item: Quarantined) -> None:
        click.echo(f"{item.place or '?'}: cannot be decoded: {item.reason}", err=True)

    run = Scan(rules, known, on_fault, on_quarantined)
    for alert in run.alerts(read_records(paths, on_problem=on_problem)):
        click.echo(json.dumps(line(alert), ensure_ascii=False) if form == "jsonl" else _text(alert))
    seen = run.seen
    broken = seen.quarantined + problems
    click.echo(
        f"{seen.events} events ({seen.repeated} repeated), {len(rules)} rules, {seen.alerts} alerts of {seen.matches}"
        f" matches ({seen.excepted} excepted), {seen.faults} faults, {broken} undecodable records",
        err=True,
    )
    if strict and (seen.faults or broken):
        sys.exit(1)


def _text(alert: Alert) -> str:
    from engine.cli.show import at, plain

    many = f"  ×{alert.count}" if alert.count > 1 else ""
    return f"{at(alert.first_seen)}  {alert.severity.word.upper():8}  {alert.rule_id}  {plain(alert.title)}{many}"
