"""A damaged store is put aside, told, and a new one reads back."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.app import assembled
from engine.emulator import Emulator
from engine.emulator import Settings as Cloud
from engine.errors import AlreadyRunningError, StoreDamagedError
from engine.settings import load
from engine.store.sqlite import damage_mark, open_or_replace, open_store
from tests.service.parts import NOW, metas, queue

KEY_ID, KEY = "AKIDtestKeyOfTheEmulator0000000000000", "key-of-the-emulator"


def a_store(path: Path) -> str:
    """A store with enough in it to be damaged in the middle."""
    store = open_store(str(path))
    for number in range(200):
        queue(store, "oncall", number=number)
    store.close()
    return str(path)


def test_a_file_that_is_no_database_is_put_aside_and_a_new_store_begun(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    path.write_bytes(b"this is no database at all" * 1000)

    store, aside = open_or_replace(str(path), NOW)

    assert aside == f"{path}.corrupt-{datetime.fromtimestamp(NOW, UTC):%Y%m%dT%H%M%SZ}"
    assert Path(aside).read_bytes().startswith(b"this is no database")
    assert store.deliveries() == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.close()


def test_pages_that_contradict_each_other_are_found_at_the_start(tmp_path: Path) -> None:
    path = a_store(tmp_path / "tocsin.db")
    whole = bytearray(Path(path).read_bytes())
    for page in range(4, len(whole) // 4096, 3):
        whole[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    Path(path).write_bytes(whole)

    store, aside = open_or_replace(path, NOW)

    assert aside
    store.close()


def test_a_whole_store_stays(tmp_path: Path) -> None:
    path = a_store(tmp_path / "tocsin.db")

    store, aside = open_or_replace(path, NOW)

    assert aside == ""
    assert len(store.deliveries(limit=1000)) == 200
    store.close()


def test_a_store_that_turned_out_damaged_while_it_was_used_is_replaced_by_the_next_start(tmp_path: Path) -> None:
    path = a_store(tmp_path / "tocsin.db")
    damage_mark(path).write_text("database disk image is malformed")

    first, aside = open_or_replace(path, NOW)
    first.close()
    second, again = open_or_replace(path, NOW + 60)
    second.close()

    assert aside
    assert again == ""


def test_a_store_that_another_process_holds_is_not_put_aside(tmp_path: Path) -> None:
    path = a_store(tmp_path / "tocsin.db")
    holder = open_store(path, hold=True)
    damage_mark(path).write_text("damaged")
    with pytest.raises(AlreadyRunningError):
        open_or_replace(path, NOW)
    holder.close()

    assert Path(path).is_file()


def test_a_damaged_store_lets_go_of_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StoreDamagedError):
        open_store(str(path), hold=True)
    path.unlink()

    open_store(str(path), hold=True).close()


def test_what_is_queued_after_a_replacement_may_have_been_sent_before_it(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    path.write_bytes(b"no database" * 1000)
    store, _ = open_or_replace(str(path), NOW)
    queue(store, "oncall", at=NOW + 60)
    queue(store, "hook", at=NOW + 90_000, number=2)

    claimed = [store.claim(name, NOW + 90_000, 120) for name in ("oncall", "hook")]

    assert [one.earlier_ambiguous for one in claimed if one] == [True, False]
    store.close()


def test_the_service_reads_back_over_the_second_look_and_tells_that_its_store_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    path.write_bytes(b"no database" * 1000)
    with Emulator(Cloud(KEY_ID, KEY, account="100000000001")) as cloud:
        config = tmp_path / "tocsin.yaml"
        config.write_text(
            f"""\
store: sqlite://{path}
sources:
  - name: prod
    type: tencent_cloudaudit
    endpoint: "{cloud.endpoint}"
    credentials_file: "{tmp_path / "credentials"}"
notifiers:
  - {{name: terminal, type: console}}
"""
        )
        with assembled(load(config, environment={})) as app:
            app.service._say_what_was()
            cursor = app.parts.store.source_state("prod").cursor
            told = metas(app.parts.store)

    assert cursor is not None
    assert datetime.now(UTC) - cursor.until == pytest.approx(timedelta(hours=24), abs=timedelta(minutes=5))
    assert told == [("store_replaced", "of this service")]
