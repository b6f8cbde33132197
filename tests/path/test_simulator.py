"""The real path and store in a simulated world that goes wrong in every way it can: nothing lost, nothing said twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks import simulator
from benchmarks.simulator import DAY, HOUR, Misfortune, World, simulate


@pytest.mark.parametrize("seed", range(1, 9))
def test_nothing_is_lost_and_every_repeat_is_excused_by_one_fault(seed: int, tmp_path: Path) -> None:
    result = simulate(tmp_path, seed, events=1_000, days=1.0, bad=Misfortune(crash=0.05))

    assert result.good, result
    assert result.wanted > 20
    assert result.crashes > 0
    assert result.repeated <= result.crashes + result.ambiguous


@pytest.mark.parametrize("seed", range(21, 25))
def test_without_crashes_and_ambiguous_sends_nothing_is_said_twice(seed: int, tmp_path: Path) -> None:
    result = simulate(tmp_path, seed, events=1_000, days=1.0, bad=Misfortune(crash=0.0, ambiguous=0.0))

    assert result.good, result
    assert result.repeated == 0


@pytest.mark.parametrize("off", [-HOUR, HOUR, -1.0, 30 * DAY, -30 * DAY])
def test_a_clock_that_steps_and_comes_back_loses_nothing_and_repeats_nothing(off: float, tmp_path: Path) -> None:
    bad = Misfortune(crash=0.0, source_fails=0.0, source_away=0.0, clock_steps=(off,))

    result = simulate(tmp_path, 5, events=1_000, days=2.0, bad=bad)

    assert result.good, result
    assert result.first_look_late <= 2 * simulator.EVERY


def test_records_that_are_no_events_are_all_kept_and_their_neighbours_are_told(tmp_path: Path) -> None:
    result = simulate(tmp_path, 6, events=1_000, days=1.0, bad=Misfortune(malformed=0.3, crash=0.0))

    assert result.good, result
    assert result.malformed > 200


def test_what_is_forgotten_in_its_time_was_told_before(tmp_path: Path) -> None:
    bad = Misfortune(crash=0.0)
    world = World(
        tmp_path, 10, events=1_000, days=3.0, bad=bad, history=timedelta(hours=30)
    )  # longer than any look back

    result = world.run()

    assert result.good, result
    assert len(world.outside.found().forgotten) > result.wanted / 2


def test_the_same_seed_is_the_same_story(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()

    one, two = (simulate(folder, 7, events=300, days=0.5) for folder in folders)

    assert (one.crashes, one.repeated, one.ambiguous, one.polls) == (
        two.crashes,
        two.repeated,
        two.ambiguous,
        two.polls,
    )


def test_the_simulator_sees_it_when_late_events_are_not_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "OVERLAP", timedelta(0))
    monkeypatch.setattr(simulator, "SECOND_LOOK_EVERY", 1e12)

    assert simulate(tmp_path, 8, events=1_000, days=1.0).lost > 0


def test_the_simulator_sees_it_when_ids_are_forgotten_too_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.sqlite.SqliteTransaction.unseen", lambda _self, events, *_rest: list(events))

    assert not simulate(tmp_path, 9, events=1_000, days=1.0, bad=Misfortune(crash=0.0)).good
