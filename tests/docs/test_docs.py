"""
The documentation is run, and nothing that a user can set or call is missing from it.

Each fenced block marked `console` is a claim: its lines `$ tocsin …` are run from the root of the checkout and must end
with 0, or with N in a block marked `console exit=N`. A block that cannot be run here (it needs a key, a running service
or a person) is marked `console no-run`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel

from engine.cli import COMMANDS, tocsin

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
FENCE = re.compile(
    r"^(?P<fence>`{3,})console(?P<marks>[^\n]*)\n(?P<body>.*?)^(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)

# What reads and prints and is over at once. Anything else has no place in a block that is run.
RUNNABLE = {"check", "test", "scan", "explain", "rules", "completion"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A command as a page shows it."""

    page: Path
    line: int
    command: str
    exit_code: int

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.command}"


def shown() -> Iterator[Shown]:
    """Every line `$ tocsin …` of every console block that is not marked `no-run`."""
    for page in PAGES:
        text = page.read_text()
        for block in FENCE.finditer(text):
            marks = block["marks"].split()
            if "no-run" in marks:
                continue
            codes = [int(mark.removeprefix("exit=")) for mark in marks if mark.startswith("exit=")]
            body = block["body"].replace("\\\n", "  ")
            for match in re.finditer(r"^\$ (tocsin .*)$", body, re.MULTILINE):
                line = text.count("\n", 0, block.start("body")) + body.count("\n", 0, match.start()) + 1
                yield Shown(page, line, match[1].strip(), codes[0] if codes else 0)


def runnable(command: str) -> bool:
    words = command.split()
    return words[1] in RUNNABLE or "--help" in words or "--version" in words


@pytest.mark.parametrize("claim", [one for one in shown() if runnable(one.command)], ids=str)
def test_a_command_in_the_documentation_ends_as_the_page_says(claim: Shown, tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),  # nobody's own configuration has a say
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
    }

    answer = subprocess.run(
        ["sh", "-c", claim.command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert answer.returncode == claim.exit_code, f"{claim}\n{answer.stdout}\n{answer.stderr}"


def test_what_cannot_be_run_is_marked_as_such() -> None:
    unmarked = [str(one) for one in shown() if not runnable(one.command)]

    assert unmarked == [], "mark these blocks `console no-run`"


def test_there_is_something_to_run() -> None:
    assert {page.name for page in PAGES} >= {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
    assert any(runnable(one.command) for one in shown())


# --- nothing is missing


def everything_written() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def commands(group: click.Group, path: tuple[str, ...] = ("tocsin",)) -> Iterator[tuple[str, ...]]:
    """The path of every command and subcommand."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_every_command_is_written_about() -> None:
    text = everything_written()
    # `tocsin tracks list|show|create` writes about three: what follows on the line counts.
    missing = [
        " ".join(path)
        for path in commands(tocsin)
        if not re.search(rf"{' '.join(path[:-1])}\b[^\n]*\b{re.escape(path[-1])}\b", text)
    ]

    assert missing == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    command = tocsin.get_command(click.Context(tocsin), name)

    assert command is not None
    assert command.help
    silent = [
        parameter.name
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help and not isinstance(parameter.type, click.Choice)
    ]
    assert silent == [], "options without a word of help"


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The settings models inside an annotation: itself, or the items of a list, or the parts of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every key as it is written in the file, with the keys above it: `web.listen`."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield key
        for inner in models(field.annotation):
            yield from keys(inner, f"{key}.")


def every_key() -> Iterator[str]:
    from engine.settings import Settings

    yield from keys(Settings, "")
    for section, package in (("sources", "engine.sources"), ("notifiers", "notifiers")):
        for module in iter_modules(import_module(package).__path__):
            plugin = getattr(import_module(f"{package}.{module.name}"), "PLUGIN", None)
            if plugin is not None:
                yield from keys(plugin.settings, f"{section}.{module.name}.")


def test_every_settings_key_is_written_about() -> None:
    text = everything_written()
    # As `key`, as `section.key`, or in an example as key: …
    missing = [
        key
        for key in dict.fromkeys(every_key())
        if not re.search(rf"`(?:[\w.]+\.)?{(last := key.rsplit('.', 1)[-1])}`|(?<![\w.]){last}:", text)
    ]

    assert missing == []


def test_every_benchmark_is_named_where_benchmarks_are_started() -> None:
    from benchmarks.__main__ import BENCHMARKS

    named = re.findall(r"^#   (\w+) +\S", (ROOT / "scripts" / "bench").read_text(), re.MULTILINE)

    assert sorted(named) == sorted(BENCHMARKS)


def test_every_link_inside_the_project_leads_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if not re.match(r"[a-z]+:|#", target) and not (page.parent / target.split("#")[0]).exists()
    ]

    assert broken == []


# --- nothing that belongs to one machine


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the project: what git knows or would take, or, outside a repository, what is not generated."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if (ROOT / ".git").exists() and listing.returncode == 0:
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        paths = [
            path for path in ROOT.rglob("*") if not re.search(r"/\.(?!ci/)|/__pycache__/|/dist/|/build/", f"/{path}")
        ]
    for path in paths:
        if path.is_file():
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def found(pattern: str) -> list[str]:
    expression = re.compile(pattern, re.MULTILINE)
    return [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path, text in texts()
        for match in expression.finditer(text)
    ]


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    places = {str(ROOT), str(Path.home())} - {"/"}

    assert found("|".join(rf"(?<![\w./-]){re.escape(place)}/" for place in sorted(places))) == []


def test_no_file_names_the_address_of_a_package_or_of_an_index() -> None:
    assert (
        found(r"https?://[^\s\"'<>]+\.(?:whl|tar\.gz)\b|https?://[^\s\"'<>]+/simple\b|^\s*(?:extra-)?index-url\b") == []
    )
