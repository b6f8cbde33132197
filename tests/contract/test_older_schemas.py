"""
A store of every schema that ever was is opened by today's program, and nothing in it is lost. Row 10 of the matrix.

older/DATABASE-NNNN.json holds rows as the program of schema NNNN wrote them (older/write.py). Schemas 2 and 3, and on
Postgres 1 to 3, were never the newest of any release: there, the rows are those of schema 4, without what that schema
did not have yet.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine import kinds
from engine.errors import ConfigurationError
from engine.event import Event, Record
from engine.kinds.body import checksum
from engine.store import OPEN_STATES, Store
from engine.store import postgres as on_postgres
from engine.store.backup import known_schema
from engine.store.sqlite import open_or_replace, open_store
from tests.postgres_server import PostgresServer

OLDER = Path(__file__).parent / "older"
NEWEST = known_schema()
VERSIONS = range(1, NEWEST + 1)
Rows = dict[str, list[dict[str, Any]]]


def rows(database: str, version: int) -> Rows:
    """As the first program of at least schema *version* wrote them; the bytes as bytes."""
    written = sorted(OLDER.glob(f"{database}-*.json"))
    file = next(one for one in written if int(one.stem[-4:]) >= version)
    tables: Rows = json.loads(file.read_text(encoding="utf-8"))
    return {table: [{k: _bytes(v) for k, v in row.items()} for row in found] for table, found in tables.items()}


def _bytes(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return bytes.fromhex(value["hex"]) if "hex" in value else value["text"].encode()


def steps(folder: str, version: int) -> list[str]:
    found = sorted(files("engine.store").joinpath(folder).iterdir(), key=lambda step: step.name)
    return [step.read_text(encoding="utf-8") for step in found if step.name.endswith(".sql")][:version]


def restricted(tables: Rows, known: dict[str, set[str]]) -> Rows:
    """What has a place in the *known* tables and columns."""
    return {
        table: [{column: value for column, value in row.items() if column in known[table]} for row in found]
        for table, found in tables.items()
        if table in known
    }


class OnSqlite:
    """A file with an older schema."""

    def __init__(self, path: Path, version: int) -> None:
        self.path = str(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            for step in steps("migrations", version):
                db.executescript(step)
            db.execute(f"PRAGMA user_version={version}")
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")]
            known = {table: {column for _, column, *_ in db.execute(f"PRAGMA table_info({table})")} for table in tables}
            self.rows = restricted(rows("sqlite", version), known)
            if "ledger" in known:
                db.execute("DELETE FROM ledger")
            for table, row in self._each():
                names = ", ".join(row)
                marks = ", ".join("?" * len(row))
                db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))

    def open(self) -> Store:
        return open_store(self.path, hold=True)

    def lost(self) -> list[tuple[str, dict[str, Any]]]:
        """Rows that are no longer there as they were."""
        with closing(sqlite3.connect(self.path)) as db:
            return [
                (table, row)
                for table, row in self._each()
                if db.execute(
                    f"SELECT count(*) FROM {table} WHERE {' AND '.join(f'{column} IS ?' for column in row)}",
                    list(row.values()),
                ).fetchone()
                != (1,)
            ]

    def say(self, version: int) -> None:
        with closing(sqlite3.connect(self.path)) as db:
            db.execute(f"PRAGMA user_version={version}")

    def _each(self) -> Iterator[tuple[str, dict[str, Any]]]:
        order = sorted(self.rows, key=_after_what_it_refers_to)
        return ((table, row) for table in order for row in self.rows[table])


def _after_what_it_refers_to(table: str) -> int:
    return {"alerts": 0, "outbox": 1}.get(table, 2)


class OnPostgres:
    """A database with an older schema."""

    def __init__(self, url: str, version: int) -> None:
        self.url = url
        with psycopg.connect(url, autocommit=True) as db:
            for step in steps("migrations_postgres", version):
                db.execute(step.encode())
            db.execute("CREATE TABLE tocsin_schema (version INTEGER NOT NULL)")
            db.execute("INSERT INTO tocsin_schema (version) VALUES (%s)", (version,))
            known: dict[str, set[str]] = {}
            for table, column in db.execute(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema=current_schema()"
            ):
                known.setdefault(table, set()).add(column)
            self.rows = restricted(rows("postgres", version), known)
            if "ledger" in known:
                db.execute("DELETE FROM ledger")
            for table, row in self._each():
                marks = ", ".join(["%s"] * len(row))
                db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})".encode(), list(row.values()))

    def open(self) -> Store:
        return on_postgres.open_store(self.url)

    def lost(self) -> list[tuple[str, dict[str, Any]]]:
        """Rows that are no longer there as they were."""
        with psycopg.connect(self.url) as db:
            return [
                (table, row)
                for table, row in self._each()
                if db.execute(
                    f"SELECT count(*) FROM {table} WHERE "
                    f"{' AND '.join(f'{column} IS NOT DISTINCT FROM %s' for column in row)}".encode(),
                    list(row.values()),
                ).fetchone()
                != (1,)
            ]

    def say(self, version: int) -> None:
        with psycopg.connect(self.url) as db:
            db.execute("UPDATE tocsin_schema SET version=%s", (version,))

    def _each(self) -> Iterator[tuple[str, dict[str, Any]]]:
        order = sorted(self.rows, key=_after_what_it_refers_to)
        return ((table, row) for table in order for row in self.rows[table])


Older = OnSqlite | OnPostgres
Build = Callable[[int], Older]


@pytest.fixture(params=["sqlite", "postgres"])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Build:
    if request.param == "sqlite":
        return lambda version: OnSqlite(tmp_path / "tocsin.db", version)
    server: PostgresServer = request.getfixturevalue("postgres")
    return lambda version: OnPostgres(server.new_schema(), version)


def event(event_id: str, **fields: Any) -> Event:
    actor = {"type": "CAMUser", "accountId": "100000000001", "userName": "ana"}
    body = {"eventID": event_id, "eventName": "GetBucket", "eventTime": 1_789_997_000, "userIdentity": actor}
    kind = kinds.kind("tencent.cloudaudit", redaction_key=b"k" * 32)
    found = kind.decode(Record(json.dumps(body | fields).encode())).event
    assert found is not None
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_no_row_is_lost(build: Build, version: int) -> None:
    older = build(version)
    assert sum(map(len, older.rows.values())) > 20
    older.open().close()
    assert older.lost() == []


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_seen_is_known_and_what_it_said_is_compared_from_now_on(build: Build, version: int) -> None:
    with closing(build(version).open()) as store, store.transaction() as tx:
        known = [event(name) for name in ("e-told", "e-nothing", "e-story", "e-breaks", "e-story-2", "e-queued")]
        new = event("e-new")
        bodies = [checksum(one) for one in (*known, new)]
        assert tx.unseen([*known, new], 1_790_000_000, bodies) == [new]
        assert tx.note_changed("prod", [event("e-new", a=1)], 1, [checksum(event("e-new", a=1))]) == 1
        if version < 5:  # what these said was not kept then
            assert tx.note_changed("prod", known, 1, bodies[:-1]) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_what_waits_is_sent_and_what_was_in_hand_may_have_arrived(build: Build, version: int) -> None:
    with closing(build(version).open()) as store:
        before = {one.id: one.state for one in store.deliveries()}
        assert {"delivered", "sending"} <= set(before.values())
        assert store.release(1_790_000_100) == 1
        store.mend_destination("hook", 1_790_000_000)  # so that every delivery can be claimed, not one a minute
        claimed = [store.claim("hook", 1_790_000_100, 60) for _ in before]
        given = {one.id: one for one in claimed if one is not None}
        assert set(given) == {name for name, state in before.items() if state in OPEN_STATES}
        assert [one.earlier_ambiguous for name, one in given.items() if before[name] == "sending"] == [True]
        (delivered,) = (name for name, state in before.items() if state == "delivered")
        assert [(one.number, one.state, one.receipt) for one in store.attempts(delivered)] == [
            (1, "delivered", "receipt-1")
        ]


@pytest.mark.parametrize("version", VERSIONS)
def test_alerts_ledger_and_state_are_as_they_were(build: Build, version: int) -> None:
    with closing(build(version).open()) as store:
        assert {alert.rule_id for alert in store.alerts()} >= {"old.told", "old.story"}
        (story,) = store.alerts(rule_id="old.story")
        assert (story.count, story.event_ids) == (2, ("e-story", "e-story-2"))
        with store.transaction() as tx:
            told = tx.told(story.fingerprint)
        assert told is not None
        assert told.alert_id == story.id
        assert store.ledger().imbalance == 0
        assert [verdict.outcome for verdict, _ in store.verdicts("e-story-2")] == ["merged"]
        assert [one["rule_id"] for one in store.faults()] == ["old.breaks"]
        assert [bytes(one["raw"]) for one in store.quarantined()] == [b"{cut"]
        assert [one.id for one in store.silences()] == ["S-1"]
        state = store.source_state("prod")
        assert state.cursor is not None
        assert state.last_error == "no route to host"


@pytest.mark.parametrize("version", [version for version in VERSIONS if version >= 2])
def test_windows_go_on_counting(build: Build, version: int) -> None:
    with closing(build(version).open()) as store, store.transaction() as tx:
        ((source, _, window),) = tx.windows_of("old.many")
        assert (source, window.busy) == ("prod", 2)
        waiting = tx.ready("prod", 1_790_000_000)
        assert [one.hit.kept.event_id for one in waiting] == ["e-key-late"]
        watch = tx.source_watch("prod")
        assert watch.watermark is not None
        assert tx.lags("prod", "behind")


def test_a_store_on_sqlite_is_brought_up_to_date_where_it_lies(tmp_path: Path) -> None:
    older = OnSqlite(tmp_path / "tocsin.db", 1)
    store, aside = open_or_replace(older.path, 1_790_000_000)
    store.close()
    assert aside == ""
    assert not list(tmp_path.glob("*corrupt*"))


def test_a_newer_store_is_refused_says_so_and_stays_as_it_is(build: Build) -> None:
    newer = build(NEWEST)
    newer.say(NEWEST + 1)
    with pytest.raises(
        ConfigurationError, match=f"schema {NEWEST + 1}, of a newer Tocsin.*knows up to {NEWEST}"
    ) as told:
        newer.open()
    assert "upgrade Tocsin" in str(told.value)
    assert newer.lost() == []


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_rows_of_the_newest_schema_are_kept_for_the_migrations_to_come(database: str) -> None:
    assert (OLDER / f"{database}-{NEWEST:04}.json").is_file(), "python -m tests.contract.older.write"
