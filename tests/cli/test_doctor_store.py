"""`tocsin doctor` on a store that cannot be used: what it says to do is right for the database it is on."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine import app
from engine.cli import tocsin
from engine.errors import StoreDamagedError, StoreError, StoreFullError
from engine.store.sqlite import open_store

POSTGRES = "postgresql://tocsin@127.0.0.1:1/tocsin"


def to_do(folder: Path, store: str) -> tuple[str, str]:
    """What the doctor says about the store, and what to do."""
    config = folder / "tocsin.yaml"
    config.write_text(f"store: {store}\nnotifiers: [{{name: terminal, type: console}}]\n", encoding="utf-8")
    told = CliRunner().invoke(tocsin, ["doctor", "-c", str(config), "--format", "json"])
    assert told.exit_code == 1
    found = [json.loads(line) for line in told.output.splitlines()]
    (failed,) = (one for one in found if one["about"] == "store" and one["result"] == "failed")
    return failed["what"], failed["to_do"]


def test_a_damaged_file_is_put_aside_by_the_next_run(tmp_path: Path) -> None:
    file = tmp_path / "tocsin.db"
    file.write_text("this is a shopping list, not a database\n" * 50, encoding="utf-8")
    file.chmod(0o600)
    what, mend = to_do(tmp_path, f"sqlite://{file}")
    assert "file is not a database" in what
    assert "put aside and begun anew by the next `tocsin run`" in mend


def test_a_file_of_a_newer_tocsin_asks_for_the_newer_one(tmp_path: Path) -> None:
    file = tmp_path / "tocsin.db"
    open_store(str(file)).close()
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA user_version=999")
    what, mend = to_do(tmp_path, f"sqlite://{file}")
    assert "999" in what
    assert mend == "upgrade Tocsin, or point `store` at another file"


def test_a_server_that_cannot_be_reached_is_no_damage(tmp_path: Path) -> None:
    what, mend = to_do(tmp_path, POSTGRES)
    assert "127.0.0.1" in what
    assert "check that the server runs" in mend
    assert "put aside" not in mend


@pytest.mark.parametrize(
    ("error", "store", "mend"),
    [
        (StoreDamagedError("invalid page"), POSTGRES, "restore it from a backup"),
        (StoreFullError("no space"), POSTGRES, "make space on the server"),
        (StoreFullError("full"), "sqlite:///{}/tocsin.db", "make space"),
        (StoreError("disk I/O error"), "sqlite:///{}/tocsin.db", "check the disk"),
    ],
)
def test_each_failure_has_its_own_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: StoreError, store: str, mend: str
) -> None:
    def fails(_url: str) -> None:
        raise error

    (tmp_path / "tocsin.db").touch(0o600)
    monkeypatch.setattr(app, "open_configured_store", fails)
    assert mend in to_do(tmp_path, store.format(tmp_path))[1]
