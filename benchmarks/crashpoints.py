"""
The process is killed, or the system refuses, at every I/O call of one poll-and-send cycle: is an alert lost?

`strace -e inject` does it from outside, on the real `tocsin run --once` against the emulator and a webhook receiver.
One system call's name for each run: strace counts calls by name, and a list would only hit the most frequent one. After
each the program is started again, with nothing done by hand, and must deliver what is missing, under the id of the
first try.

Needs strace (`apt-get install strace`) and the right to trace one's own children.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.kills import ACCOUNT, KEY, KEY_ID, Receiver, configuration
from engine.emulator import Emulator, Fault, Settings
from engine.web.health import Server

CALLS: Final = (
    "pwrite64",
    "fdatasync",
    "fsync",
    "write",
    "ftruncate",
    "unlink",
    "connect",
    "sendto",
    "recvfrom",
)
REFUSALS: Final = (
    ("pwrite64", "ENOSPC"),
    ("pwrite64", "EIO"),
    ("fdatasync", "EIO"),
    ("ftruncate", "EIO"),
    ("unlink", "EIO"),
    ("socket", "EMFILE"),
    ("connect", "ECONNREFUSED"),
    ("sendto", "EPIPE"),
    ("recvfrom", "ECONNRESET"),
)
STORE_OPENINGS: Final = (("openat", "EMFILE"), ("openat", "ENOSPC"), ("openat", "EIO"))
KILLED: Final = (-9, 137)


@dataclass(slots=True)
class Result:
    """What a series of runs left behind. *by_call*: how many points of each call were hit."""

    by_call: Counter[str] = field(default_factory=Counter)
    events: int = 0
    lost: int = 0
    repeated: int = 0
    worst: int = 0
    other_ids: int = 0
    damaged: int = 0  # stores that failed their integrity check
    by_hand: int = 0  # times the next start did not come through
    exits: Counter[int] = field(default_factory=Counter)  # of the runs that were hit
    seconds: float = 0.0

    def __str__(self) -> str:
        calls = ", ".join(f"{number} {call}" for call, number in sorted(self.by_call.items()))
        exits = ", ".join(f"{number} × {code}" for code, number in sorted(self.exits.items()))
        return (
            f"{sum(self.by_call.values())} points ({calls}), {self.events} events: {self.lost} lost,"
            f" {self.damaged} stores damaged, {self.by_hand} starts that needed a hand, {self.repeated} repeated sends"
            f" (at most {self.worst} for one point), {self.other_ids} under another id; exit codes {exits}"
            f" ({self.seconds:.0f} s)"
        )


class Thoughtful(Receiver):
    """A receiver that thinks before it answers; *taken* is set as soon as a message is there."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self.pause = pause
        self.taken = threading.Event()

    async def take(self, request: Request) -> Response:
        answer = await super().take(request)
        self.taken.set()
        await asyncio.sleep(self.pause)
        return answer


