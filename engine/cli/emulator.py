"""`tocsin emulator`: a local CloudAudit API, until it is interrupted."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.emulator import Emulator, Fault

UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
FAULT = re.compile(r"(?P<kind>[a-z0-9-]+)=(?P<rate>[0-9.]+)", re.ASCII)


def duration(text: str) -> float:
    """Seconds, written `4s`, `500ms`, `2m`, `1h` or just `4`."""
    parts = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|)", text.strip())
    if parts is None:
        raise click.BadParameter(f"{text!r} is no duration: write 4s, 500ms or 2m")
    return float(parts[1]) * UNITS[parts[2]]


SHARE = click.FloatRange(0, 1)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; 0 picks a free one.")
@click.option("--secret-id", required=True, metavar="ID", help="The key that requests must be signed with.")
@click.option("--secret-key", required=True, metavar="KEY", help="Its secret.")
@click.option("--token", default="", help="A session token that requests must carry.")
@click.option("--account", default="100000000001", show_default=True, metavar="UIN", help="The main account.")
@click.option("--events", multiple=True, metavar="FILE", help="Events to serve; more files may follow. - is stdin.")
@click.option("--replay", is_flag=True, help="Move the events in time so that the newest happens now.")
@click.option(
    "--visibility-delay",
    type=duration,
    default="4s",
    metavar="DURATION",
    show_default=True,
    help="Show events so much later.",
)
@click.option("--duplicate", type=SHARE, default=0.0, metavar="RATE", help="Share of events that come twice.")
@click.option("--shuffle", is_flag=True, help="Events in any order within a page, and some late.")
@click.option("--late", type=SHARE, metavar="RATE", help="Share of late events; 0.2 with --shuffle, else 0.")
@click.option(
    "--lateness", type=duration, default="2m", metavar="DURATION", show_default=True, help="How late they are at most."
)
@click.option("--fail", multiple=True, metavar="KIND=RATE", help="Misbehave; more may follow. Kinds: see below.")
@click.option(
    "--slow-for",
    type=duration,
    default="30s",
    metavar="DURATION",
    show_default=True,
    help="How long a slow answer takes.",
)
@click.option("--rate", type=click.IntRange(min=0), default=20, show_default=True, help="Requests/s by action; 0 any.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same misfortunes.")
@click.argument("more", nargs=-1, metavar="[FILE | KIND=RATE]...")
def emulator(
    host: str,
    port: int,
    secret_id: str,
    secret_key: str,
    token: str,
    account: str,
    events: tuple[str, ...],
    replay: bool,
    visibility_delay: float,
    duplicate: float,
    shuffle: bool,
    late: float | None,
    lateness: float,
    fail: tuple[str, ...],
    slow_for: float,
    rate: int,
    seed: int,
    more: tuple[str, ...],
) -> None:
    """
    A local CloudAudit API for tests and demos.

    Prints its endpoint as the first line when it is ready, and answers until SIGINT or SIGTERM.

    \b
    Kinds of --fail, each with the share of requests that it spoils:
      limit         RequestLimitExceeded inside HTTP 200
      5xx           HTTP 500, 502 or 503
      html          HTTP 200 with an HTML page
      reset         the connection is reset
      truncated     the answer is cut short
      slow          the answer drips
      null-events   a page with Events: null that has not moved forward
      repeat-token  a NextToken that leads to the same page again
    """
    from engine.emulator import Emulator, Settings

    # `--events a b --fail limit=0.1 slow=0.1`: what follows the first value arrives here.
    kinds = [text for text in more if FAULT.fullmatch(text)]
    files = [*events, *(text for text in more if text not in kinds)]
    try:
        settings = Settings(
            secret_id=secret_id,
            secret_key=secret_key,
            token=token,
            host=host,
            port=port,
            account=account,
            visibility_delay=visibility_delay,
            duplicate=duplicate,
            shuffle=shuffle,
            late=late,
            lateness=lateness,
            faults=_faults([*fail, *kinds]),
            slow_for=slow_for,
            rate=rate,
            seed=seed,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    running = Emulator(settings)
    loaded = _load(running, files, replay=replay)

    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    try:
        endpoint = running.start()
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    click.echo(endpoint)
    click.echo(f"CloudAudit emulator: {loaded} events from {len(files)} files; Ctrl-C ends it.", err=True)
    done.wait()
    running.stop()


def _faults(texts: Sequence[str]) -> dict[Fault, float]:
    """Raises ValueError; an unknown kind is named by Settings."""
    faults: dict[Any, float] = {}
    for text in texts:
        parts = FAULT.fullmatch(text)
        if parts is None:
            raise ValueError(f"--fail takes KIND=RATE, like limit=0.1, not {text!r}")
        faults[parts["kind"]] = float(parts["rate"])
    return faults


def _load(running: Emulator, files: Sequence[str], *, replay: bool) -> int:
    """Adds the events of *files*; the number of them. Raises ConfigurationError, click.UsageError."""
    from engine.emulator.files import events, replayed

    def found() -> Iterator[dict[str, Any]]:
        for name in files:
            if name != "-" and not Path(name).is_file():
                raise click.UsageError(f"there is no file {name!r}")
            try:
                yield from events(name)
            except OSError as error:
                raise click.ClickException(f"cannot read {name!r}: {error.strerror or error}") from None

    return running.add(replayed(list(found()), running.settings.now()) if replay else found())
