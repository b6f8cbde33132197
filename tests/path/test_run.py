"""`tocsin run` as a person starts it: a process of its own, against the emulator, over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.emulator import Emulator, Settings
from engine.emulator.traffic import intrusion

KEY_ID, KEY, ACCOUNT = "AKIDtestKeyOfTheEmulator0000000000000", "canary-secret-key", "100000000001"


@dataclass(frozen=True, slots=True)
class Run:
    """A configuration beside a running emulator."""

    cloud: Emulator
    folder: Path

    def tocsin(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "engine.cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A running `tocsin`; killed, if a test leaves it alive."""
        command = [sys.executable, "-m", "engine.cli", *words]
        with subprocess.Popen(command, env=self.environment, text=True, stderr=subprocess.PIPE) as service:
            try:
                yield service
            finally:
                service.kill()

    @property
    def environment(self) -> dict[str, str]:
        mine = {"TENCENTCLOUD_SECRET_ID": KEY_ID, "TENCENTCLOUD_SECRET_KEY": KEY}
        return {k: v for k, v in os.environ.items() if not k.startswith(("TENCENTCLOUD_", "TOCSIN_"))} | mine

    @property
    def config(self) -> str:
        return str(self.folder / "tocsin.yaml")

    @property
    def store(self) -> str:
        return f"sqlite://{self.folder / 'tocsin.db'}"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Emulator(Settings(KEY_ID, KEY, account=ACCOUNT, visibility_delay=0.0, rate=0)) as cloud:
        cloud.add(intrusion(time.time() - 300, ACCOUNT))
        (tmp_path / "tocsin.yaml").write_text(
            f"""\
store: sqlite://{tmp_path / "tocsin.db"}
rules: [builtin:tencent]
sources:
  - {{name: prod, type: tencent_cloudaudit, endpoint: "{cloud.endpoint}", every: 1s}}
notifiers:
  - {{name: terminal, type: console}}
routes:
  - {{match: "contains(['high', 'critical'], severity)", to: [terminal]}}
web: {{listen: "127.0.0.1:0"}}
log: {{format: json}}
"""
        )
        yield Run(cloud, tmp_path)


def test_once_reads_tells_and_ends_and_a_second_time_has_nothing_to_say(run: Run) -> None:
    first = run.tocsin("run", "--once", "-c", run.config)
    second = run.tocsin("run", "--once", "-c", run.config)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "tracking set" in first.stdout
    assert "CRITICAL" in first.stdout
    assert second.stdout == ""
    assert KEY not in first.stdout + first.stderr


def test_why_tells_what_became_of_an_event(run: Run) -> None:
    event_id = str(next(iter(intrusion(0, ACCOUNT)))["eventID"])
    run.tocsin("run", "--once", "-c", run.config)

    told = run.tocsin("why", event_id, "--store", run.store)
    unknown = run.tocsin("why", "no-such-event", "--store", run.store)

    assert told.returncode == 0
    assert re.search(r"tencent\.root\.console_login: alert A-\w+ ", told.stdout)
    assert "delivered" in told.stdout
    assert unknown.returncode == 1


def test_a_dry_run_says_what_it_would_send_and_leaves_no_trace(run: Run) -> None:
    dry = run.tocsin("run", "--dry-run", "-c", run.config)

    assert dry.returncode == 0
    assert "would send A-" in dry.stdout
    assert "would be sent" in dry.stderr
    assert "delivered" not in dry.stderr
    assert not (run.folder / "tocsin.db").exists()


def test_a_source_that_cannot_be_reached_is_exit_code_69(run: Run) -> None:
    run.cloud.stop()
    ended = run.tocsin("run", "--once", "-c", run.config)
    assert ended.returncode == 69
    assert '"event": "could not read"' in ended.stderr


def test_a_wrong_key_is_named_and_its_secret_is_not(run: Run) -> None:
    environment = run.environment | {"TENCENTCLOUD_SECRET_KEY": "wrong-canary-key"}
    ended = subprocess.run(
        [sys.executable, "-m", "engine.cli", "run", "--once", "-c", run.config],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 69
    assert "AuthFailure.SignatureFailure" in ended.stderr
    assert "wrong-canary-key" not in ended.stdout + ended.stderr


def wait_for(service: subprocess.Popen[str], event: str) -> dict[str, Any]:
    assert service.stderr is not None
    for line in service.stderr:
        said: dict[str, Any] = json.loads(line)
        if said["event"] == event:
            return said
    raise AssertionError(f"the service ended without saying {event!r}")


def ask(address: str, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{page}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_service_answers_refuses_a_second_one_and_ends_when_told(run: Run) -> None:
    with run.started("run", "-c", run.config) as service:
        address = str(wait_for(service, "listening")["address"])
        wait_for(service, "read")

        second = run.tocsin("run", "-c", run.config)
        health, ready, metrics = (ask(address, page) for page in ("/healthz", "/readyz", "/metrics"))
        service.send_signal(signal.SIGTERM)
        code = service.wait(timeout=20)

    assert second.returncode == 75
    assert f"process {service.pid}" in second.stderr
    assert health == (200, "ok\n")
    assert ready == (200, "ready\n")
    assert re.search(r'tocsin_events_total\{source="prod"\} [1-9]', metrics[1])
    assert code == 0


def test_a_broken_rule_on_disk_leaves_the_old_rules_in_force_and_is_said(run: Run) -> None:
    rule = run.folder / "rule.yaml"
    good = (
        "id: test.any\ntitle: any\nseverity: low\nkind: tencent.cloudaudit\ndescription: d\nmatch: eventName == 'X'\n"
    )
    rule.write_text(good)
    with run.started("run", "-c", run.config, "--rules", str(rule)) as service:
        address = str(wait_for(service, "listening")["address"])

        rule.write_text(good.replace("'X'", "'X"))
        broken = wait_for(service, "the rules on disk are broken: the old ones stay in force")
        reloaded = ask(address, "/metrics")[1]
        rule.write_text(good.replace("'X'", "'Y'"))
        wait_for(service, "rules reloaded")
        mended = ask(address, "/metrics")[1]
        service.send_signal(signal.SIGTERM)
        code = service.wait(timeout=20)

    assert code == 0
    assert f"{rule}:6:" in str(broken["problems"])
    assert "tocsin_config_last_reload_successful 0.0" in reloaded
    assert "tocsin_config_last_reload_successful 1.0" in mended