class Scene:
    """An emulator, a receiver and a configuration in *folder*; the program runs as a person starts it."""

    def __init__(self, folder: Path, *, faults: Mapping[Fault, float] | None = None, pause: float = 0.0) -> None:
        """*faults*: how the cloud misbehaves; *pause*: how long the receiver thinks before it answers, seconds."""
        self.folder = folder
        self.receiver = Thoughtful(pause)
        self.sent: list[str] = []
        self.cloud = Emulator(
            Settings(KEY_ID, KEY, account=ACCOUNT, visibility_delay=0.0, rate=0, seed=1, faults=faults or {})
        )
        self._server = Server(Starlette(routes=[Route("/", self.receiver.take, methods=["POST"])]), "127.0.0.1", 0)
        self.config = folder / "tocsin.yaml"
        self.store = folder / "tocsin.db"

    def __enter__(self) -> Self:
        self._server.start()
        self.cloud.start()
        configuration(self.folder, self.cloud.endpoint, self._server.address[1], listen="127.0.0.1:0", level="info")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cloud.stop()
        self._server.stop()

    def happen(self, number: int) -> None:
        """*number* events that must be told happen now."""
        batch: list[dict[str, Any]] = [
            {
                "eventID": str(uuid.uuid4()),
                "eventName": "DeleteBucket",
                "eventTime": int(time.time()),
                "resourceType": "cos",
                "actionType": "Write",
                "errorCode": "0",
                "userIdentity": {"type": "CAMUser", "accountId": ACCOUNT, "userName": "ana"},
            }
            for _ in range(number)
        ]
        self.cloud.add(batch)
        self.sent += [str(event["eventID"]) for event in batch]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "engine.cli", "run", "-c", str(self.config), *arguments]

    def environment(self) -> dict[str, str]:
        secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
        keys = {"TENCENTCLOUD_SECRET_ID": KEY_ID, "TENCENTCLOUD_SECRET_KEY": KEY, "BENCH_HOOK_SECRET": secret}
        return {**os.environ, **keys, "PYTHONDONTWRITEBYTECODE": "1"}

    def once(self, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """One `tocsin run --once`, under *prefix* (strace and its arguments)."""
        return subprocess.run(
            [*prefix, *self.command("--once")],
            env=self.environment(),
            check=False,
            timeout=120,
            capture_output=True,
            text=True,
        )

    def start(self, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
        """The service; its logs come by stderr."""
        return subprocess.Popen(
            [*prefix, *self.command()],
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def missing(self) -> set[str]:
        """Events that nobody has been told of yet."""
        return set(self.sent) - set(self.receiver.ids_of_event)

    def repeated(self) -> int:
        return sum(times - 1 for times in self.receiver.by_id.values())

    def integrity(self) -> str:
        """What SQLite says of the store, "ok" when it is whole."""
        with closing(sqlite3.connect(self.store)) as db:
            return str(db.execute("PRAGMA integrity_check").fetchone()[0])


def available() -> bool:
    """Whether strace is there and may trace."""
    if shutil.which("strace") is None:
        return False
    return (
        subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False, capture_output=True).returncode == 0
    )


def kills(folder: Path, *, every: int = 1, calls: Sequence[str] = CALLS) -> Result:
    """SIGKILL at each *every*-th call of each name."""
    return _series(folder, [(call, f"{call}:signal=SIGKILL", ()) for call in calls], every)


def errors(folder: Path, *, every: int = 1) -> Result:
    """An error at each *every*-th call of each name; of files only those of the store are refused to be opened."""
    plain = [(f"{call} {error}", f"{call}:error={error}", ()) for call, error in REFUSALS]
    paths = tuple(
        argument for name in ("", "-wal", "-shm", ".lock") for argument in ("-P", str(folder / f"tocsin.db{name}"))
    )
    return _series(
        folder,
        [*plain, *((f"{call} {error}", f"{call}:error={error}", paths) for call, error in STORE_OPENINGS)],
        every,
    )


def _series(folder: Path, points: Sequence[tuple[str, str, tuple[str, ...]]], every: int) -> Result:
    began = time.monotonic()
    result = Result()
    with Scene(folder) as scene:
        scene.once()  # the store's first hour and its tables are another story
        for name, inject, paths in points:
            number = 1
            while _point(scene, result, name, f"{inject}:when={number}", paths):
                number += every
        result.events = len(scene.sent)
        result.lost = len(scene.missing())
        result.repeated = scene.repeated()
        result.other_ids = sum(len(ids) > 1 for ids in scene.receiver.ids_of_event.values())
    result.seconds = time.monotonic() - began
    return result


def _point(scene: Scene, result: Result, name: str, inject: str, paths: tuple[str, ...]) -> bool:
    """One run that is hit and one that is not; False when there was no such call any more."""
    call = inject.partition(":")[0]
    trace = scene.folder / "trace"
    before = scene.repeated()
    scene.happen(2)
    hit = scene.once(["strace", "-f", "-qq", "-o", str(trace), *paths, "-e", f"trace={call}", "-e", f"inject={inject}"])
    was_hit = hit.returncode in KILLED or "(INJECTED)" in trace.read_text(encoding="utf-8", errors="replace")
    if was_hit:
        result.by_call[name] += 1
        result.exits[hit.returncode] += 1
    again = scene.once()
    if scene.missing():  # a row that waits for its next try is no fault of the start
        time.sleep(1.5)
        again = scene.once()
    result.by_hand += again.returncode != 0 or bool(scene.missing())
    result.damaged += scene.integrity() != "ok"
    result.worst = max(result.worst, scene.repeated() - before)
    return was_hit


if __name__ == "__main__":
    import tempfile

    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for run in (kills, errors):
        with tempfile.TemporaryDirectory() as temporary:
            sys.stdout.write(f"{run.__name__}: {run(Path(temporary), every=step)}\n")
