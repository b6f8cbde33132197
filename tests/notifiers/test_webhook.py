"""The generic webhook: what it sends, how it signs, what it makes of the answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from inline_snapshot import snapshot
from pydantic import ValidationError

from engine.alert import Alert
from engine.delivery import Delivered, Outcome, Refused, TryLater
from notifiers.webhook import BODY, PLUGIN, Settings, Webhook, body, signature, signing_key, webhook_id
from tests.notifiers.fake_http import FakeHttp, Reply, page, says
from tests.notifiers.samples import a_delivery, a_login, hostile_alerts, unhurried

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def to(url: str, **more: Any) -> Webhook:
    given: dict[str, Any] = {
        "url": url,
        "secret": SECRET,
        "allow_http": True,
        "allow_hosts": ["127.0.0.1"],
        "timeout": 5.0,
    }
    return Webhook("hook", Settings(**(given | more)), clock=lambda: 1735689600.9)


def send(reply: Reply) -> Outcome:
    with FakeHttp(reply) as server:
        hook = to(server.url)
        outcome = hook.send(a_delivery())
        hook.close()
    return outcome


# --- signing


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "message", "expected"),
    [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "msg_c8c04477eb9e470384aef8758c6084ff",
            1735689600,
            b'{"type":"alert.created","timestamp":"2025-01-01T00:00:00Z","data":{"rule":"cam-root-login"}}',
            "v1,8wJ9HbZtZyC+sW60yHzgtnj2ZV9HxALWA9fZkI+5u4I=",
        ),
    ],
)
def test_signatures_are_those_of_the_standard_webhooks_libraries(
    secret: str, message_id: str, timestamp: int, message: bytes, expected: str
) -> None:
    assert signature([signing_key(secret)], message_id, timestamp, message) == expected


def test_what_arrives_verifies_against_what_was_sent() -> None:
    with FakeHttp(Reply(204)) as server:
        to(server.url).send(a_delivery())
    (request,) = server.received
    signed = b"%s.%s.%s" % (
        request.headers["webhook-id"].encode(),
        request.headers["webhook-timestamp"].encode(),
        request.body,
    )
    mac = hmac.new(base64.b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256).digest()

    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
    assert request.headers["webhook-timestamp"] == "1735689600"
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("secrets", [[SECRET, OTHER], f"{SECRET} {OTHER}\n"])
def test_while_secrets_rotate_each_signs(secrets: Any) -> None:
    with FakeHttp(Reply(204)) as server:
        to(server.url, secret=secrets).send(a_delivery())

    signatures = server.received[0].headers["webhook-signature"].split(" ")

    assert len(set(signatures)) == 2
    assert all(one.startswith("v1,") for one in signatures)


def test_every_attempt_carries_the_same_id_and_the_same_body() -> None:
    with FakeHttp(Reply(500), Reply(204)) as server:
        hook = to(server.url)
        hook.send(a_delivery(attempt=1))
        hook.send(a_delivery(attempt=2, earlier_ambiguous=True))
        hook.close()
    first, second = server.received

    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "D-0000000001"
    assert first.body == second.body


def test_an_id_never_holds_the_dot_that_separates_what_is_signed() -> None:
    assert webhook_id("D.1:a/b\n") == "D-1-a-b-"


@pytest.mark.parametrize("secret", ["", "whsec_", "CANARY-not-base64!", "whsec_QUJD", "whsec_" + "QUJD" * 40])
def test_a_secret_that_is_none_is_an_error_that_does_not_repeat_it(secret: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Settings(url="https://hook.example.test", secret=secret)  # type: ignore[arg-type]  # as YAML gives it

    assert "CANARY" not in str(refusal.value)


def test_without_a_secret_one_must_say_unsigned() -> None:
    with pytest.raises(ValidationError, match="unsigned: true"):
        Settings.model_validate({"url": "https://hook.example.test"})


def test_unsigned_messages_carry_no_signature() -> None:
    with FakeHttp(Reply(204)) as server:
        to(server.url, secret=None, unsigned=True).send(a_delivery())

    assert "webhook-signature" not in server.received[0].headers
    assert server.received[0].headers["webhook-id"] == "D-0000000001"


def test_configured_headers_are_sent() -> None:
    with FakeHttp(Reply(204)) as server:
        to(server.url, headers={"Authorization": "Bearer token"}).send(a_delivery())

    assert server.received[0].headers["authorization"] == "Bearer token"


@pytest.mark.parametrize(
    ("name", "value"), [("webhook-id", "x"), ("Host", "x"), ("X Y", "x"), ("X", "a\r\nB: c"), ("Content-Length", "0")]
)
def test_headers_that_would_break_the_request_are_errors(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match=r"header|control"):
        to("https://hook.example.test", headers={name: value})


# --- the body


def test_the_body_is_the_alert() -> None:
    assert json.loads(body(a_login())) == snapshot(
        {
            "type": "alert.created",
            "timestamp": "2022-08-16T06:43:24Z",
            "data": {
                "id": "A-7F3KQ2M4XA",
                "rule_id": "tencent.root.console_login",
                "rule_version": "3f2a91",
                "severity": "critical",
                "title": "Root of 100000000001 signed in to the console from 203.0.113.162",
                "kind": "tencent.cloudaudit",
                "account": "100000000001",
                "group": {"norm.account": "100000000001", "norm.ip": "203.0.113.162"},
                "fingerprint": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
                "first_seen": "2022-08-16T06:43:24Z",
                "last_seen": "2022-08-16T06:43:24Z",
                "created": "2022-08-16T06:44:39Z",
                "first_seen_epoch": 1660632204,
                "last_seen_epoch": 1660632204,
                "created_epoch": 1660632279,
                "count": 1,
                "event_ids": ["00000000-0000-4000-8000-000000000003"],
                "norm": {
                    "action": "ConsoleLogin",
                    "service": "account",
                    "outcome": "ok",
                    "actor": "root",
                    "actor_type": "root",
                    "account": "100000000001",
                    "region": "ap-guangzhou",
                    "ip": "203.0.113.162",
                    "time": 1660632204,
                    "mfa": False,
                },
                "matched": "eventName == 'ConsoleLogin' && norm.actor_type == 'root' && norm.outcome == 'ok'",
                "reasons": [],
                "notes": [],
                "late_by": 0,
                "retracts": "",
                "description": "The root account owns everything and is not meant for daily work.",
                "runbook": """\
