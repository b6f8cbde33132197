"""
The composition root: the only module that knows every part.

From a checked configuration to a service that runs, and back to nothing when it is closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from engine import exceptions, kinds, logs, packs, plugins
from engine.canary import Canary
from engine.delivery import Delivered, Delivery, Notifier, Outcome
from engine.errors import ConfigurationError, Place, Problem
from engine.event import Cursor
from engine.expression import ExpressionFault, Lists, parse
from engine.metrics import Metrics
from engine.packs import cache
from engine.pipeline import Policy
from engine.route import Mute
from engine.service import Care, Parts, Service, Upkeep, Watched
from engine.settings import Loaded
from engine.store import Store
from engine.store.address import is_postgres, masked, need_driver
from engine.store.sqlite import damage_mark, open_copy, open_or_replace, open_store


@dataclass(frozen=True, slots=True)
class App:
    """A service with its parts, ready to run."""

    service: Service
    parts: Parts


@contextmanager
def assembled(loaded: Loaded, *, dry_run: bool = False, reload: Callable[[], Loaded] | None = None) -> Iterator[App]:
    """
    The service that *loaded* describes; everything it opened is closed at the end.

    With *dry_run* it works on a copy of the store in memory and prints what it would send. *reload* reads the
    configuration again. Raises ConfigurationError, StoreError, AlreadyRunningError.
    """
    settings = loaded.settings
    with ExitStack() as stack:
        store, replaced = _service_store(settings.store, dry_run=dry_run)
        stack.callback(store.close)
        path = "" if is_postgres(settings.store) else store_path(settings.store)
        key = store.redaction_key()
        rules = cache.load(settings.rules)
        store.exceptions_loaded(exceptions.keys(rules), time.time())
        watched = []
        for entry in settings.sources:
            source = plugins.source(entry.type).build(entry.name, loaded.source_settings[entry.name])
            stack.callback(source.close)
            watched.append(
                Watched(
                    source,
                    kinds.kind(source.kind, redaction_key=key),
                    entry.every,
                    entry.overlap.most,
                    entry.second_look.every,
                    entry.second_look.span,
                    entry.overlap.between(),
                    entry.lateness.between(),
                )
            )
        destinations: dict[str, Notifier] = {}
        for notifier in settings.notifiers:
            built = plugins.notifier(notifier.type).build(notifier.name, loaded.notifier_settings[notifier.name])
            stack.callback(built.close)
            destinations[notifier.name] = Preview(built, notifier.name) if dry_run else built
        if replaced:
            _read_back(store, watched)
        metrics = Metrics()
        metrics.rules.set(len(rules))
        changes = RuleFiles(settings.rules)
        parts = Parts(
            store=store,
            policy=Policy(rules, loaded.routes(rules.lists)),
            watched=watched,
            destinations=destinations,
            mutes=Mutes(store, rules.lists),
            reload=lambda: _reloaded(reload() if reload else loaded, changes, store),
            rules_changed=changes.changed,
            upkeep=Upkeep(settings.retention.seen, settings.retention.history),
            metrics=metrics,
            care=_care(loaded, dry_run=dry_run),
            dry_run=dry_run,
            stall_mark=Path(path + ".stalled") if path and not dry_run else None,
            damage_mark=damage_mark(path) if path and not dry_run else None,
            replaced=replaced,
        )
        yield App(Service(parts), parts)


def _service_store(url: str, *, dry_run: bool) -> tuple[Store, str]:
    """The store of a service, and where a damaged one was put aside (told loudly: this one knows nothing)."""
    if dry_run or is_postgres(url):
        return open_configured_store(url, hold=not dry_run, copy=dry_run), ""
    store, aside = open_or_replace(store_path(url), time.time())
    if aside:
        logs.get().critical("THE STORE WAS DAMAGED: it was put aside and a new one begun", kept_as=aside)
    return store, aside


def _read_back(store: Store, watched: Sequence[Watched]) -> None:
    """A new store in place of a damaged one reads back as far as a second look does, not only from now on."""
    now = datetime.now(UTC)
    with store.transaction() as tx:
        for one in watched:
            tx.move_cursor(one.source.name, Cursor(now - max(one.second_look_span, one.overlap)))


def _care(loaded: Loaded, *, dry_run: bool) -> Care:
    settings = loaded.settings
    meta = settings.meta.to if settings.meta.to is not None else [one.name for one in settings.notifiers]
    return Care(
        meta=() if dry_run else tuple(meta),
        escalate_after=settings.delivery.escalate_after,
        source_failing=settings.meta.source_failing,
        source_silent=settings.meta.source_silent,
        canary=Canary(settings.canary.to, settings.canary.every) if settings.canary and not dry_run else None,
    )


def open_configured_store(url: str, *, hold: bool = False, copy: bool = False) -> Store:
    """The store that *url* names (see `store_path`, or a Postgres database); with *copy*, a copy of it in memory."""
    if is_postgres(url):
        return _on_postgres(url, hold=hold, copy=copy)
    path = store_path(url)
    return open_copy(path) if copy else open_store(path, hold=hold)


def _on_postgres(url: str, *, hold: bool, copy: bool) -> Store:
    need_driver(url)
    from engine.store import postgres  # noqa: PLC0415 its driver is installed only where it is wanted

    if copy:
        return postgres.open_copy(url)
    store = postgres.open_store(url)
    apart = store.clock_offset(time.time()) if hold else 0.0
    if abs(apart) > postgres.CLOCKS_APART:
        logs.get().warning("this machine's clock is not the database's: leases may end too soon", seconds=round(apart))
    return store


def store_path(url: str) -> str:
    """
    The file of a store's URL: `sqlite:///PATH` with an absolute path, `sqlite:///./PATH` with one from here.

    Raises ConfigurationError for every other form.
    """
    scheme, _, path = url.partition("://")
    name = path.lstrip("/")
    if scheme != "sqlite" or not name:
        message = f"the store {masked(url)!r} is none that this version knows"
        hint = "sqlite:///var/lib/tocsin/tocsin.db, sqlite:///./tocsin.db for a file beside you, postgresql://…"
        raise ConfigurationError([Problem(Place("store"), "unknown-store", message, suggestion=hint)])
    if name.startswith("~"):
        return str(Path(name).expanduser())
    return name if name.startswith((".", ":")) or not path.startswith("/") else f"/{name}"


def _reloaded(loaded: Loaded, changes: RuleFiles, store: Store) -> Policy:
    changes.note()
    rules = cache.load(loaded.settings.rules)
    store.exceptions_loaded(exceptions.keys(rules), time.time())
    return Policy(rules, loaded.routes(rules.lists))


class RuleFiles:
    """Whether the rule files on disk are still those that were read."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._known = packs.fingerprint(paths)

    def changed(self) -> bool:
        return packs.fingerprint(self._paths) != self._known

    def note(self) -> None:
        """From now on, a change is one against what is there now."""
        self._known = packs.fingerprint(self._paths)


