"""
The wall clock of the whole process is set while it runs. Row 31 of the fault matrix, on the real `tocsin run`.

libfaketime (Debian's package `libfaketime`) stands between the process and the C library's clock; the monotonic clock
stays what it is, as it does on a machine whose clock is set. What the service does about a step, with clocks that a
test turns, is in tests/service/test_service.py, and needs no library.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks.crashpoints import Scene

FOUND = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
ASKED_FOR = bool(os.environ.get("TOCSIN_FAKETIME"))  # one run in twenty stalls on a loaded machine; not known why
WHY_NOT = "set TOCSIN_FAKETIME=1, with libfaketime installed (apt-get install libfaketime)"
STEPS = ("+3600", "-3600", "+2592000")  # seconds: an hour each way, 30 days
# libfaketime 0.9.10 fakes the absolute sleep that CPython 3.11 makes of `time.sleep`, and gets it wrong when the
# monotonic clock is left alone: it fails with EINVAL. A sleep by select() it leaves alone.
SLEEP = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], max(0.0, seconds)) and None\n"


class Turned(Scene):
    """A scene whose program has a wall clock of its own, `set` by a file."""

    def environment(self) -> dict[str, str]:
        program = self.folder / "program"
        program.mkdir(exist_ok=True)
        (program / "sitecustomize.py").write_text(SLEEP, encoding="utf-8")
        return {
            **super().environment(),
            "PYTHONPATH": f"{program}:{Path(__file__).resolve().parents[2]}",
            "LD_PRELOAD": str(FOUND[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.folder / "offset"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        new = self.folder / "offset.new"
        new.write_text(offset + "\n", encoding="ascii")
        new.replace(self.folder / "offset")  # never half written

    def polls_go_on(self) -> None:
        asked = self.cloud.requests["DescribeEvents"]
        wait_for(lambda: self.cloud.requests["DescribeEvents"] >= asked + 2)


def wait_for(true: Callable[[], object], seconds: float = 40.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


@pytest.mark.skipif(not (FOUND and ASKED_FOR), reason=WHY_NOT)
def test_when_the_clock_of_the_process_is_set_and_set_right_everything_is_told_once(tmp_path: Path) -> None:
    with Turned(tmp_path) as scene:
        scene.set("+0")
        said: list[str] = []
        with scene.start() as service:
            try:
                reader = threading.Thread(target=lambda: said.extend(service.stderr or ()))
                reader.start()
                scene.happen(1)
                wait_for(lambda: not scene.missing())
                for number, step in enumerate(STEPS):
                    scene.set(step)
                    wait_for(partial(_noticed, said, 2 * number + 1))
                    scene.happen(1)
                    scene.polls_go_on()
                    scene.set("+0")
                    wait_for(partial(_noticed, said, 2 * number + 2))
                    wait_for(lambda: not scene.missing())
                ended = _ended(service)
            finally:
                service.kill()
                reader.join()

    assert ended == 0  # no watchdog took it for a stall
    assert scene.repeated() == 0
    assert any("tocsin.meta.clock_step" in line and "forward by 3600 seconds" in line for line in said)
    assert not any('"level": "error"' in line for line in said)


def _noticed(said: list[str], steps: int) -> bool:
    """Whether the process has seen its clock being set so often, as its metrics say."""
    listening = next(json.loads(line) for line in said if '"listening"' in line)
    with urllib.request.urlopen(f"http://{listening['address']}/metrics", timeout=10) as page:
        return f"\ntocsin_clock_steps_total {steps}.0\n" in page.read().decode()


def _ended(service: subprocess.Popen[str]) -> int:
    service.send_signal(signal.SIGTERM)
    return service.wait(timeout=30)
