"""`tocsin doctor`: look at everything that must be right, and say what to do about what is not."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from engine import logs, packs, plugins
from engine.cli.options import config_option, configuration, format_option
from engine.cli.show import as_json, plain
from engine.delivery import Checkable, Finding
from engine.errors import (
    ConfigurationError,
    SourceError,
    SourceRefusedError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
)
from engine.event import Cursor
from engine.settings import Loaded
from engine.sources import Source
from engine.store import Breaker
from engine.store.address import is_postgres

ENOUGH_BYTES = 500 * 2**20  # of space: a busy account writes some hundred megabytes in the 90 days that are kept
SKEW_SECONDS = 60.0  # the API refuses a signature that is 5 minutes off
MARKS = {True: "ok  ", False: "FAIL", None: "?   "}


@dataclass(frozen=True, slots=True)
class Checked:
    """One finding, and what it is about: "source prod", "store"."""

    about: str
    finding: Finding


@click.command()
@config_option
@format_option
def doctor(config: str | None, form: str) -> None:
    """
    Check keys, permissions, tracking sets, clock, Slack scopes and channels, webhooks, store, disk and configuration.

    Asks the cloud and the destinations, and tells nobody anything. What cannot be checked without sending is marked
    "?". Exits with 1 when something fails.
    """
    logs.configure("error", "text")  # what is wrong is said once, here
    failed = False
    for one in examined(config):
        failed = failed or one.finding.fine is False
        if form == "json":
            fine = {True: "ok", False: "failed", None: "unknown"}[one.finding.fine]
            as_json({"about": one.about, "result": fine, "what": one.finding.what, "to_do": one.finding.to_do or None})
        else:
            click.echo(f"{MARKS[one.finding.fine]}  {one.about}: {plain(one.finding.what)}")
            if one.finding.to_do and one.finding.fine is not True:
                click.echo(f"      → {plain(one.finding.to_do)}")
    if failed:
        sys.exit(1)


def examined(config: str | None) -> Iterator[Checked]:
    """Everything, one after the other, each as soon as it is known."""
    try:
        loaded = configuration(config)
    except ConfigurationError as error:
        for problem in error.problems:
            found = Finding(
                False, str(problem).splitlines()[0], problem.suggestion or "correct it: `tocsin check -c FILE`"
            )
            yield Checked("configuration", found)
        return
    yield from (Checked("configuration", found) for found in _configuration(loaded))
    broken: dict[str, Breaker] = {}
    yield from (Checked("store", found) for found in _store(loaded.settings.store, broken))
    for entry in loaded.settings.sources:
        source = plugins.source(entry.type).build(entry.name, loaded.source_settings[entry.name])
        try:
            yield from (Checked(f"source {entry.name}", found) for found in _source(source))
        finally:
            source.close()
    for notifier in loaded.settings.notifiers:
        built = plugins.notifier(notifier.type).build(notifier.name, loaded.notifier_settings[notifier.name])
        try:
            looked = built.check() if isinstance(built, Checkable) else [Finding(None, "it has nothing to check")]
            yield from (Checked(f"destination {notifier.name}", one) for one in looked)
        finally:
            built.close()
        if (breaker := broken.pop(notifier.name, None)) is not None:
            advice = next((one.to_do for one in looked if one.fine is False and one.to_do), "")
            yield Checked(f"destination {notifier.name}", _takes_nothing(breaker, advice))
    for name, breaker in broken.items():
        to_do = "it is not configured any more: `tocsin deliveries drop` what waits for it"
        yield Checked(f"destination {name}", _takes_nothing(breaker, to_do))


def _takes_nothing(breaker: Breaker, advice: str) -> Finding:
    """What the store says of a destination. *advice* is what its own check said to do, "" if that found nothing."""
    name = breaker.destination
    if not advice and breaker.refuses:
        advice = f"correct token, channel or URL, then `tocsin notify {name}` shows whether it takes messages"
    elif not advice:
        advice = "is it up, and the network between? It is tried by itself"
    return Finding(False, f"it takes nothing: {breaker.reason}", advice)


def _configuration(loaded: Loaded) -> Iterator[Finding]:
    settings = loaded.settings
    yield Finding(True, f"{loaded.file} is right")
    try:
        yield Finding(True, f"{len(packs.load(settings.rules))} rules")
    except ConfigurationError as error:
        yield Finding(
            False, f"the rules have {len(error.problems)} problems", "`tocsin check` names each with its line"
        )
    if not settings.sources:
        yield Finding(False, "there is no source to read", "add one under `sources`")
    if not settings.notifiers:
        yield Finding(False, "there is nobody to tell", "add a destination under `notifiers`")
    elif not settings.routes:
        yield Finding(False, "there are no routes: no alert will be sent", "add `- {to: [NAME]}` under `routes`")
    routed = {name for route in settings.routes for name in (*route.to, *route.then)}
    own = set(settings.meta.to or ()) | ({settings.canary.to} if settings.canary else set())
    for entry in settings.notifiers:
        if settings.routes and entry.name not in routed | own:
            yield Finding(None, f"no route leads to {entry.name}")
    if settings.meta.to is not None and not settings.meta.to:
        yield Finding(
            False, "nobody is told when Tocsin itself is in trouble", "name a destination under `meta: {to: …}`"
        )
    if settings.canary is not None and {settings.canary.to} >= {entry.name for entry in settings.notifiers}:
        yield Finding(False, "the canary's absence has no second way to be told", "add another destination")


def _store(url: str, broken: dict[str, Breaker]) -> Iterator[Finding]:
    """What is to be said of the store; *broken* takes the destinations that take nothing, by name."""
    from engine.app import open_configured_store, store_path

    if url.startswith("sqlite:"):
        path = Path(store_path(url))
        folder = path.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            yield Finding(False, f"the folder {folder} cannot be looked at: {error.strerror}", "check who may read it")
            return
        enough = free >= ENOUGH_BYTES
        yield Finding(enough, f"{free / 2**20:.0f} MiB are free in {folder}", "" if enough else "make space")
        if not path.is_file():
            yield Finding(None, f"there is no store at {path} yet; `tocsin run` makes it")
            return
        if path.stat().st_mode & 0o077:
            yield Finding(False, f"{path} can be read by others", f"chmod 600 {path}")
    try:
        store = open_configured_store(url)
    except ConfigurationError as error:
        to_do = "; ".join(problem.suggestion for problem in error.problems if problem.suggestion)
        yield Finding(False, str(error).splitlines()[0], to_do or "correct it")
        return
    except StoreError as error:
        yield Finding(False, str(error), _mending(error, on_postgres=is_postgres(url)))
        return
    try:
        ledger = store.ledger()
        store.probe()
        yield Finding(True, "it can be read and written")
        sound = ledger.imbalance == 0
        said = f"the ledger has {ledger.matches} matches and " + (
            "adds up" if sound else f"is off by {ledger.imbalance}"
        )
        yield Finding(sound, said, "" if sound else "keep the store and the log, and tell the authors")
        broken.update((breaker.destination, breaker) for breaker in store.breakers())
    except StoreError as error:
        yield Finding(False, str(error), _mending(error, on_postgres=is_postgres(url)))
    finally:
        store.close()


def _mending(error: StoreError, *, on_postgres: bool) -> str:
    """What a person does about a store that failed with *error*."""
    match error:
        case StoreDamagedError() if on_postgres:
            return "Tocsin leaves a damaged database as it is: look at the server's disk, restore it from a backup"
        case StoreDamagedError():
            return "a damaged store is put aside and begun anew by the next `tocsin run`; look at the disk"
        case StoreFullError():
            return "make space on the server" if on_postgres else "make space"
    if on_postgres:
        return "check that the server runs, the address, the role's password and what it may do"
    return "check the disk, and who may read and write there"


def _source(source: Source) -> Iterator[Finding]:
    now = datetime.now(UTC)
    try:
        page = next(iter(source.fetch(Cursor(now - timedelta(minutes=10)), now)), None)
    except SourceRefusedError as error:
        to_do = "give the key the policy of deploy/cam-policy.json; check SecretId, SecretKey and role"
        yield Finding(False, f"events cannot be read: {error}", to_do)
        return
    except SourceError as error:
        yield Finding(False, f"events cannot be read: {error}", "check keys, network, proxy and endpoint")
        return
    yield Finding(True, f"events can be read ({len(page.records) if page else 0} on the first page of ten minutes)")
    yield from _clock(source)
    try:
        coverage = source.coverage()
    except SourceError as error:
        yield Finding(
            False, f"tracking sets cannot be read: {error}", "allow DescribeAuditTracks and DescribeAuditTrack"
        )
        return
    if coverage is not None:
        to_do = "" if coverage.covered else "`tocsin tracks create` makes a set that keeps every write event"
        yield Finding(coverage.covered, coverage.reason, to_do)


def _clock(source: Source) -> Iterator[Finding]:
    """How far this machine's clock is off, where the cloud's answers say what time it is."""
    from engine.sources.tencent_cloudaudit import TencentCloudAudit

    if isinstance(source, TencentCloudAudit):
        clock = source.client.clock
        if clock.skew is None:
            yield Finding(None, clock.describe())
        else:
            fine = abs(clock.skew) <= SKEW_SECONDS
            yield Finding(fine, clock.describe(), "" if fine else "synchronise it: chrony or systemd-timesyncd")