1. Ask the owner of the account.
2. Look at what root did in the hour after.\
""",
                "references": ["https://wiki.example.com/runbooks/root"],
                "techniques": ["T1078.004"],
                "test": False,
                "cut": [],
            },
        }
    )


def test_evidence_is_sent_only_when_asked_for() -> None:
    assert "evidence" not in json.loads(body(a_login()))["data"]
    assert json.loads(body(a_login(), evidence=True))["data"]["evidence"] == a_login().evidence


@unhurried
@given(hostile_alerts())
def test_a_body_is_at_most_20_kb_of_inert_ascii_json(alert: Alert) -> None:
    message = body(alert, evidence=True)

    assert len(message) <= BODY
    assert message.isascii()
    assert not set(message) & set(b"<>&\x1b\x7f\n")
    assert json.loads(message)["data"]["rule_id"] == alert.rule_id


def test_what_was_cut_is_named() -> None:
    data = json.loads(body(a_login(evidence="x" * 50_000, runbook="y" * 30_000), evidence=True))["data"]

    assert data["cut"] == ["evidence", "runbook"]
    assert data["evidence"].endswith("…")
    assert data["title"] == a_login().title


# --- answers


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(200), Delivered("HTTP 200")),
        (Reply(200, "thanks"), Delivered("HTTP 200")),
        (says(202, ok=True), Delivered("HTTP 202")),
        (says(200, errcode=0, errmsg="ok"), Delivered("HTTP 200")),
        (Reply(204), Delivered("HTTP 204")),
        (page(), TryLater("HTTP 200 with a web page: a login or a proxy answers there", ambiguous=True)),
        (
            Reply(200, " \n<HTML>hello"),
            TryLater("HTTP 200 with a web page: a login or a proxy answers there", ambiguous=True),
        ),
        (Reply(200, "ha", promised=5), TryLater("HTTP 200, but the answer broke off", ambiguous=True)),
        (says(200, ok=False), TryLater("HTTP 200, but the answer says ok: false")),
        (says(200, success=False), TryLater("HTTP 200, but the answer says success: false")),
        (says(200, errcode=45009), TryLater("HTTP 200, but the answer says errcode: 45009")),
        (
            Reply(301, headers={"Location": "/"}),
            Refused("HTTP 301: redirects are not followed; configure the final URL"),
        ),
        (Reply(400), Refused("HTTP 400")),
        (Reply(401), Refused("HTTP 401")),
        (Reply(404), Refused("HTTP 404")),
        (Reply(408), TryLater("HTTP 408")),
        (Reply(410), Refused("HTTP 410: the receiver is gone and wants no more; remove the destination")),
        (Reply(425), TryLater("HTTP 425")),
        (Reply(429, headers={"Retry-After": "7"}), TryLater("HTTP 429", after=timedelta(seconds=7))),
        (
            Reply(429, headers={"Retry-After": "Wed, 01 Jan 2025 00:00:30 GMT"}),
            TryLater("HTTP 429", after=timedelta(seconds=29.1)),
        ),
        (Reply(500), TryLater("HTTP 500")),
        (Reply(503, headers={"Retry-After": "99999"}), TryLater("HTTP 503", after=timedelta(minutes=10))),
        (Reply(502), TryLater("HTTP 502", ambiguous=True)),
        (Reply(504), TryLater("HTTP 504", ambiguous=True)),
    ],
)
def test_each_answer_has_one_meaning(reply: Reply, outcome: Outcome) -> None:
    assert send(reply) == outcome


def test_an_inner_host_is_refused_unless_it_is_listed() -> None:
    with FakeHttp() as server:
        outcome = to(server.url, allow_hosts=[]).send(a_delivery())

    assert isinstance(outcome, Refused)
    assert "allow_hosts" in outcome.reason
    assert server.received == []


def test_the_preview_shows_the_message_and_no_secret() -> None:
    hook = to("http://127.0.0.1/CANARY-path", headers={"Authorization": "CANARY-header"})

    shown = hook.preview(a_delivery())

    assert "CANARY" not in shown
    assert '"rule_id": "tencent.root.console_login"' in shown
    assert "webhook-id: D-0000000001" in shown


def test_the_plugin_builds_it_from_settings() -> None:
    settings = PLUGIN.settings.model_validate({"url": "https://hook.example.test/x", "secret": SECRET})

    assert isinstance(PLUGIN.build("hook", settings), Webhook)
