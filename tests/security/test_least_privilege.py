"""The key may do what deploy/cam-policy.json says, and nothing that Tocsin does by itself needs more."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

from benchmarks.crashpoints import Scene
from tests.path.test_faults_process import ended, running, wait_for

POLICY = Path(__file__).parents[2] / "deploy" / "cam-policy.json"


def allowed() -> set[str]:
    """The actions of the policy, without their service."""
    (statement,) = json.loads(POLICY.read_text(encoding="utf-8"))["statement"]
    assert statement["effect"] == "allow"
    return {action.removeprefix("cloudaudit:") for action in statement["action"]}


def tocsin(scene: Scene, *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "engine.cli", *words, "-c", str(scene.config)],
        env=scene.environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_the_service_and_what_looks_into_it_call_only_what_the_policy_allows(tmp_path: Path) -> None:
    with Scene(tmp_path) as scene:
        scene.happen(2)
        with running(scene) as service:
            wait_for(lambda: not scene.missing() and len(scene.cloud.requests) > 1)
            ended(service)
        tocsin(scene, "run", "--dry-run")
        tocsin(scene, "events", "fetch", "bench")
        tocsin(scene, "doctor")
        tocsin(scene, "tracks", "list")
        called = set(scene.cloud.requests)

    assert "DescribeEvents" in called
    assert called <= allowed()


def test_every_file_of_a_running_store_is_for_its_owner_only(tmp_path: Path) -> None:
    with Scene(tmp_path) as scene, running(scene):
        scene.happen(1)
        wait_for(lambda: not scene.missing())
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("tocsin.db*")}

    assert {"tocsin.db", "tocsin.db-wal", "tocsin.db-shm", "tocsin.db.lock"} <= set(modes)
    assert set(modes.values()) == {0o600}
