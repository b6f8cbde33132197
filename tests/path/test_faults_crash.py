"""The process may die at any statement that it gives to the database, and at either side of a send."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks.simulator import BEGIN, Cloud, Crash, Entry, Misfortune, Mortal, World
from engine.store.sqlite import SqliteStore, open_store

CALM = Misfortune(
    late=0.0,
    very_late=0.0,
    future=0.0,
    malformed=0.0,
    source_fails=0.0,
    source_away=0.0,
    send_fails=0.0,
    ambiguous=0.0,
    destination_away=0.0,
    crash=0.0,
)


class Last(random.Random):
    """Chance that is always the same: the statement runs (0.0), or does not (0.9), before the process dies."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def random(self) -> float:
        return self.value


def a_world(folder: Path, seed: int = 3) -> World:
    """Half an hour with enough to tell, all of it visible now."""
    world = World(folder, seed, events=60, days=0.5 / 24, bad=CALM)
    world.wall.true += 2700
    return world


def round_trip(world: World) -> None:
    world._look()
    world._send()


@pytest.mark.parametrize("done", [True, False], ids=["after it", "before it"])
def test_killed_at_any_statement_of_a_poll_and_a_send_nothing_is_lost_and_one_send_is_repeated(
    done: bool, tmp_path: Path
) -> None:
    number = crashes = 0
    while True:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        world = a_world(folder)
        world.mortal.fuse = number
        world.mortal.draw = Last(0.0 if done else 0.9)
        try:
            round_trip(world)
        except Crash:
            crashes += 1
            world._restart()
            round_trip(world)
        world.mortal.fuse = None
        result = world._result(0.0)
        world.store.close()
        assert result.good, f"statement {number}: {result}"
        assert result.repeated <= 1
        if number > crashes:
            break

    assert crashes > 100


@pytest.mark.parametrize("arrived", [True, False])
def test_killed_while_sending_the_message_goes_out_under_the_same_id(arrived: bool, tmp_path: Path) -> None:
    world = a_world(tmp_path)
    world._look()
    for destination in world.destinations:
        destination.draw = Last(0.0 if arrived else 0.9)
    world.destinations[0].crash_next = True

    with pytest.raises(Crash):
        world._send()
    world._restart()
    world._send()

    result = world._result(0.0)
    world.store.close()
    assert result.good
    assert result.repeated == (1 if arrived else 0)


def test_killed_while_the_store_is_made_the_next_start_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SqliteStore.migrate
    steps = 0
    while True:
        steps += 1
        file = str(tmp_path / f"{steps}.db")

        def dying(store: SqliteStore, after: int = steps) -> None:
            mortal = Mortal(store.connection, Last(0.0))
            mortal.fuse = after
            real, store.connection = store.connection, cast("Any", mortal)
            try:
                original(store)
            except Crash:
                real.close()
                raise
            store.connection = real

        monkeypatch.setattr(SqliteStore, "migrate", dying)
        try:
            open_store(file).close()
            break
        except Crash:
            monkeypatch.setattr(SqliteStore, "migrate", original)
            store = open_store(file)
            assert store.counts()["events"] == 0
            store.close()

    assert steps > 20


def test_a_destination_away_for_six_hours_gets_everything_once_within_minutes_of_its_return(tmp_path: Path) -> None:
    world = World(tmp_path, 4, events=600, days=0.25, bad=CALM)
    hook = world.destinations[0]
    back = BEGIN + 6 * 3600 + 900
    hook.away = [(BEGIN, back)]

    while world.wall.true < back + 600:
        world.step()

    waiting, _ = world.store.deliveries_open()
    world.store.close()
    assert waiting == 0
    assert len(hook.alerts) > 20
    assert set(hook.arrived.values()) == {1}


def test_ten_thousand_matches_of_one_story_are_one_message_and_ten_thousand_outcomes(tmp_path: Path) -> None:
    world = a_world(tmp_path)
    at = int(world.wall.true) - 300
    template = b'{"eventID":"storm-%d","eventName":"ConsoleLogin","eventTime":%d,"errorCode":"AuthFailure",'
    identity = b'"userIdentity":{"type":"CAMUser","accountId":"100000000001","userName":"mallory"}}'
    storm = [Entry(at, 0.0, template % (number, at) + identity) for number in range(10_000)]
    world.cloud = Cloud(storm, world.wall, world.draw, 0.0)

    round_trip(world)

    counts = world.store.counts()
    (alert,) = world.store.alerts()
    world.store.close()
    assert (counts["matches"], counts["verdict.alert"], counts["verdict.merged"]) == (10_000, 1, 9_999)
    assert alert.count == 10_000
    assert sum(world.destinations[0].arrived.values()) == 1
