"""How long until the first word: cold starts as multiples of the bare interpreter's; what the installation weighs."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Result:
    """Medians; *wall* and *cpu* are multiples of `python -c pass` in the same rounds."""

    command: str
    wall: float
    cpu: float


def run(rounds: int = 9) -> list[Result]:
    """The commands in turn, so that a busy minute hits all alike."""
    bare = [sys.executable, "-c", "pass"]
    commands = {
        "tocsin --help": [sys.executable, "-m", "engine.cli", "--help"],
        "tocsin check rules": [sys.executable, "-m", "engine.cli", "check", str(ROOT / "rules")],
    }
    spent: dict[str, list[tuple[float, float]]] = {"bare": [], **{name: [] for name in commands}}
    for _ in range(rounds):
        spent["bare"].append(_spent(bare))
        for name, command in commands.items():
            spent[name].append(_spent(command))
    walls = {name: statistics.median(wall for wall, _ in found) for name, found in spent.items()}
    cpus = {name: statistics.median(cpu for _, cpu in found) for name, found in spent.items()}
    return [Result(name, walls[name] / walls["bare"], cpus[name] / cpus["bare"]) for name in commands]


def installed_megabytes() -> tuple[float, int]:
    """What the locked runtime packages and Tocsin's own weigh on disk (MB), and how many they are."""
    names = [line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line[:60]]
    total, number = 0, 0
    for name in names:
        try:
            files = distribution(name).files or []
        except ModuleNotFoundError:
            continue  # another platform's
        number += 1
        total += sum(size for file in files if (size := _size(Path(str(file.locate())))))
    own = [path for package in ("engine", "notifiers", "rules") for path in (ROOT / package).rglob("*")]
    total += sum(_size(path) for path in own if "__pycache__" not in path.parts)
    return total / 1e6, number


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() and path.suffix != ".pyc" else 0


def _spent(command: list[str]) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, env=dict(os.environ))
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
