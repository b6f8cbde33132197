"""`tocsin check`: every fault of rules and configuration, and what is doubtful about them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from engine import __version__
from engine.errors import ConfigurationError, Problem
from engine.event import Fields
from engine.kinds import Field, Kind


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@click.option("-c", "--config", type=click.Path(dir_okay=False), help="Check this configuration and its rules too.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "github", "sarif"]), default="text", show_default=True
)
@click.option("--strict", is_flag=True, help="Warnings make the exit code 1 too.")
def check(paths: tuple[str, ...], config: str | None, form: str, strict: bool) -> None:
    """
    Report every fault of rules and configuration: files, folders, builtin:NAME; without any, the built-in rules.

    Findings go to stdout as file:line:column: message. Exit code 1 when there are errors.
    """
    problems, rules = findings(paths, config)
    click.echo(FORMATS[form](problems), nl=False)
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    click.echo(f"{_many(rules, 'rule')}: {_many(errors, 'error')}, {_many(warnings, 'warning')}", err=True)
    if errors or (strict and warnings):
        sys.exit(1)


def findings(paths: Sequence[str], config: str | None) -> tuple[list[Problem], int]:
    """Every problem of *paths* and of the configuration with its rules, sorted; and how many rules could be loaded."""
    from engine import packs
    from engine.lint import lint
    from engine.unwatched import unwatched

    problems: list[Problem] = []
    wanted = list(paths)
    if config is not None:
        wanted += _of_configuration(config, problems)
        if not wanted:
            return sorted(problems, key=_order), 0
    with unwatched(afresh=True):
        examined = packs.examine(wanted)
        problems += examined.problems
        problems += lint(examined, _fields_of, datetime.now(UTC).date(), view=_view)
    return sorted(set(problems), key=_order), len(examined.rules)


def _of_configuration(config: str, problems: list[Problem]) -> list[str]:
    """The rule paths of the configuration; what is wrong with it is noted."""
    from engine import settings

    try:
        return list(settings.load(config).settings.rules)
    except ConfigurationError as error:
        problems += error.problems
        return []


@cache
def _kind(name: str) -> Kind:
    from engine import kinds

    return kinds.kind(name, redaction_key=bytes(32))  # its tokens are never shown: only test events are decoded with it


def _fields_of(kind: str) -> tuple[Field, ...]:
    return _kind(kind).fields


def _view(kind: str, sample: Mapping[str, Any]) -> Fields:
    return _kind(kind).view(sample)


def _order(problem: Problem) -> tuple[Any, ...]:
    return (problem.place, problem.severity, problem.code, problem.message)


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# --- formats ----------------------------------------------------------------------------------------------------------


def _text(problems: Iterable[Problem]) -> str:
    return "".join(f"{_with_code(problem)}\n" for problem in problems)


def _with_code(problem: Problem) -> str:
    first, line_end, rest = str(problem).partition("\n")
    return f"{first}  [{problem.code}]{line_end}{rest}"


def as_object(problem: Problem) -> dict[str, Any]:
    """A problem as `--format json` gives it."""
    return {
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "severity": problem.severity,
        "code": problem.code,
        "message": problem.message,
        "suggestion": problem.suggestion,
    }


def _json(problems: Iterable[Problem]) -> str:
    return json.dumps([as_object(problem) for problem in problems], ensure_ascii=False, indent=2) + "\n"


def _github(problems: Iterable[Problem]) -> str:
    """Workflow commands: docs.github.com/actions/reference/workflow-commands-for-github-actions."""
    return "".join(
        f"::{problem.severity} file={_property(_from_here(problem.place.file))},line={problem.place.line},"
        f"col={problem.place.column},title={_property(problem.code)}::{_data(_sentence(problem))}\n"
        for problem in problems
    )


def _from_here(file: str) -> str:
    """*file* as code hosts want it: from the folder of the repository, where it was named from the root of the disk."""
    path = Path(file)
    try:
        return str(path.relative_to(Path.cwd())) if path.is_absolute() else file
    except (OSError, ValueError):  # it stands elsewhere
        return file


def _sentence(problem: Problem) -> str:
    return f"{problem.message} ({problem.suggestion})" if problem.suggestion else problem.message


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _sarif_rule(code: str, problems: Iterable[Problem]) -> dict[str, Any]:
    """What SARIF calls a reportingDescriptor: the code, what it means, and how grave it is at the most."""
    from engine.lint import MEANINGS

    meaning = MEANINGS.get(code, "the file cannot be read as what it is meant to be")
    grave = any(problem.severity == "error" for problem in problems if problem.code == code)
    return {
        "id": code,
        "shortDescription": {"text": meaning},
        "defaultConfiguration": {"level": "error" if grave else "warning"},
        "help": {"text": f"{meaning}. See docs/rules.md."},
    }


def _sarif(problems: Iterable[Problem]) -> str:
    """SARIF 2.1.0 (OASIS): one run, one result for each problem."""
    found = list(problems)
    driver = {
        "name": "tocsin check",
        "version": __version__,
        "rules": [_sarif_rule(code, found) for code in sorted({problem.code for problem in found})],
    }
    results = [
        {
            "ruleId": problem.code,
            "level": problem.severity,
            "message": {"text": _sentence(problem)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": quote(_from_here(problem.place.file).replace("\\", "/"))},
                        "region": {"startLine": problem.place.line, "startColumn": problem.place.column},
                    }
                }
            ],
        }
        for problem in found
    ]
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}],
    }
    return json.dumps(log, ensure_ascii=False, indent=2) + "\n"


FORMATS = {"text": _text, "json": _json, "github": _github, "sarif": _sarif}
