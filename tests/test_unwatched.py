"""What is made at once and stays is out of the garbage collector's sight."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from engine.unwatched import unwatched


@pytest.fixture(autouse=True)
def nothing_frozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.enable()


def test_the_collector_is_away_meanwhile_and_does_not_see_what_was_made() -> None:
    with unwatched():
        assert not gc.isenabled()
        made: list[dict[str, str]] = [{} for _ in range(1000)]

    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(made)


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    with unwatched():
        pass

    assert not gc.isenabled()


def test_it_comes_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="broken"), unwatched():
        raise ValueError("broken")

    assert gc.isenabled()


def test_afresh_what_has_become_garbage_is_collected() -> None:
    class Node:
        other: Node

    with unwatched():
        one, two = Node(), Node()
        one.other, two.other = two, one
    collected: list[int] = []
    gc.callbacks.append(lambda phase, info: collected.append(info["collected"]) if phase == "stop" else None)
    del one, two
    try:
        with unwatched(afresh=True):
            pass
    finally:
        gc.callbacks.pop()

    assert sum(collected) >= 2
