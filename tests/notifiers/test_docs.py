"""docs/notifiers.md says what is so: its examples are valid, its receiver verifies what is really sent."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from notifiers import console, slack, webhook
from notifiers.webhook import Settings, Webhook, body
from tests.notifiers.fake_http import FakeHttp, Reply
from tests.notifiers.samples import a_delivery, a_login

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "notifiers.md").read_text(encoding="utf-8")
PLUGINS = {"slack": slack.PLUGIN, "webhook": webhook.PLUGIN, "console": console.PLUGIN}
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
VALUES = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "HOOK_URL": "https://hook.example.com/x",
    "INNER_HOOK_URL": "https://hook.corp.example.com/x",
    "HOOK_SECRET": SECRET,
    "HOOK_AUTHORIZATION": "Bearer x",
    "/run/secrets/slack_webhook_url": "https://hooks.slack.com/services/x",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def resolved(value: Any) -> Any:
    """As the settings loader does: `{env: …}` and `{file: …}` become their values."""
    if isinstance(value, dict) and len(value) == 1 and value.keys() <= {"env", "file"}:
        return VALUES[next(iter(value.values()))]
    if isinstance(value, dict):
        return {name: resolved(inner) for name, inner in value.items()}
    return value


@pytest.mark.parametrize("example", [entry for text in blocks("yaml") for entry in yaml.safe_load(text)["notifiers"]])
def test_every_example_of_settings_is_valid(example: dict[str, Any], tmp_path: Path) -> None:
    given = resolved({name: value for name, value in example.items() if name not in {"name", "type", "ca_file"}})

    settings = PLUGINS[example["type"]].settings.model_validate(given)

    PLUGINS[example["type"]].build(example["name"], settings).close()


def test_the_receiver_of_the_page_verifies_what_is_sent_and_nothing_else() -> None:
    scope: dict[str, Any] = {}
    exec(compile(blocks("python")[0], "docs/notifiers.md", "exec"), scope)
    with FakeHttp(Reply(204)) as server:
        given: dict[str, Any] = {"url": server.url, "secret": [SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}
        hook = Webhook("hook", Settings(**given, allow_http=True, allow_hosts=["127.0.0.1"]))
        hook.send(a_delivery())
        hook.close()
    (request,) = server.received
    late = request.headers | {"webhook-timestamp": str(int(time.time()) - 301)}

    assert scope["verified"](request.headers, request.body, SECRET)
    assert scope["verified"](request.headers, request.body, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert not scope["verified"](request.headers, request.body + b" ", SECRET)
    assert not scope["verified"](late, request.body, SECRET)


def test_the_body_on_the_page_has_the_fields_of_the_real_one() -> None:
    shown = json.loads(blocks("json")[0])
    real = json.loads(body(a_login()))

    assert list(shown) == list(real)
    assert list(shown["data"]) == list(real["data"])


def _settings_of(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


@pytest.mark.parametrize("name", PLUGINS)
def test_every_setting_is_on_the_page(name: str) -> None:
    missing = {setting for setting in _settings_of(PLUGINS[name].settings) if f"`{setting}`" not in PAGE}

    assert missing - {"url"} == set()
