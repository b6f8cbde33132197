"""
SIGKILL at random moments of polling and sending: is an alert lost, and how many sends are repeated?

The real service, as a person starts it, polls the emulator and posts to a webhook receiver that counts ids. It is
killed at a random moment, started again, and so on; new events keep coming. At the end each event that a rule names
must have reached the receiver, and a repeated send must carry the id of the first.
"""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.emulator import Emulator, Settings
from engine.store.sqlite import open_store
from engine.web.health import Server

ACCOUNT = "100000000001"
KEY_ID, KEY = "AKIDbenchmark00000000000000000000000", "key-of-the-emulator"
RULE = """
id: bench.kills.bucket_deleted
title: "{norm.actor} deleted a bucket"
severity: high
status: stable
kind: tencent.cloudaudit
description: Every event of this benchmark.
match: eventName == 'DeleteBucket'
"""


@dataclass(frozen=True, slots=True)
class Result:
    """*repeated* counts sends beyond the first of an id; *worst* is the most of them between two kills."""

    kills: int
    events: int
    lost: int
    repeated: int
    worst: int
    other_ids: int  # an event told under two ids: must be 0
    seconds: float


class Receiver:
    """Counts what comes, by webhook-id and by event."""

    def __init__(self) -> None:
        self.by_id: Counter[str] = Counter()
        self.ids_of_event: dict[str, set[str]] = {}
        self.repeats_since_kill = 0
        self._lock = threading.Lock()

    async def take(self, request: Request) -> Response:
        try:
            body = json.loads(await request.body())
        except ClientDisconnect:  # the sender was killed in the middle of it
            return Response(status_code=400)
        delivery = request.headers["webhook-id"]
        with self._lock:
            self.by_id[delivery] += 1
            self.repeats_since_kill += self.by_id[delivery] > 1
            for event_id in body["data"]["event_ids"]:
                self.ids_of_event.setdefault(event_id, set()).add(delivery)
        return PlainTextResponse("", 204)


def run(folder: Path, *, kills: int = 200, seed: int = 1) -> Result:
    """One run in *folder*."""
    draw = random.Random(seed)
    began = time.monotonic()
    receiver = Receiver()
    server = Server(Starlette(routes=[Route("/", receiver.take, methods=["POST"])]), "127.0.0.1", 0)
    server.start()
    worst = 0
    sent: list[str] = []
    with Emulator(Settings(KEY_ID, KEY, account=ACCOUNT, visibility_delay=0.0, rate=0, seed=seed)) as cloud:
        config = configuration(folder, cloud.endpoint, server.address[1])
        for _ in range(kills):
            receiver.repeats_since_kill = 0
            service = _start(config)
            time.sleep(0.5)
            until = time.monotonic() + 0.3 + draw.random() * 1.2
            while time.monotonic() < until:
                sent += _add(cloud, draw)
                time.sleep(draw.random() * 0.1)
            service.send_signal(signal.SIGKILL)
            service.wait()
            worst = max(worst, receiver.repeats_since_kill)
        receiver.repeats_since_kill = 0
        service = _start(config)
        _wait_until_settled(folder, sent)
        service.send_signal(signal.SIGTERM)
        service.wait(timeout=20)
        worst = max(worst, receiver.repeats_since_kill)
    server.stop()
    return Result(
        kills=kills,
        events=len(sent),
        lost=len(set(sent) - set(receiver.ids_of_event)),
        repeated=sum(times - 1 for times in receiver.by_id.values()),
        worst=worst,
        other_ids=sum(len(ids) > 1 for ids in receiver.ids_of_event.values()),
        seconds=time.monotonic() - began,
    )


def _add(cloud: Emulator, draw: random.Random) -> list[str]:
    batch: list[dict[str, Any]] = [
        {
            "eventID": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
            "eventName": "DeleteBucket",
            "eventTime": int(time.time()),
            "resourceType": "cos",
            "actionType": "Write",
            "errorCode": "0",
            "userIdentity": {"type": "CAMUser", "accountId": ACCOUNT, "userName": "ana"},
        }
        for _ in range(draw.randrange(1, 4))
    ]
    cloud.add(batch)
    return [event["eventID"] for event in batch]


def configuration(folder: Path, endpoint: str, port: int, *, listen: str = "off", level: str = "error") -> Path:
    """The file of a service that polls *endpoint* and tells a webhook on *port*; its store and rule are in *folder*."""
    (folder / "bucket_deleted.yaml").write_text(RULE, encoding="utf-8")
    path = folder / "tocsin.yaml"
    path.write_text(
        f"""\
store: sqlite://{folder / "tocsin.db"}
rules: ["{folder / "bucket_deleted.yaml"}"]
sources:
  - {{name: bench, type: tencent_cloudaudit, endpoint: "{endpoint}", every: 1s}}
notifiers:
  - name: hook
    type: webhook
    url: "http://127.0.0.1:{port}/"
    secret: {{env: BENCH_HOOK_SECRET}}
    allow_http: true
    allow_hosts: [127.0.0.1]
routes: [{{to: [hook]}}]
web: {{listen: "{listen}"}}
log: {{level: {level}, format: json}}
""",
        encoding="utf-8",
    )
    return path


def _start(config: Path) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "TENCENTCLOUD_SECRET_ID": KEY_ID,
        "TENCENTCLOUD_SECRET_KEY": KEY,
        "BENCH_HOOK_SECRET": "whsec_" + base64.b64encode(bytes(range(32))).decode(),
    }
    return subprocess.Popen([sys.executable, "-m", "engine.cli", "run", "-c", str(config)], env=environment)


def _wait_until_settled(folder: Path, sent: list[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        store = open_store(str(folder / "tocsin.db"))
        try:
            counts = store.counts()
            if counts["events"] >= len(sent) and store.deliveries_open()[0] == 0:
                return
        finally:
            store.close()
        time.sleep(0.5)
