"""
From the API to the stored decision: how much of a core does one account at the API's own limit cost?

The emulator (a process of its own) serves at twenty requests a second, fifty events each, as the documentation allows.
This process polls it with the built-in rules into a store on disk and counts its own CPU time. A second run without the
limit says what one core could take.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from engine import kinds, packs
from engine.cloudaudit.client import CloudAudit
from engine.cloudaudit.credentials import Credentials, Fixed
from engine.cloudaudit.pace import Pace
from engine.emulator.traffic import ordinary
from engine.pipeline import Policy, poll
from engine.sources.tencent_cloudaudit import TencentCloudAudit
from engine.store.sqlite import open_store

ACCOUNT = "100000000001"
KEY = Credentials("AKIDbenchmark00000000000000000000000", "key-of-the-emulator")


@dataclass(frozen=True, slots=True)
class Result:
    """One run: *core* is CPU seconds of this process by wall second."""

    limited: bool
    events: int
    events_per_second: float
    core: float
    bytes_per_event: int


def run(*, seconds: float = 20.0, limited: bool = True) -> Result:
    """Poll for about *seconds* seconds."""
    number = int(seconds * (1000 if limited else 6000))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        size = _events(folder / "events.jsonl", number)
        rules = packs.load()
        with (
            _emulator(folder / "events.jsonl", rate=20 if limited else 0) as endpoint,
            closing(open_store(str(folder / "tocsin.db"), hold=True)) as store,
            closing(CloudAudit(Fixed(KEY), endpoint=endpoint, pace=Pace(20 if limited else 1_000_000))) as client,
        ):
            kind = kinds.kind("tencent.cloudaudit", redaction_key=store.redaction_key())
            source = TencentCloudAudit("bench", client)
            began, cpu = time.monotonic(), time.process_time()
            tally = poll(source, kind, Policy(rules), store, clock=time.time, overlap=timedelta(minutes=15))
            wall, spent = time.monotonic() - began, time.process_time() - cpu
    return Result(limited, tally.events, tally.events / wall, spent / wall, size // number)


def _events(path: Path, number: int) -> int:
    """Ordinary traffic over the last fifty minutes: the first poll looks an hour back."""
    now = time.time() - 60
    with path.open("w", encoding="utf-8") as out:
        for count, event in enumerate(ordinary(3, now - 3000, now, number / 2900, ACCOUNT)):
            if count == number:
                break
            out.write(json.dumps(event, ensure_ascii=False) + "\n")
    return path.stat().st_size


@contextmanager
def _emulator(events: Path, *, rate: int) -> Iterator[str]:
    command = [sys.executable, "-m", "engine.cli", "emulator", "--port", "0", "--account", ACCOUNT]
    command += ["--secret-id", KEY.secret_id, "--secret-key", KEY.secret_key, "--events", str(events)]
    process = subprocess.Popen(
        [*command, "--rate", str(rate)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
