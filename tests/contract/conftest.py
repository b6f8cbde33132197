"""The stores that the contract holds for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.store import Store
from engine.store import postgres as on_postgres
from engine.store.sqlite import open_store

Open = Callable[[], Store]


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same store again and again, as processes do; the one in memory is the same object each time."""
    opened: list[Store] = []
    url = request.getfixturevalue("postgres").new_schema() if request.param == "postgres" else ""

    def open_again() -> Store:
        if request.param == "postgres":
            opened.append(on_postgres.open_store(url))
        elif request.param == "sqlite":
            opened.append(open_store(str(tmp_path / "tocsin.db")))
        elif not opened:
            opened.append(open_store(":memory:"))
        return opened[-1]

    yield open_again
    for store in opened:
        store.close()


@pytest.fixture
def store(reopen: Open) -> Store:
    """A new store."""
    return reopen()
