"""Several processes on one Postgres store."""

from __future__ import annotations

import base64
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from benchmarks.kills import ACCOUNT, KEY, KEY_ID, RULE, Receiver
from benchmarks.swarm import run
from engine.emulator import Emulator, Settings
from engine.web.health import Server
from tests.postgres_server import PostgresServer


def test_four_workers_with_the_same_events_and_three_kills_tell_each_alert_once(postgres: PostgresServer) -> None:
    result = run(postgres.new_schema(), workers=4, number=2_000, kills=3)

    assert (result.kills, result.due) == (3, 1_010)
    assert (result.lost, result.repeated) == (0, 0)
    assert (result.miscounted, result.imbalance) == (0, 0)


class Services:
    """Processes of `tocsin run` on one store, an emulated cloud and a receiver."""

    def __init__(self, folder: Path, url: str, cloud: Emulator) -> None:
        self.receiver = Receiver()
        self._cloud = cloud
        self._draw = random.Random(1)
        self._server = Server(Starlette(routes=[Route("/", self.receiver.take, methods=["POST"])]), "127.0.0.1", 0)
        self._server.start()
        self._config = folder / "tocsin.yaml"
        self._running: list[subprocess.Popen[bytes]] = []
        (folder / "rule.yaml").write_text(RULE, encoding="utf-8")
        self._config.write_text(
            f"""\
rules: ["{folder / "rule.yaml"}"]
store: {{env: WORKERS_STORE}}
sources:
  - {{name: shared, type: tencent_cloudaudit, endpoint: "{cloud.endpoint}", every: 1s}}
notifiers:
  - name: hook
    type: webhook
    url: "http://127.0.0.1:{self._server.address[1]}/"
    secret: {{env: WORKERS_HOOK_SECRET}}
    allow_http: true
    allow_hosts: [127.0.0.1]
routes: [{{to: [hook]}}]
meta: {{to: []}}
web: {{listen: "off"}}
log: {{level: warning, format: json}}
""",
            encoding="utf-8",
        )
        self._environment = {
            **os.environ,
            "WORKERS_STORE": url,
            "TENCENTCLOUD_SECRET_ID": KEY_ID,
            "TENCENTCLOUD_SECRET_KEY": KEY,
            "WORKERS_HOOK_SECRET": "whsec_" + base64.b64encode(bytes(range(32))).decode(),
        }

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "engine.cli", "run", "-c", str(self._config)]
        self._running.append(subprocess.Popen(command, env=self._environment))
        return self._running[-1]

    def happen(self, number: int) -> list[str]:
        """*number* new events; their ids."""
        made = [
            {
                "eventID": str(uuid.UUID(int=self._draw.getrandbits(128), version=4)),
                "eventName": "DeleteBucket",
                "eventTime": int(time.time()),
                "resourceType": "cos",
                "actionType": "Write",
                "errorCode": "0",
                "userIdentity": {"type": "CAMUser", "accountId": ACCOUNT, "userName": "ana"},
            }
            for _ in range(number)
        ]
        self._cloud.add(made)
        return [str(event["eventID"]) for event in made]

    def told(self, ids: list[str]) -> Callable[[], bool]:
        return lambda: set(ids) <= set(self.receiver.ids_of_event)

    def close(self) -> None:
        for one in self._running:
            one.send_signal(signal.SIGTERM)
        for one in self._running:
            one.wait(timeout=30)
        self._server.stop()


@pytest.fixture
def services(tmp_path: Path, postgres: PostgresServer) -> Iterator[Services]:
    """None runs yet."""
    with Emulator(Settings(KEY_ID, KEY, account=ACCOUNT, visibility_delay=0.0, rate=0)) as cloud:
        services = Services(tmp_path, postgres.new_schema(), cloud)
        yield services
        services.close()


def test_a_second_service_shares_the_work_and_takes_it_over_when_the_first_ends(services: Services) -> None:
    first = services.start()
    before = services.happen(20)
    until(services.told(before))
    second = services.start()
    during = services.happen(20)
    until(services.told(during))
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=30) == 0
    after = services.happen(20)
    until(services.told(after))

    assert second.poll() is None
    assert set(services.receiver.by_id.values()) == {1}
    assert {len(ids) for ids in services.receiver.ids_of_event.values()} == {1}


def until(happened: Callable[[], bool]) -> None:
    for _ in range(600):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within a minute")
