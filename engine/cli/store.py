"""`tocsin store backup|check|migrate`: upkeep of what must outlive the process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from engine.cli.options import config_option, configured_store, format_option, store_option
from engine.cli.show import as_json
from engine.errors import StoreError
from engine.store import Ledger
from engine.store.address import is_postgres, masked, need_driver


@click.group()
def store() -> None:
    """Back up, check and migrate the store."""


@store.command()
@click.argument("file", type=click.Path(dir_okay=False))
@config_option
@store_option
def backup(file: str, config: str | None, store: str | None) -> None:
    """Copy the store into FILE (mode 0600), checked, beside a running service. SQLite only."""
    from engine.store.backup import backup as copied

    url = store or configured_store(config)
    if is_postgres(url):
        command = f"pg_dump --format=custom --file='{file}' '{masked(url)}'"
        raise click.UsageError(f"a store on Postgres is backed up by its own tools:\n  {command}")
    made = copied(_file(url), file)
    click.echo(f"{file}: {made.bytes} bytes, schema {made.schema}, checked")


@store.command()
@config_option
@store_option
@format_option
def check(config: str | None, store: str | None, form: str) -> None:
    """Whether the store is sound and its ledger adds up; exit code 1 when not. Changes nothing that it holds."""
    url = store or configured_store(config)
    found = _checked(url)
    if form == "json":
        as_json(asdict(found))
    else:
        click.echo(f"{masked(url)}: schema {found.schema} of {found.known_schema}")
        for name, number in sorted(found.counts.items()):
            click.echo(f"{name:>24}  {number}")
        for fault in found.faults:
            click.echo(f"fault: {fault}")
        click.echo("NOT SOUND" if found.faults else "sound")
    if found.faults:
        sys.exit(1)


@store.command()
@config_option
@store_option
def migrate(config: str | None, store: str | None) -> None:
    """Bring the store's tables up to this version, which every command that opens it does as well."""
    from engine.app import open_configured_store

    url = store or configured_store(config)
    before, _ = _looked(url)
    open_configured_store(url).close()
    after = _known(url)
    click.echo(f"{masked(url)}: schema {after}" + ("" if after == before else f", was {before}"))


@dataclass(frozen=True, slots=True)
class _Checked:
    schema: int
    known_schema: int
    counts: Mapping[str, int]
    faults: tuple[str, ...]


def _checked(url: str) -> _Checked:
    from engine.app import open_configured_store

    schema, faults = _looked(url)
    known = _known(url)
    counts: Mapping[str, int] = {}
    if not faults and (trouble := _schema_trouble(schema, known)):
        faults = (trouble,)
    if not faults:
        opened = open_configured_store(url)
        try:
            counts, faults = opened.counts(), _imbalance(opened.ledger())
        finally:
            opened.close()
    return _Checked(schema, known, counts, faults)


def _schema_trouble(schema: int, known: int) -> str:
    if schema > known:
        return f"schema {schema} is of a newer Tocsin; this one knows up to {known}"
    return f"schema {schema} is older than this Tocsin's: run `tocsin store migrate`" if schema < known else ""


def _imbalance(ledger: Ledger) -> tuple[str, ...]:
    if not ledger.imbalance:
        return ()
    outcomes = f"{ledger.matches} matches, {sum(ledger.outcomes.values())} outcomes"
    return (f"the ledger does not add up: {outcomes}, {ledger.untold} alerts without a delivery",)


def _looked(url: str) -> tuple[int, tuple[str, ...]]:
    """The schema's number, and what is wrong with the database itself, as far as we are to look."""
    if is_postgres(url):
        need_driver(url)
        from engine.store.postgres import schema_of

        return schema_of(url), ()  # its pages are its server's: pg_amcheck
    from engine.store.backup import look

    looked = look(_file(url))
    return looked.schema, looked.faults


def _known(url: str) -> int:
    if is_postgres(url):
        from engine.store.postgres import migrations

        return max(migrations())
    from engine.store.backup import known_schema

    return known_schema()


def _file(url: str) -> str:
    from engine.app import store_path

    path = store_path(url)
    if not Path(path).is_file():
        raise StoreError(f"there is no store at {path} yet")
    return path
