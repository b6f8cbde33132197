"""`tocsin test`: run the tests that rules carry."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Sequence
from functools import cache
from itertools import groupby

import click

from engine import kinds, packs
from engine.examples import KindOf, Result, Verdict, run
from engine.kinds import Kind
from engine.rule import Rule, RuleSet


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def test(paths: tuple[str, ...], form: str) -> None:
    """
    Run the tests of rules: files, folders, builtin:NAME; without any, of the built-in rules.

    Exit code 1 when a test does not end as expected.
    """
    rules = packs.load(paths)
    results = run(rules, _kinds())
    if form == "json":
        click.echo(json.dumps([_as_object(result) for result in results], ensure_ascii=False, indent=2))
    else:
        for line in _lines(rules, results):
            click.echo(line)
    for rule in rules:
        if lack := _lack(rule):
            click.echo(f"{rule.place}: warning: {rule.id} has no test with {lack}", err=True)
    if any(result.verdict is Verdict.FAILED for result in results):
        sys.exit(1)


def _kinds() -> KindOf:
    key = secrets.token_bytes(32)  # tokens for secrets compare equal within this run

    @cache
    def kind_of(name: str) -> Kind:
        return kinds.kind(name, redaction_key=key)

    return kind_of


def _lines(rules: RuleSet, results: Sequence[Result]) -> list[str]:
    lines = []
    for rule_id, group in groupby(results, key=lambda result: result.rule_id):
        mine = list(group)
        failed = [result for result in mine if result.verdict is Verdict.FAILED]
        waiting = [result for result in mine if result.verdict is Verdict.NOT_RUN]
        state = "FAILED" if failed else "ok"
        unfinished = f", {len(waiting)} not run" if waiting else ""
        lines.append(f"{state:6}  {rule_id}  {_many(len(mine), 'test')}{unfinished}")
        lines += [f"        {result.place}: {result.test}: {result.reason}" for result in failed]
    failures = sum(result.verdict is Verdict.FAILED for result in results)
    waiting_all = sum(result.verdict is Verdict.NOT_RUN for result in results)
    outcome = f"{failures} failed" if failures else "all as expected"
    if waiting_all:
        outcome += f", {waiting_all} not run (they need memory over several events)"
    lines.append(f"{_many(len(results), 'test')} of {_many(len(rules), 'rule')}: {outcome}")
    return lines


def _lack(rule: Rule) -> str:
    expected = {example.expect for example in rule.tests}
    missing = [
        words
        for expect, words in (("alert", "an event that raises it"), ("nothing", "an event that must not raise it"))
        if expect not in expected
    ]
    return ", nor with ".join(missing)


def _as_object(result: Result) -> dict[str, object]:
    return {
        "rule_id": result.rule_id,
        "test": result.test,
        "verdict": result.verdict.value,
        "reason": result.reason,
        "file": result.place.file,
        "line": result.place.line,
    }


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
