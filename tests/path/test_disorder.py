"""The path over HTTP against the emulator: late, repeated and shuffled events, and restarts in between."""

from __future__ import annotations

from pathlib import Path

from benchmarks.disorder import run


def test_nothing_is_lost_and_nothing_is_told_twice(tmp_path: Path) -> None:
    result = run(tmp_path, number=2_000, hours=2.0, restart_every=300)

    assert result.wanted > 20
    assert result.restarts >= 5
    assert (result.lost, result.repeated) == (0, 0)
