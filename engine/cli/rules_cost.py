"""`tocsin rules cost`: what each rule costs on given events, and how many of them it never sees."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import click

from engine import kinds, packs
from engine.cli.show import as_json, plain, rows
from engine.errors import DecodeError, EvaluationError
from engine.event import View
from engine.matching import Matcher
from engine.rule import Rule, RuleSet
from engine.sources import files

rules_option = click.option(
    "--rules", "paths", multiple=True, metavar="PATH", help="Rule files, folders, builtin:NAME (default: all built-in)."
)


@dataclass(slots=True)
class Cost:
    """What one rule took: *asked* events of *events* that the index did not rule out, *seconds* in its own code."""

    rule: Rule
    events: int = 0
    asked: int = 0
    matched: int = 0
    seconds: float = 0.0

    @property
    def microseconds(self) -> float:
        """Per event of its kind, those that it never saw included."""
        return self.seconds * 1e6 / max(1, self.events)

    @property
    def pruned(self) -> float:
        """The share of events that never reached it."""
        return 1 - self.asked / max(1, self.events)


@click.command()
@click.argument("event_paths", nargs=-1, required=True, metavar="FILES…")
@rules_option
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def cost(event_paths: tuple[str, ...], paths: tuple[str, ...], form: str) -> None:
    """
    What each rule costs on the events of FILES…, the dearest first.

    µs: of its own code, per event of its kind. PRUNED: events that the index kept from it. A rule that is never pruned
    has no condition that the index can test and that must hold, or every event of FILES… met it.
    """
    found = sorted(costs(packs.load(paths), _views(event_paths)), key=lambda one: -one.seconds)
    if not found:
        click.echo("0 events of a kind that a rule looks at", err=True)
    if form == "json":
        for one in found:
            as_json(
                {
                    "rule_id": one.rule.id,
                    "events": one.events,
                    "asked": one.asked,
                    "matched": one.matched,
                    "microseconds": round(one.microseconds, 4),
                    "pruned": round(one.pruned, 6),
                }
            )
        return
    if not found:
        return
    lines = [(one.rule.id, f"{one.microseconds:.3f}", f"{one.pruned:.2%}", one.asked, one.matched) for one in found]
    rows(("ID", "µS/EVENT", "PRUNED", "ASKED", "MATCHED"), lines)


def costs(rules: RuleSet, views: Iterable[tuple[str, View]]) -> list[Cost]:
    """The cost of each enabled rule over *views*, each with the name of its kind."""
    found: dict[str, list[Cost]] = {}
    events: dict[str, int] = {}
    for kind, view in views:
        matcher, asked = rules.matcher(kind)
        each = found.setdefault(kind, [Cost(rule) for rule in asked])
        events[kind] = events.get(kind, 0) + 1
        for number in matcher.candidates(view):
            one = each[number]
            with suppress(EvaluationError):  # `scan` and `check` say that a rule breaks
                if not one.asked:
                    matcher.holds(number, view)  # the first time makes its code
                one.seconds += _seconds(matcher, number, view)
                one.matched += matcher.holds(number, view)
            one.asked += 1
    for kind, each in found.items():
        for one in each:
            one.events = events[kind]
    return [one for each in found.values() for one in each]


def _seconds(matcher: Matcher, number: int, view: View) -> float:
    began = time.perf_counter()
    matcher.holds(number, view)
    return time.perf_counter() - began


def _views(paths: Sequence[str]) -> Iterator[tuple[str, View]]:
    key = secrets.token_bytes(32)
    readers: dict[str, kinds.Kind] = {}
    for name, record in files.records(paths, on_problem=_trouble):
        reader = readers.get(name)
        if reader is None:
            reader = readers[name] = kinds.kind(name, redaction_key=key)
        event = reader.decode(record).event
        try:
            if event is not None:
                yield name, event.view
        except DecodeError:
            continue  # `scan` reports records that are no events


def _trouble(place: object, message: object) -> None:
    click.echo(plain(f"{place}: {message}"), err=True)
