"""
The demo: a cloud with ordinary traffic, an intrusion, and the real service watching.

The cloud is the emulator, in this process. The service is `tocsin run` in a process of its own, with a configuration as
a person would write it; it prints alerts on the terminal and posts them to a webhook receiver here, which verifies
their signatures with its own few lines, as a receiver would. At the end the store says what became of each event.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from engine.cloudaudit.answers import Storage
from engine.cloudaudit.client import CloudAudit
from engine.cloudaudit.credentials import Credentials, Fixed
from engine.emulator import Emulator, Settings
from engine.emulator.traffic import intrusion, ordinary
from engine.store.sqlite import open_store
from engine.web.health import Server

ACCOUNT: Final = "100000000001"
KEY_ID: Final = "AKIDdemoKeyOfTheEmulator0000000000"
TOLERANCE_SECONDS: Final = 300  # Standard Webhooks 1.0.0: what the reference libraries allow

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the intruder does."""

    event: Mapping[str, Any]
    told: str


@dataclass(slots=True)
class Received:
    """What came to the webhook receiver."""

    verified: dict[str, int] = field(default_factory=dict)  # webhook-id -> how often
    rejected: int = 0


def play(say: Say, *, pace: float = 1.0, keep: Path | None = None) -> int:
    """
    The whole story; *pace* stretches or shrinks its pauses. Returns the exit code: 0 when everything was told once.

    *keep* is a folder to leave the configuration, the store and the log in; without it they are removed.
    """
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as scratch:
        home = keep or Path(scratch)
        home.mkdir(parents=True, exist_ok=True)
        return _play(say, home, pace)


def _play(say: Say, home: Path, pace: float) -> int:
    key = secrets.token_hex(16)
    hook_secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    cloud = Emulator(Settings(KEY_ID, key, account=ACCOUNT, visibility_delay=1.0, shuffle=True, late=0.0))
    received = Received()
    receiver = Server(_receiver(received, hook_secret), "127.0.0.1", 0)
    began = time.time()
    steps = _steps(began)
    with cloud:
        receiver.start()
        _track(cloud.endpoint, key)
        before = list(ordinary(7, int(began) - 600, int(began) - 5, 0.5, ACCOUNT))
        cloud.add(before)
        cloud.add([*before[-10:]])  # the API gives some events twice
        config = _configuration(home, cloud.endpoint, receiver.address[1])
        say(f"A cloud with ordinary traffic answers at {cloud.endpoint}; a receiver waits for webhooks.")
        say("The service starts: tocsin run, polling every second, with the built-in rules.\n")
        service = _start(config, home, key, hook_secret)
        try:
            _intrude(say, cloud, steps, service, pace)
            told = _settled(home, steps, service)
        finally:
            code = _stop(service)
            receiver.stop()
        say("\nWhat became of the intruder's events:\n")
        complete = _report(say, home, steps, received)
        counts = _counts(home)
        say(
            f"\n{counts.get('events', 0)} events were read, {cloud.requests['DescribeEvents']} requests; "
            f"{counts.get('matches', 0)} matches became {counts.get('alerts', 0)} alerts; "
            f"the receiver verified {sum(received.verified.values())} signatures and rejected {received.rejected}."
        )
        repeated = [name for name, times in received.verified.items() if times > 1]
        fine = told and complete and not repeated and received.rejected == 0 and code == 0
        if not fine:
            say(f"The demo did not go as it should: the service ended with {code}; its log is {home / 'service.log'}.")
            say((home / "service.log").read_text(encoding="utf-8")[-2000:])
    return 0 if fine else 1


def _track(endpoint: str, key: str) -> None:
    """A tracking set that covers every event, as a careful owner has one."""
    with closing(CloudAudit(Fixed(Credentials(KEY_ID, key)), endpoint=endpoint)) as client:
        client.create_audit_track(
            name="everything",
            action_type="*",
            resource_type="*",
            event_names=["*"],
            status=True,
            storage=Storage(
                storage_type="cos", storage_region="ap-guangzhou", storage_name="audit", storage_prefix="all"
            ),
        )


def _steps(began: float) -> list[Step]:
    stories = {
        "ConsoleLogin": "root signs in to the console, without MFA",
        "CreateApiKey": "root makes an access key",
        "AttachUserPolicy": "the administrator policy is attached to a user",
        "CreateSecurityGroupPolicies": "a security group is opened to the world on port 22",
        "ModifyAuditTrack": "the tracking set is switched off",
    }
    events = intrusion(int(began), ACCOUNT)
    return [Step(event, stories.get(str(event["eventName"]), str(event["eventName"]))) for event in events]


