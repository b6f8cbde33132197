"""`tocsin store backup|check|migrate`."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot

from engine.cli.store import store
from engine.errors import StoreError
from engine.store.backup import backup, known_schema
from engine.store.sqlite import SqliteStore, open_store
from tests.postgres_server import PostgresServer
from tests.samples import an_alert, an_event


def told(*arguments: str) -> Result:
    return CliRunner().invoke(store, arguments)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with one event and one delivery."""
    monkeypatch.chdir(tmp_path)
    opened = open_store("tocsin.db")
    fill(opened)
    opened.close()
    return "sqlite:///./tocsin.db"


def fill(opened: SqliteStore) -> None:
    with opened.transaction() as tx:
        tx.unseen([an_event()], 0)
        tx.save_alert(an_alert())
        tx.queue("d1", "A-1", "oncall", 5)


def test_a_backup_can_be_put_in_the_stores_place(url: str) -> None:
    result = told("backup", "copy.db", "--store", url)
    assert (result.exit_code, result.exception) == (0, None)
    copy = open_store("copy.db")
    assert copy.find_delivery("d1") is not None
    with copy.transaction() as tx:
        assert tx.unseen([an_event()], 0) == []
    copy.close()


def test_a_backup_is_for_its_owner_only_and_one_file(url: str) -> None:
    told("backup", "copy.db", "--store", url)
    assert sorted(p.name for p in Path().glob("copy*")) == ["copy.db"]
    assert oct(Path("copy.db").stat().st_mode & 0o777) == "0o600"


def test_a_backup_overwrites_nothing(url: str) -> None:
    Path("copy.db").write_text("something else")
    result = told("backup", "copy.db", "--store", url)
    assert isinstance(result.exception, StoreError)
    assert Path("copy.db").read_text() == "something else"
    assert not Path("copy.db.part").exists()


def test_a_backup_beside_a_running_service_is_of_one_moment(url: str) -> None:
    running = open_store("tocsin.db", hold=True)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with running.transaction() as tx:
                tx.unseen([an_event(event_id=f"x{number}")], 0)
                tx.save_alert(an_alert(id=f"A-x{number}"))

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(5):
            backup("tocsin.db", f"copy{number}.db")
    finally:
        stop.set()
        writing.join()
        running.close()
    for number in range(5):
        copy = open_store(f"copy{number}.db")
        counts = copy.counts()
        assert counts["events"] == counts["alerts"]
        copy.close()


def test_a_damaged_store_is_not_backed_up_as_if_it_were_sound(url: str) -> None:
    damage(Path("tocsin.db"))
    result = told("backup", "copy.db", "--store", url)
    assert isinstance(result.exception, StoreError)
    assert not Path("copy.db").exists()


def test_on_postgres_it_says_what_to_do_instead() -> None:
    result = told("backup", "copy.dump", "--store", "postgresql://tocsin:s3cret-word@db/tocsin")
    assert result.exit_code == 2
    assert result.output.splitlines()[-2:] == snapshot(
        [
            "Error: a store on Postgres is backed up by its own tools:",
            "  pg_dump --format=custom --file='copy.dump' 'postgresql://tocsin:[masked]@db/tocsin'",
        ]
    )
    assert "s3cret" not in result.output


def test_a_sound_store_is_said_to_be_sound(url: str) -> None:
    result = told("check", "--store", url)
    assert result.exit_code == 0
    assert result.output.splitlines()[0] == f"sqlite:///./tocsin.db: schema {known_schema()} of {known_schema()}"
    assert result.output.splitlines()[1:] == snapshot(
        [
            "                  alerts  1",
            "         delivery.queued  1",
            "                  events  1",
            "                  faults  0",
            "                 matches  0",
            "             quarantined  0",
            "sound",
        ]
    )


def test_a_damaged_store_is_said_not_to_be_sound(url: str) -> None:
    damage(Path("tocsin.db"))
    result = told("check", "--store", url, "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.output)["faults"] != []


def test_a_file_that_is_no_database_is_not_sound(url: str) -> None:
    Path("tocsin.db").write_text("this is a shopping list, not a database\n" * 50)
    result = told("check", "--store", url)
    assert result.exit_code == 1
    assert "file is not a database" in result.output


def test_a_ledger_that_does_not_add_up_is_a_fault(url: str) -> None:
    with sqlite3.connect("tocsin.db") as db:
        db.execute("UPDATE ledger SET value=7 WHERE name='matches'")
    db.close()
    result = told("check", "--store", url)
    assert result.exit_code == 1
    assert "fault: the ledger does not add up: 7 matches, 0 outcomes, 0 alerts without a delivery" in result.output


def test_a_reference_to_nothing_is_a_fault(url: str) -> None:
    with sqlite3.connect("tocsin.db") as db:
        db.execute("DELETE FROM alerts")
    db.close()
    result = told("check", "--store", url)
    assert result.exit_code == 1
    assert "fault: a row of outbox refers to one of alerts that is not there" in result.output


def test_an_older_store_is_brought_up_to_date(url: str) -> None:
    Path("old.db").touch()
    asked = told("check", "--store", "sqlite:///./old.db")
    assert asked.exit_code == 1
    assert "run `tocsin store migrate`" in asked.output
    assert ", was 0" in told("migrate", "--store", "sqlite:///./old.db").output
    assert told("check", "--store", "sqlite:///./old.db").exit_code == 0


def test_a_store_that_is_not_there_is_not_made(url: str) -> None:
    for command in ("check", "migrate"):
        result = told(command, "--store", "sqlite:///./nowhere.db")
        assert isinstance(result.exception, StoreError)
    assert not Path("nowhere.db").exists()


def test_a_store_on_postgres_is_made_and_checked(postgres: PostgresServer) -> None:
    url = postgres.new_schema()
    assert told("check", "--store", url).exit_code == 1
    assert ", was 0" in told("migrate", "--store", url).output
    result = told("check", "--store", url, "--format", "json")
    assert (result.exit_code, json.loads(result.output)["counts"]["events"]) == (0, 0)


def damage(path: Path) -> None:
    """Half of the pages after the first are no pages any more."""
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    data = bytearray(path.read_bytes())
    data[8192 : 8192 + (len(data) - 8192) // 2] = b"\xff" * ((len(data) - 8192) // 2)
    path.write_bytes(data)
