"""`tocsin scan`: evaluate rules over files of events, with no state outside the call."""

from __future__ import annotations

import errno
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from engine import packs
from engine.alert import Alert, Fault
from engine.cli.show import at, json_line, plain
from engine.event import Quarantined
from engine.packs import cache
from engine.parallel import Scanner
from engine.scan import line
from engine.sources import files

if TYPE_CHECKING:
    from rich.progress import Progress

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_EVERY = 0.1  # seconds between two looks of the progress bar
_FLUSHED = 0.5  # seconds after which what has been found is shown, at the latest


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILES…")
@click.option("--rules", "rule_paths", multiple=True, metavar="PATH", help="Rule files, folders, builtin:tencent …")
@click.option("--format", "form", type=click.Choice(["text", "jsonl"]), default="text", show_default=True)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes to work with; 0: one for each core. The output is the same.",
)
@click.option("--strict", is_flag=True, help="Faults and undecodable records make the exit code 1.")
def scan(paths: tuple[str, ...], rule_paths: tuple[str, ...], form: str, jobs: int, strict: bool) -> None:
    """
    Evaluate rules over FILES…: JSON lines, DescribeEvents answers, CloudTrail Records; plain or gzip; folders; "-".

    One alert a line on stdout. Faults and records that cannot be decoded go to stderr and are counted at the end.
    """
    try:
        found_wrong = _scan(paths, rule_paths, form, jobs)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # whoever read the alerts has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if strict and found_wrong:
        sys.exit(1)


def _scan(paths: Sequence[str], rule_paths: Sequence[str], form: str, jobs: int) -> bool:
    """Scan and tell. Whether there were faults, or records that cannot be decoded."""
    rules = cache.load(rule_paths or packs.DEFAULT)
    with _screen(paths) as screen:

        def on_fault(fault: Fault) -> None:
            screen.say(f"fault: {fault.rule_id} on event {fault.event.event_id}: {fault.message}")

        def on_quarantined(item: Quarantined) -> None:
            screen.say(f"{item.place or '?'}: cannot be decoded: {item.reason}")

        def on_problem(place: str, message: str) -> None:
            screen.say(f"{place}: {message}")

        scanner = Scanner(
            rules,
            rule_paths or packs.DEFAULT,
            jobs,
            secrets.token_bytes(32),  # tokens of secrets compare equal within one scan
            on_fault,
            on_quarantined,
            on_problem,
            screen.moved,
        )
        with closing(scanner.alerts(paths)) as alerts:
            for alert in alerts:
                screen.alert(json_line(line(alert)) if form == "jsonl" else _text(alert))
    seen = scanner.seen
    broken = seen.quarantined + scanner.broken
    for (rule_id, reason), times in seen.held_back.items():
        click.echo(f"{rule_id}: {reason}; {times} matches are not told", err=True)
    click.echo(
        f"{seen.events} events ({seen.repeated} repeated), {len(rules)} rules, {seen.alerts} alerts of {seen.matches}"
        f" matches ({seen.excepted} excepted), {seen.faults} faults, {broken} undecodable records",
        err=True,
    )
    return bool(seen.faults or broken)


class _Screen:
    """Alerts on stdout, the rest on stderr, and a progress bar where somebody is looking at it."""

    def __init__(self, progress: Progress | None) -> None:
        if sys.stdout is None:  # it was closed before the program began, as some schedulers do
            raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard output")
        self._out = sys.stdout.buffer  # alerts are UTF-8, whatever the terminal speaks
        self._progress = progress
        self._task = None if progress is None else progress.tasks[0].id
        self._read = 0
        self._drawn = self._flushed = time.monotonic()

    def alert(self, text: str) -> None:
        self._clear()
        self._out.write(text.encode("utf-8", "replace") + b"\n")
        if self._progress is not None or time.monotonic() - self._flushed > _FLUSHED:
            self.flush()

    def say(self, text: str) -> None:
        self._clear()
        click.echo(plain(text), err=True)

    def moved(self, read: int) -> None:
        """So many bytes more have been read. What has been found so far is shown before the next are waited for."""
        self._read += read
        now = time.monotonic()
        if now - self._flushed > _FLUSHED or not read:
            self.flush()
        if self._progress is not None and self._task is not None and now - self._drawn >= _EVERY:
            self._drawn = now
            self._progress.update(self._task, completed=self._read)
            self._progress.refresh()

    def flush(self) -> None:
        self._out.flush()
        self._flushed = time.monotonic()

    def _clear(self) -> None:
        """Take the bar off its line, for what is written there; the next look at it draws it again, below."""
        if self._progress is not None:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


@contextmanager
def _screen(paths: Sequence[str]) -> Iterator[_Screen]:
    """A screen for a scan of *paths*; at the end everything has been shown and the bar is gone."""
    progress = _bar(files.size(paths)) if _watched() else None
    screen = _Screen(progress)
    if progress is not None:
        progress.start()
    try:
        yield screen
    finally:
        if progress is not None:
            progress.stop()
        screen.flush()


def _watched() -> bool:
    """Whether stderr is a terminal that can draw over its own lines. Colours are another matter: NO_COLOR."""
    if sys.stderr is None:
        return False
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb").lower() not in ("", "dumb", "unknown")


def _bar(total: int | None) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    progress = Progress(
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
        transient=True,
    )
    progress.add_task("scan", total=total)
    return progress


def _text(alert: Alert) -> str:
    many = f"  ×{alert.count}" if alert.count > 1 else ""
    return f"{at(alert.first_seen)}  {alert.severity.word.upper():8}  {alert.rule_id}  {plain(alert.title)}{many}"
