"""How times and untrusted texts look on a terminal."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click


def at(seconds: float | None) -> str:
    """`2026-11-20T19:02:03Z`, or "-" for none or for what no calendar has."""
    if seconds is None:
        return "-"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f}"


def plain(text: str) -> str:
    """*text* with everything that a terminal could obey (escapes, line ends, direction marks) made visible."""
    return "".join(c if c == " " or unicodedata.category(c)[0] not in "CZ" else _visible(c) for c in text)


def json_line(value: Any) -> str:
    """
    *value* as one line of JSON that a terminal cannot obey either.

    JSON's own rules let DEL, C1 controls, direction marks and line separators through; here they are escapes, which
    mean the same to whoever parses it.
    """
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _visible(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def rows(heads: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """A plain table on stdout, columns padded; cells are made safe for a terminal."""
    table = [list(heads), *([plain(str(cell)) for cell in line] for line in lines)]
    widths = [max(len(line[i]) for line in table) for i in range(len(heads))]
    for line in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def as_json(value: Any) -> None:
    """One JSON line on stdout."""
    click.echo(json_line(value))
