"""docs/operations.md speaks of every row of the fault matrix, and names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ROWS = list(range(1, 38))


def numbers(heading: str) -> list[int]:
    section = TEXT.split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    return [int(number) for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)]


def test_every_fault_is_described_once() -> None:
    assert numbers("## When something fails") == ROWS


def test_every_fault_says_what_shows_it() -> None:
    assert numbers("### What shows it") == ROWS


def test_the_tests_that_are_named_are_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []
