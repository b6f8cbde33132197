"""`scripts/bench [NAME…]`: runs benchmarks and prints their figures."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import click

QUICK = False


def machine() -> str:
    """The machine in a line: figures mean nothing without it."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux, or a processor without a name: the architecture has to do
    return f"{os.cpu_count()} × {model}, Python {platform.python_version()}, {platform.system()} {platform.release()}"


def fetch() -> None:
    from benchmarks.fetch import run

    for limited in (True, False):
        found = run(limited=limited, seconds=20.0 if limited else 5.0)
        what = "at the API's limit (20 requests/s)" if limited else "without the limit"
        click.echo(
            f"fetch to stored decision {what}: {found.events_per_second:.0f} events/s, {found.events} events of"
            f" {found.bytes_per_event} bytes, {found.core:.0%} of one core"
        )


def disorder() -> None:
    from benchmarks.disorder import run

    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder))
    click.echo(
        f"{found.events} events, 20 % late, 10 % repeated, shuffled, {found.restarts} restarts:"
        f" {found.wanted} alerts due, {found.lost} lost, {found.repeated} repeated"
        f" ({found.requests} requests, {found.seconds:.0f} s)"
    )


def kills() -> None:
    from benchmarks.kills import run

    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder))
    click.echo(
        f"{found.kills} SIGKILLs, {found.events} events: {found.lost} lost, {found.repeated} repeated sends (at most"
        f" {found.worst} per kill), {found.other_ids} under another id ({found.seconds:.0f} s)"
    )


def start() -> None:
    from benchmarks.start import installed_megabytes, run

    for found in run():
        click.echo(f"{found.command}: {found.wall:.1f} × the time and {found.cpu:.1f} × the CPU of python -c pass")
    megabytes, number = installed_megabytes()
    click.echo(f"installed: {megabytes:.1f} MB, {number} packages")


def ready() -> None:
    from benchmarks import ready as bench

    table = bench.table(bench.run(sizes=(100,), rounds=1) if QUICK else bench.run(), machine())
    click.echo(table)
    if not QUICK:
        bench.write(table)


def engine() -> None:
    from benchmarks import engine as bench

    agreed = []
    for line in bench.agreement():
        click.echo(line)
        agreed.append(line)
    if QUICK:
        return
    if find_spec("orjson") is None:
        raise click.ClickException("this compares with orjson, DuckDB and a CEL binding: pip install --group bench")
    tables = bench.tables(bench.run(), machine(), agreed)
    click.echo(tables)
    bench.write(tables)


def faults() -> None:
    from benchmarks.faults import run, write

    if QUICK:
        run(seeds=10, events=1_000, soak_events=20_000, crash_every=20)
    else:
        write(run(), machine())


def delivery() -> None:
    from benchmarks.delivery import report

    report(machine(), quick=QUICK)


def stores() -> None:
    from benchmarks.stores import report

    for line in report():
        click.echo(line)


def scan() -> None:
    from benchmarks.scan import run

    for row in run(megabytes=20) if QUICK else run():
        click.echo(str(row))


def correlate() -> None:
    from benchmarks.correlate import lines, run

    for line in lines(run(windows=(10_000, 100_000)) if QUICK else run()):
        click.echo(line)


BENCHMARKS: dict[str, Callable[[], None]] = {
    "start": start,
    "ready": ready,
    "fetch": fetch,
    "disorder": disorder,
    "kills": kills,
    "engine": engine,
    "faults": faults,
    "delivery": delivery,
    "stores": stores,
    "scan": scan,
    "correlate": correlate,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*BENCHMARKS, "all"]))
@click.option(
    "--quick",
    is_flag=True,
    help="Smaller; of engine only that its answers are the same, without timings. Writes no page.",
)
def main(names: tuple[str, ...], quick: bool) -> None:
    """Run the named benchmarks (default: all)."""
    global QUICK  # noqa: PLW0603 read by the benchmarks that have a quick form
    QUICK = quick
    click.echo(machine())
    for name, bench in BENCHMARKS.items():
        if not names or "all" in names or name in names:
            click.echo(f"\n{name}")
            bench()


if __name__ == "__main__":  # a benchmark may start processes that read this file
    main()
