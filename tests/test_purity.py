"""What import-linter cannot see: the pure modules do not ask the clock or the disk through a type or a builtin."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLOCK = {"now", "today", "utcnow"}
WORLD = {"open", "print", "input", "breakpoint"}


def pure_modules() -> Iterator[Path]:
    """The files of the modules that the import contract calls pure."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (pure,) = (contract for contract in contracts if contract["id"] == "pure")
    for module in pure["source_modules"]:
        path = ROOT / module.replace(".", "/")
        yield from path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """The name of each function or method that the file calls, and the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
                yield name, node.lineno


def test_no_noun_and_no_verb_asks_what_time_it_is() -> None:
    asking = [
        f"{path.relative_to(ROOT)}:{line}" for path in pure_modules() for name, line in calls(path) if name in CLOCK
    ]

    assert asking == []


def test_no_noun_and_no_verb_reads_a_file_or_prints() -> None:
    touching = [
        f"{path.relative_to(ROOT)}:{line}" for path in pure_modules() for name, line in calls(path) if name in WORLD
    ]

    assert touching == []