class Mutes:
    """The silences in force, compiled once each."""

    def __init__(self, store: Store, lists: Lists) -> None:
        self._store = store
        self._lists = lists
        self._compiled: dict[str, Mute] = {}

    def __call__(self, at: float) -> list[Mute]:
        return [self._compile(silence.id, silence.match) for silence in self._store.silences(at)]

    def _compile(self, silence_id: str, match: str) -> Mute:
        if silence_id not in self._compiled:
            try:
                condition = parse(match, place=Place(f"silence {silence_id}"), lists=self._lists)
            except ExpressionFault as fault:  # checked when it was added; a newer store may hold what we do not know
                raise ConfigurationError(
                    [Problem(Place(f"silence {silence_id}"), "bad-expression", fault.message)]
                ) from None
            self._compiled[silence_id] = Mute(silence_id, condition)
        return self._compiled[silence_id]


class Preview:
    """A destination of a dry run: prints what would be sent, sends nothing."""

    def __init__(self, notifier: Notifier, name: str) -> None:
        self._notifier = notifier
        self._name = name

    @property
    def pace(self) -> timedelta:
        return timedelta(0)

    def send(self, delivery: Delivery) -> Outcome:
        click.echo(f"--- would send {delivery.id} to {self._name}\n{self._notifier.preview(delivery)}\n")
        return Delivered("dry run")

    def preview(self, delivery: Delivery) -> str:
        return self._notifier.preview(delivery)

    def close(self) -> None:
        """The wrapped notifier is closed by whoever built it."""
