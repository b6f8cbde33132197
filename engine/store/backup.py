"""A copy of a store on SQLite that can be put in its place, and what a look at its file finds."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from engine.errors import StoreError


@dataclass(frozen=True, slots=True)
class Looked:
    """What a file holds. *faults* is empty when all its pages and references agree."""

    schema: int
    bytes: int
    faults: tuple[str, ...]


def backup(path: str, to: str) -> Looked:
    """
    Copy the store in *path*, as it is at this moment, into the new file *to* (mode 0600), beside a running service.

    *to* is there when its copy was checked and is on the disk, or not at all. Raises StoreError, also for a file that
    is there already and for a copy that does not pass the check.
    """
    part = f"{to}.part"
    with _said(f"backup {to}"):
        if Path(to).exists():
            raise StoreError(f"{to} is there already; a backup overwrites nothing")
        os.close(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        try:
            with closing(_read_only(path)) as original, closing(sqlite3.connect(part, isolation_level=None)) as copy:
                original.backup(copy)  # all pages in one step: of one moment, and no writer waits for it
                copy.execute("PRAGMA journal_mode=DELETE")  # one file; the store makes it WAL again
            looked = look(part)
            if looked.faults:
                raise StoreError(f"the copy of {path} is damaged, as {path} may be: {looked.faults[0]}")
            _to_disk(part)
            os.link(part, to)  # unlike rename, refuses to replace what came there in the meantime
        finally:
            Path(part).unlink(missing_ok=True)
        _to_disk(str(Path(to).parent))
    return looked


def look(path: str) -> Looked:
    """
    Check the file in *path* and change nothing: every page, index and reference. Reads the whole file.

    Raises StoreError when it cannot be read; a file that is no database has a fault.
    """
    with _said(f"store {path}"):
        size = Path(path).stat().st_size
        try:
            with closing(_read_only(path)) as db:
                (schema,) = db.execute("PRAGMA user_version").fetchone()
                faults = [text for (text,) in db.execute("PRAGMA integrity_check(10)") if text != "ok"]
                faults += [
                    f"a row of {table} refers to one of {parent} that is not there"
                    for table, _, parent, _ in db.execute("PRAGMA foreign_key_check").fetchmany(10)
                ]
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # no way to it says nothing about what it holds
                raise
            return Looked(0, size, (str(error),))
    return Looked(schema, size, tuple(faults))


def known_schema() -> int:
    """The number of the newest migration that this version knows."""
    folder = files("engine.store").joinpath("migrations")
    return max(int(step.name[:4]) for step in folder.iterdir() if step.name.endswith(".sql"))


def _read_only(path: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=30.0)


def _to_disk(path: str) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _said(what: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{what}: {error}") from error
