"""
`scripts/bench delivery`: how soon an alert is there, and of what that time is made; how long an outage takes to drain;
what the program holds over a month; commits against the disk's floor.

The first is real time (`benchmarks.latency`), the second and the third are simulated time over the real path and store
(`benchmarks.outage`, `benchmarks.faults.soak`), the last is `benchmarks.stores`'. Each figure is printed when it is
there; a full run writes them all into docs/performance.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from benchmarks import latency, outage, page, stores
from benchmarks.faults import Soak, soak
from benchmarks.latency import PARTS, Split
from benchmarks.outage import Outage

FULL: Final = ((60.0, 240.0), (10.0, 120.0))  # seconds between polls, seconds of events
QUICK: Final = ((5.0, 20.0),)
HISTORY: Final = timedelta(days=10)  # shorter than the default, so that its end is seen within the month
WHENCE: Final = {
    "visibility": "the API has it: given to the emulator, 0.2 to 11 s after the time in the event",
    "poll": "the page with it has come: noted by the source",
    "match": "decoded, matched, routed, and committed: noted by the store after its commit",
    "queue": "claimed by the sender, woken after each page; it sends one at a time: noted by the store after commit",
    "send": "the receiver's answer is there: noted by the notifier",
    "whole": "the sum of the five",
}


def run(*, quick: bool = False) -> Iterator[str]:
    """The paragraphs and tables of the page, one after the other, as they are measured."""
    for every, lasts in QUICK if quick else FULL:
        with tempfile.TemporaryDirectory() as folder:
            yield latency_text(latency.run(Path(folder), every=every, lasts=lasts))
    found = []
    for away in outage.PARTS:
        with tempfile.TemporaryDirectory() as folder:
            found.append(outage.run(Path(folder), away, events=2_000 if quick else 21_600))
    yield outage_text(found)
    if quick:
        yield month_text(soak(events=5_000, days=2.0, at=(0.5, 1.0, 1.5, 2.0), history=HISTORY))
    else:
        yield month_text(soak(events=300_000, days=30.0, at=(1.0, 3.0, 10.0, 20.0, 30.0), history=HISTORY))
    yield commits_text(_commits(pages=200 if quick else 1_000))


def write(texts: Sequence[str], machine: str) -> None:
    """Put the figures into docs/performance.md."""
    page.write("delivery", "\n\n".join([f"Measured on {machine}.", *texts]))


def latency_text(split: Split) -> str:
    rows = [
        (part, f"{one.mean:.2f}", f"{one.p50:.2f}", f"{one.p99:.2f}", WHENCE[part])
        for part, one in zip((*PARTS, "whole"), (*split.parts, split.whole), strict=True)
    ]
    return (
        f"Polled every {split.every:g} s ({split.polls:.1f} s as it came), real time for {split.lasted:g} s,"
        f" {split.alerts} alerts, {split.missing} missing, a receiver that takes {split.answers_after * 1000:.0f} ms;"
        " seconds, and what ends each part. Means add up, percentiles do not.\n\n"
        + page.table(("part", "mean", "p50", "p99", "ends when"), rows)
    )


def outage_text(outages: Sequence[Outage]) -> str:
    limits = {
        ("source", "hook"): "the answers of the receiver, 50 ms each",
        ("source", "chat"): "Slack: an alert is two messages, one a second to a channel",
        ("destinations", "hook"): "the next probe, within five minutes; then as above",
        ("destinations", "chat"): "the next probe, within five minutes; then Slack, as above",
    }
    rows = [
        (
            one.away,
            {"hook": "webhook", "chat": "Slack"}[to.name],
            f"{to.alerts:,}",
            f"{to.first:.0f} s",
            f"{to.last:.0f} s",
            f"{to.attempts_while_away:,}",
            limits[one.away, to.name],
        )
        for one in outages
        for to in one.drained
    ]
    source = next(one for one in outages if one.away == "source")
    lost, repeated = sum(one.lost for one in outages), sum(one.repeated for one in outages)
    return (
        "Six hours away, simulated: an alert a minute for twelve hours, and nothing else goes wrong. After the source's"
        f" return the first poll reads {source.events:,} records in {source.caught_up:.0f} s, at the API's 20 requests"
        f" a second. {lost} lost, {repeated} repeated.\n\n"
        + page.table(
            ("away", "to", "alerts that piled up", "first after", "last after", "tries while away", "limited by"), rows
        )
    )


def month_text(soaked: Soak) -> str:
    rows = [
        (f"{mark.day:g}", f"{mark.memory:.1f} MB", f"{mark.store:.1f} MB", f"{mark.descriptors}")
        for mark in soaked.marks
    ]
    result, marks = soaked.result, soaked.marks
    return (
        f"{result.days:g} simulated days, {result.events:,} events, {result.polls:,} polls, with all that the simulator"
        " has going wrong but crashes and steps of the clock; seen ids are kept for 8 days, history for"
        f" {HISTORY.days} (by default 90)."
        f" {result.lost} lost, {result.unexcused} repeated without an excuse. Memory from day {marks[0].day:g} to the"
        f" end: {soaked.growth(0):+.1%}; from day {marks[-3].day:g} on: {soaked.growth(marks[-3].day):+.1%}.\n\n"
        + page.table(("at the end of day", "resident memory", "store with its log", "open descriptors"), rows)
    )


def commits_text(found: Sequence[stores.Commits]) -> str:
    rows = [(one.name, f"{one.pages_per_second:,.0f}", f"{one.floors:.2f}") for one in found]
    less = "" if len(found) > 2 else "\n\nPostgres was not measured: no server is installed."
    return (
        f"Pages of {stores.PAGE} events committed, each in one transaction, against the floor of this disk.\n\n"
        + page.table(("", "pages a second", "× the floor"), rows)
        + less
    )


def _commits(pages: int) -> list[stores.Commits]:
    from tests.postgres_server import PostgresServer, binaries

    found = binaries()
    server = None if found is None else PostgresServer(found, durable=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return stores.commits(Path(folder), None if server is None else server.new_schema(), pages=pages)
    finally:
        if server is not None:
            server.stop()


def report(machine: str, *, quick: bool) -> None:
    """Measure and print; a full run is written into the page as well."""
    texts = []
    for text in run(quick=quick):
        click.echo(f"{text}\n")
        texts.append(text)
    if not quick:
        write(texts, machine)
