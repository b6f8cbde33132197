"""What scripts/setup says where something is missing, and that it does nothing where nothing is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("sh", "dirname", "cat", "cksum", "readlink", "grep")
STAND_IN = """#!/bin/sh
case "$*" in
*version_info\\ \\<*) exit {old} ;;
*ensurepip*) exit {lacks_venv} ;;
*version_info*) echo 3.11 ;;
*) exit 1 ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without .venv, and beside it a folder of commands in which there is no Python."""
    root = tmp_path / "check out"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup", root / "scripts")
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, root)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None, tool
        (tmp_path / "bin" / tool).symlink_to(found)
    return root


def stand_in(checkout: Path, name: str, *, old: bool = False, lacks_venv: bool = False) -> None:
    python = checkout.parent / "bin" / name
    python.write_text(STAND_IN.format(old=int(old), lacks_venv=int(lacks_venv)))
    python.chmod(0o755)


def set_up(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "PATH")}
    return subprocess.run(
        [str(checkout / "scripts" / "setup"), *arguments],
        cwd="/",
        env={**kept, "PATH": str(checkout.parent / "bin"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_python_it_says_what_to_install(checkout: Path) -> None:
    answer = set_up(checkout)

    assert answer.returncode == 1
    assert "sudo apt install python3 python3-venv" in answer.stderr


def test_an_old_python_is_as_good_as_none(checkout: Path) -> None:
    stand_in(checkout, "python3", old=True)

    assert "needs Python 3.11 or newer" in set_up(checkout).stderr


def test_a_python_without_venv_is_named_with_the_package_that_brings_it(checkout: Path) -> None:
    stand_in(checkout, "python3", old=True)
    stand_in(checkout, "python3.11", lacks_venv=True)

    answer = set_up(checkout)

    assert answer.returncode == 1
    assert f"{checkout.parent / 'bin' / 'python3.11'} cannot make virtual environments" in answer.stderr
    assert "sudo apt install python3.11-venv" in answer.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_was_asked_for_and_is_too_old_is_refused(checkout: Path) -> None:
    stand_in(checkout, "python3")
    stand_in(checkout, "ancient", old=True)

    answer = set_up(checkout, PYTHON="ancient")

    assert answer.returncode == 1
    assert "PYTHON=ancient is not a Python 3.11 or newer" in answer.stderr


def test_an_argument_that_it_does_not_know_is_refused(checkout: Path) -> None:
    answer = set_up(checkout, "everything")

    assert answer.returncode == 1
    assert "usage: scripts/setup [run|dev]" in answer.stderr


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").iterdir()), ids=lambda path: path.name)
def test_every_script_can_be_run_and_is_plain_shell(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(script)], check=True)


def test_continuous_integration_runs_the_command_that_everyone_runs() -> None:
    assert "exec scripts/test" in (ROOT / ".ci" / "run").read_text()