def _configuration(home: Path, endpoint: str, port: int) -> Path:
    path = home / "tocsin.yaml"
    path.write_text(
        f"""\
store: sqlite://{home / "tocsin.db"}
rules: [builtin:tencent]
sources:
  - {{name: demo, type: tencent_cloudaudit, region: ap-guangzhou, endpoint: "{endpoint}", every: 1s}}
notifiers:
  - {{name: terminal, type: console}}
  - name: hook
    type: webhook
    url: "http://127.0.0.1:{port}/alerts"
    secret: {{env: TOCSIN_DEMO_HOOK_SECRET}}
    allow_http: true
    allow_hosts: [127.0.0.1]
routes:
  - match: "contains(['high', 'critical'], severity)"
    to: [terminal, hook]
  - to: [hook]
web: {{listen: "off"}}
log: {{format: json}}
""",
        encoding="utf-8",
    )
    return path


def _start(config: Path, home: Path, key: str, hook_secret: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "TENCENTCLOUD_SECRET_ID": KEY_ID,
        "TENCENTCLOUD_SECRET_KEY": key,
        "TOCSIN_DEMO_HOOK_SECRET": hook_secret,
    }
    environment.pop("TENCENTCLOUD_TOKEN", None)
    with (home / "service.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, "-m", "engine.cli", "run", "-c", str(config)], env=environment, stderr=log
        )


def _intrude(say: Say, cloud: Emulator, steps: list[Step], service: subprocess.Popen[bytes], pace: float) -> None:
    noise = 11
    _pause(4 * pace, service)
    for step in steps:
        now = int(time.time())
        say(f"\n>>> {time.strftime('%H:%M:%S', time.gmtime(now))}Z the intruder: {step.told}")
        cloud.add([{**step.event, "eventTime": now, "updateEsTime": None}])
        for _ in range(3):
            noise += 1
            now = int(time.time())
            cloud.add(ordinary(noise, now - 2, now, 1.5, ACCOUNT))
            _pause(2.6 * pace, service)


def _pause(seconds: float, service: subprocess.Popen[bytes]) -> None:
    try:
        service.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return


def _settled(home: Path, steps: list[Step], service: subprocess.Popen[bytes]) -> bool:
    """Waits until every step's event is decided and nothing is left to send; False when that does not come."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and service.poll() is None:
        store = open_store(str(home / "tocsin.db"))
        try:
            decided = all(store.verdicts(str(step.event["eventID"])) for step in steps)
            if decided and store.deliveries_open()[0] == 0:
                return True
        finally:
            store.close()
        time.sleep(0.25)
    return False


def _stop(service: subprocess.Popen[bytes]) -> int:
    if service.poll() is None:
        service.send_signal(signal.SIGTERM)
    try:
        return service.wait(timeout=15)
    except subprocess.TimeoutExpired:
        service.kill()
        return service.wait()


def _report(say: Say, home: Path, steps: list[Step], received: Received) -> bool:
    store = open_store(str(home / "tocsin.db"))
    complete = True
    try:
        for step in steps:
            event_id = str(step.event["eventID"])
            say(f"  {step.told}  ({step.event['eventName']}, {event_id})")
            verdicts = store.verdicts(event_id)
            complete = complete and any(verdict.outcome == "alert" for verdict, _ in verdicts)
            for verdict, _ in verdicts:
                sent = store.deliveries(alert_id=verdict.alert_id) if verdict.alert_id else []
                ends = ", ".join(
                    f"{one.destination}: {one.state}" + (" and verified" if one.id in received.verified else "")
                    for one in sent
                )
                say(f"      {verdict.rule_id}: {verdict.outcome}" + (f" → {ends}" if ends else ""))
    finally:
        store.close()
    return complete


def _counts(home: Path) -> Mapping[str, int]:
    store = open_store(str(home / "tocsin.db"))
    try:
        return store.counts()
    finally:
        store.close()


def _receiver(received: Received, secret: str) -> Starlette:
    """A webhook receiver as a stranger would write it from Standard Webhooks 1.0.0."""
    lock = threading.Lock()

    async def alerts(request: Request) -> Response:
        body = await request.body()
        message, stamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "0")
        signed = f"{message}.{stamp}.".encode() + body
        expected = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        given = [s.removeprefix("v1,") for s in request.headers.get("webhook-signature", "").split() if s[:3] == "v1,"]
        genuine = any(hmac.compare_digest(base64.b64encode(expected).decode(), one) for one in given)
        fresh = stamp.isdigit() and abs(time.time() - int(stamp)) < TOLERANCE_SECONDS
        with lock:
            if not (genuine and fresh):
                received.rejected += 1
                return PlainTextResponse("no", 401)
            json.loads(body)
            received.verified[message] = received.verified.get(message, 0) + 1
        return PlainTextResponse("", 204)

    return Starlette(routes=[Route("/alerts", alerts, methods=["POST"])])
