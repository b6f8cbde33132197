"""`tocsin rules`: list and show rules, and print the JSON Schema of their files."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import click

from engine import packs
from engine.cli.exceptions import exceptions
from engine.cli.rules_cost import cost
from engine.cli.show import as_json, plain, rows
from engine.rule import Count, FirstSeen, Memory, Rule, Sequence, Silent
from engine.strict_yaml import nearest

rules_option = click.option(
    "--rules", "paths", multiple=True, metavar="PATH", help="Rule files, folders, builtin:NAME (default: all built-in)."
)
format_option = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)


@click.group()
def rules() -> None:
    """List and show rules."""


@rules.command(name="list")
@rules_option
@format_option
def list_(paths: tuple[str, ...], form: str) -> None:
    """One line for each rule; "off" are those that their pack disables."""
    found = sorted(packs.load(paths), key=lambda rule: rule.id)
    if form == "json":
        for rule in found:
            as_json(_summary(rule))
        return
    heads = ("ID", "SEVERITY", "STATUS", "KIND", "ON", "TITLE")
    rows(heads, [_cells(rule) for rule in found])


@rules.command()
@click.argument("rule_id")
@rules_option
@format_option
def show(rule_id: str, paths: tuple[str, ...], form: str) -> None:
    """Everything about one rule."""
    rule = find(paths, rule_id)
    if form == "json":
        as_json(_whole(rule))
        return
    for name, value in _whole(rule).items():
        if value not in ("", [], {}, None):
            click.echo(_line(name, value))


rules.add_command(cost)
rules.add_command(exceptions)


@rules.command()
def schema() -> None:
    """Print the JSON Schema of a rule file, for editors."""
    from engine.packs.authored import schema_text

    click.echo(schema_text(), nl=False)


def find(paths: tuple[str, ...], rule_id: str) -> Rule:
    """The rule with this id. Ends the program with code 2 and the nearest id when there is none."""
    loaded = packs.load(paths)
    if (rule := loaded.find(rule_id)) is not None:
        return rule
    near = nearest(rule_id, (known.id for known in loaded))
    click.echo(f"tocsin: there is no rule '{rule_id}'" + (f"; did you mean '{near}'?" if near else ""), err=True)
    sys.exit(2)


def _cells(rule: Rule) -> tuple[str, ...]:
    state = "on" if rule.enabled else "off"
    return rule.id, rule.severity.word, rule.status.value, rule.kind, state, rule.title.text


def _summary(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "title": rule.title.text,
        "severity": rule.severity.word,
        "status": rule.status.value,
        "kind": rule.kind,
        "enabled": rule.enabled,
        "version": rule.version,
        "file": rule.place.file,
    }


def _whole(rule: Rule) -> dict[str, Any]:
    return _summary(rule) | {
        "description": rule.description,
        "match": rule.match.text,
        "unless": [
            {
                "match": exception.match.text,
                "reason": exception.reason,
                "owner": exception.owner,
                "expires": str(exception.expires),
            }
            for exception in rule.unless
        ],
        "group_by": [expression.text for expression in rule.group_by],
        "quiet": span(rule.quiet),
        "memory": _memory(rule.memory),
        "lists": sorted(rule.match.uses().union(*(exception.match.uses() for exception in rule.unless))),
        "attack": list(rule.attack.techniques) if rule.attack else [],
        "runbook": rule.runbook,
        "references": list(rule.references),
        "false_positives": list(rule.false_positives),
        "tests": [{"name": example.name, "expect": example.expect} for example in rule.tests],
    }


def _memory(memory: Memory | None) -> dict[str, Any]:
    match memory:
        case Count(at_least, within, distinct):
            return {"count": {"at_least": at_least, "within": span(within), "distinct": distinct and distinct.text}}
        case Sequence(within, steps, ordered):
            told = [
                {"absent" if step.absent else "match": step.match.text, "at_least": step.at_least} for step in steps
            ]
            return {"sequence": {"within": span(within), "ordered": ordered, "steps": told}}
        case FirstSeen(values, over, learn):
            texts = [value.text for value in values]
            return {"first_seen": {"values": texts, "over": span(over), "learn": span(learn)}}
        case Silent(length):
            return {"silent": {"for": span(length)}}
    return {}


def span(length: timedelta) -> str:
    """A span as rule files write it: `1h`, `90s`, `0s`."""
    seconds = int(length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _line(name: str, value: Any) -> str:
    if isinstance(value, list):
        return f"{name}:" + "".join(f"\n  - {_flat(item)}" for item in value)
    if isinstance(value, str) and "\n" in value:
        return f"{name}:" + "".join(f"\n  {plain(line)}" for line in value.splitlines())
    return f"{name}: {_flat(value)}"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_flat(item)}" for key, item in value.items() if item not in (None, ""))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(str(value))
