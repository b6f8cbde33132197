"""A canary in every place that holds a secret: over whole runs, good and bad, it comes out nowhere."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.emulator import Emulator, Settings
from tests.notifiers.fake_http import FakeHttp, Reply, says

CANARY = "cAnArY7f3a"  # in every secret below; what stands behind it says where it was put
KEY_ID = "AKIDtestKeyOfTheEmulator0000000000000"
KEY, TOKEN = f"{CANARY}SecretKeyOfTheApi", f"{CANARY}SessionTokenOfTheApi"
SLACK_TOKEN = f"xoxb-0000000000-{CANARY}SlackBotToken"
SIGNING = f"{CANARY}SigningSecret0000000000"  # 32 bytes: the text of the setting is its base64
HOOK_PATH, HOOK_HEADER = f"/in/{CANARY}HookPath", f"Bearer {CANARY}HookHeader"
SLACK_PATH = f"/services/T0000/B0000/{CANARY}SlackWebhook"
ACCOUNT = "100000000001"

# The libraries' own loggers say everything, and the root logger passes it on: the worst that a person could configure.
LOUD = """
import logging
import engine.logs as logs
configure = logs.configure
def loud(*given, **named):
    configure(*given, **named)
    for name in (None, "httpx", "httpcore", "slack_sdk", "urllib3", "apscheduler", "uvicorn", "starlette"):
        logging.getLogger(name).setLevel(logging.DEBUG)
logs.configure = loud
from engine.cli import main
main()
"""


def secretive_event(event_id: str, **changes: Any) -> dict[str, Any]:
    """An event with a secret wherever the API is known to put one, and where people put them by mistake."""
    return {
        "eventID": event_id,
        "eventName": "CreateAccessKey",
        "eventTime": int(time.time()) - 30,
        "eventVersion": 2,
        "actionType": "Write",
        "resourceType": "cam",
        "errorCode": "0",
        "errorMessage": f"failed for token={CANARY}ErrorMessage",
        "sourceIPAddress": "203.0.113.7",
        "userAgent": f"curl/8 password={CANARY}UserAgent",
        "requestID": "00000000-0000-4000-8000-00000000000a",
        "userIdentity": {
            "type": "Root",
            "accountId": ACCOUNT,
            "principalId": ACCOUNT,
            "userName": "root",
            "secretId": f"AKID{CANARY}0000000000000000000000",
            "sessionContext": json.dumps({"token": f"{CANARY}SessionContext", "attributes": {"mfa": "0"}}),
        },
        "requestParameters": json.dumps(
            {
                "Token": f"{CANARY}RequestToken",
                "SecretKey": f"{CANARY}RequestSecretKey",
                "Password": f"{CANARY}RequestPassword",
                "Deep": {"a": [{"b": json.dumps({"Password": f"{CANARY}DeepPassword"})}]},
                "Text": json.dumps(json.dumps({"LoginSettings": {"Password": f"{CANARY}TwiceNested"}})),
                "UserData": base64.b64encode(f"export PW={CANARY}UserData".encode()).decode() + CANARY,
                "Env": [{"Key": "DB_PASSWORD", "Value": f"{CANARY}PairPassword"}],
            }
        ),
        "responseElements": json.dumps(
            {"AccessKey": {"SecretKey": f"{CANARY}ResponseSecretKey", "AccessKeyId": "AKIDshown"}}
        ),
        "resourceName": f"https://user:{CANARY}UrlPassword@bucket.example.com/x",
        **changes,
    }


BROKEN_RECORD = '{"eventID": "broken", "requestParameters": {"Password": "' + CANARY + "BrokenRecord"

RULES = """
id: canary.key_made
title: "{norm.actor} made a key with {userAgent} {requestParameters.Password} {errorMessage} {resourceName}"
severity: critical
status: stable
kind: tencent.cloudaudit
description: Tells as much as it can.
match: eventName == 'CreateAccessKey'
"""
BREAKS = """
id: canary.breaks
title: breaks
severity: low
status: stable
kind: tencent.cloudaudit
description: A rule that breaks, so that its fault is told.
match: starts_with(requestParameters, 'x')
"""


@dataclass
class Scene:
    """Everything that one run wrote or sent, and its folder."""

    folder: Path
    cloud: Emulator
    slack: FakeHttp
    hook: FakeHttp
    said: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> str:
        return str(self.folder / "tocsin.yaml")

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TENCENTCLOUD_", "TOCSIN_"))}
        return kept | {
            "TENCENTCLOUD_SECRET_ID": KEY_ID,
            "TENCENTCLOUD_SECRET_KEY": KEY,
            "TENCENTCLOUD_TOKEN": TOKEN,
            "SLACK_BOT_TOKEN": SLACK_TOKEN,
            "HOOK_URL": f"{self.hook.url}{HOOK_PATH}?key={CANARY}HookQuery",
            "HOOK_SECRET": "whsec_" + base64.b64encode(SIGNING.encode().ljust(32, b"0")).decode(),
            "HOOK_HEADER": HOOK_HEADER,
            "SLACK_URL": f"{self.slack.url}{SLACK_PATH}",
        }

    def tocsin(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", LOUD, *words],
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        self.said[" ".join(words)] = done.stdout + done.stderr
        return done

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.glob("tocsin.db*")}

    def leaks(self) -> list[str]:
        """Every place where a canary came out, with what stands around it."""
        found = []
        told = {
            f"{name} message {number}": message.body.decode("utf-8", "replace")
            for name, server in (("slack", self.slack), ("hook", self.hook))
            for number, message in enumerate(server.received)
        }
        stored = {name: content.decode("latin-1") for name, content in self.files().items()}
        for place, text in (self.said | told | stored).items():
            for secret in (CANARY, base64.b64encode(SIGNING.encode()).decode()[:24], CANARY.lower()):
                at = text.find(secret)
                if at >= 0:
                    found.append(f"{place}: …{text[max(0, at - 200) : at + 60]!r}…")
        return found


def configure(folder: Path, cloud: Emulator, slack: FakeHttp) -> None:
    (folder / "rules").mkdir()
    (folder / "rules" / "key_made.yaml").write_text(RULES, encoding="utf-8")
    (folder / "rules" / "breaks.yaml").write_text(BREAKS, encoding="utf-8")
    local = "allow_http: true, allow_hosts: [127.0.0.1], timeout: 2"
    (folder / "tocsin.yaml").write_text(
        f"""\
