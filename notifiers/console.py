"""
A person at a terminal: the card as text, coloured where colours are wanted.

Event text reaches the terminal only as rich Text of visible characters: rich interprets `[markup]` in plain strings,
and passes escape sequences through even in Text.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Literal, TextIO

from pydantic import Field
from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from engine.delivery import Delivered, Delivery, NotifierPlugin, Outcome, TryLater
from engine.rule import Severity
from notifiers.card import Card, card
from notifiers.settings import NotifierSettings

PLAIN_WIDTH = 100  # where there is no terminal to measure
NARROWEST = 40
BADGES = {
    Severity.CRITICAL: "bold white on red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "bold yellow",
    Severity.LOW: "bold cyan",
    Severity.INFO: "bold",
}
ROLES = {"prose": "", "who": "bold", "value": "cyan"}


class Settings(NotifierSettings):
    """Where to write, and how much."""

    stream: Literal["stdout", "stderr"] = "stdout"
    evidence: bool = False
    """Show the redacted event too."""
    width: Annotated[int, Field(ge=NARROWEST, le=400)] | None = None
    """Columns; default the terminal's, or 100."""


class Console:
    """Writes each alert to a standard stream of this process."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._settings = settings

    @property
    def pace(self) -> timedelta:
        return timedelta(0)

    def send(self, delivery: Delivery) -> Outcome:
        # Looked up at each send: what runs us may have replaced the stream since.
        stream = sys.stderr if self._settings.stream == "stderr" else sys.stdout
        shown = self._rendered(delivery, colours=_wants_colours(stream), width=self._width(stream))
        encoding = stream.encoding or "utf-8"
        try:
            stream.write(shown.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            stream.flush()
        except (OSError, ValueError) as fault:  # ValueError: the stream is closed
            return TryLater(f"{self._settings.stream} cannot be written: {type(fault).__name__}")
        return Delivered()

    def preview(self, delivery: Delivery) -> str:
        return self._rendered(delivery, colours=False, width=self._settings.width or PLAIN_WIDTH)

    def close(self) -> None:
        """Nothing is held open."""

    def _width(self, stream: TextIO) -> int:
        if self._settings.width is not None:
            return self._settings.width
        if not stream.isatty():
            return PLAIN_WIDTH
        return max(NARROWEST, RichConsole(file=stream).width)

    def _rendered(self, delivery: Delivery, *, colours: bool, width: int) -> str:
        console = RichConsole(
            file=io.StringIO(),
            force_terminal=colours,
            color_system="standard" if colours else None,
            no_color=not colours,
            width=width,
            markup=False,
            emoji=False,
            highlight=False,
            legacy_windows=False,
        )
        with console.capture() as captured:
            for line in _lines(card(delivery.alert, delivery.destination), evidence=self._settings.evidence):
                console.print(line, overflow="fold")
        return "\n".join(line.rstrip() for line in captured.get().split("\n"))


def _wants_colours(stream: TextIO) -> bool:
    """A terminal, unless NO_COLOR is set to anything (no-color.org) or the terminal is dumb."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _lines(shown: Card, *, evidence: bool) -> Iterator[RenderableType]:
    yield Text.assemble((f" {shown.badge} ", BADGES[shown.severity]), "  ", (shown.title, "bold"))
    sentence = Text.assemble(*((part.text, ROLES[part.role]) for part in shown.sentence))
    yield Padding(sentence.append(shown.said.removeprefix(sentence.plain)), (0, 0, 0, 1))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for fact in shown.facts:
        table.add_row(Text(fact.label), Text(fact.value))
    table.add_row(Text("Why"), Text(shown.matched or "-"))
    if shown.reasons:
        table.add_row(Text("Because"), Text("\n".join(shown.reasons)))
    table.add_row(Text("Rule"), Text(shown.origin))
    if shown.notes:
        table.add_row(Text("Note"), Text("\n".join(shown.notes)))
    if shown.runbook:
        table.add_row(Text("Check"), Text("\n".join(shown.runbook)))
    if shown.link:
        table.add_row(Text("Runbook"), Text(shown.link))
    if evidence and shown.evidence.text:
        note = f"\n({shown.evidence.note})" if shown.evidence.note else ""
        table.add_row(Text("Evidence"), Text(shown.evidence.text + note))
    yield Padding(table, (0, 0, 0, 1))
    yield Padding(Text(shown.footer, style="dim"), (0, 0, 0, 1))


def build(name: str, settings: Settings) -> Console:
    return Console(name, settings)


PLUGIN = NotifierPlugin(Settings, build)
