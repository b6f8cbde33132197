"""What is done to the whole process: signals, refused descriptors, a locked or full store, and what it does about it."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from benchmarks.crashpoints import Scene
from benchmarks.simulator import PAGE, World
from engine.emulator import Fault
from engine.errors import StoreError
from tests.path.test_faults_crash import CALM, round_trip

WITHIN = 10.0  # seconds that SIGTERM allows


def wait_for(true: Callable[[], object], seconds: float = 40.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


@contextmanager
def running(scene: Scene) -> Iterator[subprocess.Popen[str]]:
    """The service; killed, if a test leaves it alive."""
    with scene.start() as service:
        try:
            yield service
        finally:
            service.send_signal(signal.SIGCONT)
            service.kill()


def ended(service: subprocess.Popen[str]) -> tuple[int, str, float]:
    """SIGTERM, then the exit code, what it said, and how long it took."""
    began = time.monotonic()
    service.send_signal(signal.SIGTERM)
    _, said = service.communicate(timeout=40)
    return service.returncode, said, time.monotonic() - began


def test_sigterm_in_the_middle_of_a_poll_ends_it_in_time_and_loses_nothing(tmp_path: Path) -> None:
    faults: dict[Fault, float] = {}
    with Scene(tmp_path, faults=faults) as scene:
        scene.happen(1)
        with running(scene) as service:
            wait_for(lambda: not scene.missing())
            faults["slow"] = 1.0
            asked = scene.cloud.requests["DescribeEvents"]
            scene.happen(2)
            wait_for(lambda: scene.cloud.requests["DescribeEvents"] > asked)
            code, _, seconds = ended(service)
        faults.clear()
        scene.once()

        assert code == 0
        assert seconds <= WITHIN + 2  # what the interpreter itself needs to end on a busy machine
        assert not scene.missing()
        assert set(scene.receiver.by_id.values()) == {1}


def test_sigterm_while_the_cloud_does_not_answer_at_the_start_ends_it_in_time(tmp_path: Path) -> None:
    with Scene(tmp_path, faults={"slow": 1.0}) as scene, running(scene) as service:
        wait_for(scene.cloud.requests.total)
        code, _, seconds = ended(service)

    assert code == 0
    assert seconds <= WITHIN + 2


def test_sigterm_in_the_middle_of_a_send_ends_it_in_time_and_the_next_start_tells_the_rest(tmp_path: Path) -> None:
    with Scene(tmp_path, pause=1.5) as scene:
        scene.happen(4)
        with running(scene) as service:
            assert scene.receiver.taken.wait(40)
            code, _, seconds = ended(service)
        scene.receiver.pause = 0.0
        left = scene.missing()
        scene.once()

        assert code == 0
        assert seconds <= WITHIN + 2
        assert left
        assert not scene.missing()
        assert set(scene.receiver.by_id.values()) == {1}


def test_a_process_that_was_stopped_for_a_while_goes_on_where_it_was(tmp_path: Path) -> None:
    with Scene(tmp_path) as scene, running(scene) as service:
        scene.happen(1)
        wait_for(lambda: not scene.missing())
        service.send_signal(signal.SIGSTOP)
        scene.happen(5)
        time.sleep(6.0)  # longer than the watchdog allows between two ticks
        service.send_signal(signal.SIGCONT)
        wait_for(lambda: not scene.missing() or service.poll() is not None)

        assert service.poll() is None, "the watchdog took a suspension for a stall"
        assert scene.repeated() == 0


def test_without_descriptors_it_says_so_and_the_next_start_tells_everything(tmp_path: Path) -> None:
    with Scene(tmp_path) as scene:
        scene.happen(2)
        starved = scene.once(["sh", "-c", 'ulimit -n 6; exec "$@"', "sh"])
        fed = scene.once()

        assert starved.returncode != 0
        assert "open" in starved.stderr
        assert fed.returncode == 0
        assert not scene.missing()


def test_a_store_that_somebody_else_is_writing_to_is_waited_for(tmp_path: Path) -> None:
    with Scene(tmp_path) as scene, running(scene) as service:
        scene.happen(1)
        wait_for(lambda: not scene.missing())
        with closing(sqlite3.connect(scene.store, isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            scene.happen(2)
            time.sleep(2.0)
            assert scene.missing()
            other.execute("ROLLBACK")
            wait_for(lambda: not scene.missing())
        code, said, _ = ended(service)

    assert code == 0
    assert "locked" not in said


def test_a_store_of_a_newer_schema_is_exit_code_78_and_is_left_as_it_was(tmp_path: Path) -> None:
    with Scene(tmp_path) as scene:
        scene.once()
        with closing(sqlite3.connect(scene.store)) as db:
            db.execute("PRAGMA user_version=999")
        refused = scene.once()
        with closing(sqlite3.connect(scene.store)) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]

    assert refused.returncode == 78
    assert "999" in refused.stderr
    assert version == 999


def test_a_full_disk_undoes_the_page_and_everything_is_told_once_there_is_room(tmp_path: Path) -> None:
    world = World(tmp_path, 3, events=400, days=0.5 / 24, bad=CALM)
    world.wall.true += 2700
    pages = world.store.connection.execute("PRAGMA page_count").fetchone()[0]
    world.store.connection.execute(f"PRAGMA max_page_count={pages + 2}")

    with pytest.raises(StoreError, match="full"):
        round_trip(world)
    taken = world.store.counts()["events"]
    world.store.connection.execute("PRAGMA max_page_count=1000000")
    round_trip(world)

    result = world._result(0.0)
    world.store.close()
    assert taken % PAGE == 0  # no page was half taken
    assert taken < result.events
    assert result.good, result


def test_the_service_leaves_no_word_of_a_broken_pipe_when_its_reader_is_gone(tmp_path: Path) -> None:
    with Scene(tmp_path) as scene:
        scene.happen(1)
        scene.once()
        listed = subprocess.Popen(
            [sys.executable, "-m", "engine.cli", "alerts", "list", "-c", str(scene.config), "--format", "json"],
            env=scene.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert listed.stdout is not None
        first = listed.stdout.readline()
        listed.stdout.close()
        assert listed.stderr is not None
        said = listed.stderr.read()
        listed.stderr.close()
        listed.wait(timeout=40)

    assert json.loads(first)
    assert "Traceback" not in said