store: sqlite://{folder / "tocsin.db"}
rules: ["{folder / "rules"}"]
sources:
  - {{name: prod, type: tencent_cloudaudit, endpoint: "{cloud.endpoint}", every: 1s}}
notifiers:
  - {{name: bot, type: slack, token: {{env: SLACK_BOT_TOKEN}}, channel: C0123456789, base_url: "{slack.url}/api/", {local}}}
  - {{name: incoming, type: slack, url: {{env: SLACK_URL}}, {local}}}
  - {{name: hook, type: webhook, url: {{env: HOOK_URL}}, secret: {{env: HOOK_SECRET}},
      headers: {{Authorization: {{env: HOOK_HEADER}}}}, include: [evidence], {local}}}
  - {{name: here, type: console}}
routes: [{{to: [bot, incoming, hook, here]}}]
web: {{listen: "127.0.0.1:0"}}
log: {{level: debug, format: json}}
""",
        encoding="utf-8",
    )


@contextmanager
def made(folder: Path, answers: str) -> Iterator[Scene]:
    slack, hook = ANSWERS[answers]
    settings = Settings(KEY_ID, KEY, token=TOKEN, account=ACCOUNT, visibility_delay=0.0, rate=0)
    with Emulator(settings) as cloud, FakeHttp(*slack) as slack_server, FakeHttp(*hook) as hook_server:
        cloud.add([secretive_event(f"00000000-0000-4000-8000-{number:012d}") for number in range(2)])
        configure(folder, cloud, slack_server)
        yield Scene(folder, cloud, slack_server, hook_server)


@pytest.fixture(params=["good", "refused", "broken"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    with made(tmp_path, request.param) as found:
        yield found


@pytest.fixture
def quiet_scene(tmp_path: Path) -> Iterator[Scene]:
    with made(tmp_path, "good") as found:
        yield found


ECHO = f"https://x{HOOK_PATH} {HOOK_HEADER} {SLACK_TOKEN} {SLACK_PATH}"
ANSWERS: dict[str, tuple[list[Reply], list[Reply]]] = {
    "good": ([says(ok=True, channel="C0123456789", ts="1.0")], [Reply(204)]),
    "refused": (
        [says(ok=False, error="invalid_auth", needed=ECHO)],
        [Reply(400, ECHO, {"X-Echo": ECHO.replace(" ", "%20")}), Reply(302, "", {"Location": f"https://x{HOOK_PATH}"})],
    ),
    "broken": ([Reply(500, ECHO), Reply(hang_up=True)], [Reply(hang_up=True), Reply(200, "{", promised=20)]),
}


def test_no_secret_comes_out_of_a_whole_run_in_any_way(scene: Scene) -> None:
    page_texts(scene)
    show_what_became(scene)

    assert len(scene.hook.received) > 0
    assert len(scene.slack.received) > 0
    assert "httpcore" in scene.said["the service"] or "HTTP Request" in scene.said["the service"]  # it was loud
    assert scene.leaks() == []


def test_no_command_shows_a_secret_of_an_event_or_of_the_settings(quiet_scene: Scene) -> None:
    quiet_scene.tocsin("run", "--once", "-c", quiet_scene.config)
    quiet_scene.tocsin("run", "--once", "-c", quiet_scene.config, TENCENTCLOUD_SECRET_KEY=f"{CANARY}WrongKey")
    show_everything(quiet_scene)

    said = quiet_scene.said
    assert "[secret:" in said["alerts"]
    assert "[secret:" in said["fetched"]
    assert "breaks" in said["faults"]
    assert "[masked]" in said["config"]
    assert quiet_scene.leaks() == []


def page_texts(scene: Scene) -> None:
    """The service for a while, its logs and pages, and its end."""
    command = [sys.executable, "-c", LOUD, "run", "-c", scene.config]
    log = scene.folder / "service.log"
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(command, env=scene.environment, stdout=errors, stderr=errors, text=True) as service,
    ):
        try:
            address = listening(log)
            until = time.monotonic() + 40
            while not (scene.hook.received and scene.slack.received) and time.monotonic() < until:
                time.sleep(0.05)
            for page in ("/healthz", "/readyz", "/metrics"):
                try:
                    with urllib.request.urlopen(f"http://{address}{page}", timeout=10) as answer:
                        scene.said[page] = answer.read().decode()
                except urllib.error.HTTPError as error:
                    scene.said[page] = error.read().decode()
            service.send_signal(signal.SIGTERM)
            service.wait(timeout=40)
        finally:
            service.kill()
    scene.said["the service"] = log.read_text(encoding="utf-8")


def listening(log: Path) -> str:
    until = time.monotonic() + 40
    while time.monotonic() < until:
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.startswith("{") and json.loads(line).get("event") == "listening":
                return str(json.loads(line)["address"])
        time.sleep(0.05)
    raise AssertionError(log.read_text(encoding="utf-8"))


def show_what_became(scene: Scene) -> None:
    """What is said of destinations that do not take it."""
    scene.tocsin("deliveries", "list", "--format", "json", "-c", scene.config)
    scene.tocsin("notify", "hook", "-c", scene.config)


def show_everything(scene: Scene) -> None:
    """Every command that shows events, alerts or settings."""
    events, one = scene.folder / "events.jsonl", scene.folder / "one.json"
    events.write_text(json.dumps(secretive_event("in-a-file")) + "\n" + BROKEN_RECORD + "\n", encoding="utf-8")
    one.write_text(json.dumps(secretive_event("explained")), encoding="utf-8")
    config, rules = ("-c", scene.config), ("--rules", str(scene.folder / "rules"))
    commands: dict[str, tuple[str, ...]] = {
        "doctor": ("doctor", *config),
        "dry run": ("run", "--dry-run", *config),
        "alerts": ("alerts", "list", "--format", "json", *config),
        "alerts as text": ("alerts", "list", *config),
        "deliveries": ("deliveries", "list", *config),
        "quarantine": ("events", "quarantine", "--format", "json", *config),
        "faults": ("events", "faults", *config),
        "why": ("why", "00000000-0000-4000-8000-000000000000", *config),
        "fetched": ("events", "fetch", "prod", "--full", *config),
        "fetched as text": ("events", "fetch", "prod", *config),
        "config": ("config", "show", *config),
        "preview": ("notify", "hook", "--preview", *config),
        "scan": ("scan", *rules, "--format", "jsonl", str(events)),
        "scan as text": ("scan", *rules, str(events)),
        "explain": ("explain", "canary.key_made", str(one), *rules),
    }
    for name, words in commands.items():
        scene.tocsin(*words)
        scene.said[name] = scene.said.pop(" ".join(words))


def test_a_wrong_setting_is_refused_without_showing_it(tmp_path: Path) -> None:
    broken = tmp_path / "tocsin.yaml"
    broken.write_text(
        "sources: [{name: prod, type: tencent_cloudaudit, proxy: {env: PROXY}}]\n"
        "notifiers:\n"
        "  - {name: a, type: slack, token: {env: APP_TOKEN}, channel: C0123456789}\n"
        "  - {name: b, type: webhook, url: {env: BAD_URL}, secret: {env: BAD_SECRET}}\n",
        encoding="utf-8",
    )
    environment = os.environ | {
        "PROXY": f"socks://user:{CANARY}@proxy",
        "APP_TOKEN": f"xapp-{CANARY}",
        "BAD_URL": f"ftp://host/{CANARY}",
        "BAD_SECRET": CANARY,
    }
    for words in (("check", "-c"), ("config", "show", "-c"), ("run", "--once", "-c")):
        done = subprocess.run(
            [sys.executable, "-c", LOUD, *words, str(broken)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert CANARY not in done.stdout + done.stderr
