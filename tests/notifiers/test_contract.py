"""
What every notifier must prove, whatever it speaks. A new one adds itself to NOTIFIERS.

The server is real and misbehaves on demand; each notifier's own tests say what its answers mean in detail.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from engine.alert import Alert
from engine.delivery import Delivered, Delivery, Notifier, NotifierPlugin, Outcome, Refused, TryLater
from notifiers import console, slack, webhook
from tests.notifiers.fake_http import FakeHttp, Received, Reply, page, says
from tests.notifiers.samples import NAUGHTY, a_delivery, a_login, hostile_alerts, unhurried

LOCAL: dict[str, Any] = {"allow_http": True, "allow_hosts": ["127.0.0.1"], "timeout": 5.0}
CANARY = "CANARY0c4f"
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@dataclass(frozen=True)
class Kind:
    """One notifier: its plugin, its settings for a server, what a good server answers, what in them is secret."""

    plugin: NotifierPlugin
    settings: Callable[[str], dict[str, Any]]
    good: Reply
    speaks_http: bool = True

    def build(self, url: str, **more: Any) -> Notifier:
        return self.plugin.build("oncall", self.plugin.settings.model_validate(self.settings(url) | more))


NOTIFIERS = {
    "slack bot": Kind(
        slack.PLUGIN,
        lambda url: LOCAL | {"token": f"xoxb-{CANARY}", "channel": "C0123456789", "base_url": f"{url}/api/"},
        says(ok=True, channel="C0123456789", ts="1.0"),
    ),
    "slack webhook": Kind(
        slack.PLUGIN, lambda url: LOCAL | {"url": f"{url}/services/{CANARY}?sig={CANARY}"}, Reply(200, "ok")
    ),
    "webhook": Kind(
        webhook.PLUGIN,
        lambda url: (
            LOCAL
            | {
                "url": f"{url}/hook/{CANARY}?key={CANARY}",
                "secret": SECRET,
                "headers": {"Authorization": f"Bearer {CANARY}"},
                "include": ["evidence"],
            }
        ),
        Reply(204),
    ),
    "console": Kind(console.PLUGIN, lambda _url: {}, Reply(), speaks_http=False),
}
OVER_HTTP = {name: kind for name, kind in NOTIFIERS.items() if kind.speaks_http}

every_notifier = pytest.mark.parametrize("kind", NOTIFIERS.values(), ids=NOTIFIERS)
every_http_notifier = pytest.mark.parametrize("kind", OVER_HTTP.values(), ids=OVER_HTTP)


def send(kind: Kind, reply: Reply, delivery: Delivery | None = None, **more: Any) -> tuple[Outcome, list[Received]]:
    with FakeHttp(reply) as server:
        notifier = kind.build(server.url, **more)
        try:
            return notifier.send(delivery or a_delivery()), server.received
        finally:
            notifier.close()


# --- outcomes are values


@every_notifier
def test_a_good_answer_is_delivered(kind: Kind) -> None:
    assert isinstance(send(kind, kind.good)[0], Delivered)


LATER, REFUSED = "TryLater", "Refused"


@every_http_notifier
@pytest.mark.parametrize(
    ("reply", "meaning", "ambiguous"),
    [
        (Reply(301, headers={"Location": "http://127.0.0.1:1/"}), REFUSED, False),
        (Reply(307, headers={"Location": "http://127.0.0.1:1/"}), REFUSED, False),
        (Reply(400), REFUSED, False),
        (Reply(401), REFUSED, False),
        (Reply(403), REFUSED, False),
        (Reply(404), REFUSED, False),
        (Reply(410), REFUSED, False),
        (Reply(408), LATER, False),
        (Reply(429), LATER, False),
        (Reply(502), LATER, True),
        (Reply(504), LATER, True),
        (page(200), LATER, True),
        (page(429), LATER, False),
        (Reply(200, '{"ok": tr', promised=50), LATER, True),
        (Reply(hang_up=True), LATER, True),
    ],
)
def test_an_answer_that_is_not_the_receiver_s_yes_is_never_delivered(
    kind: Kind, reply: Reply, meaning: str, ambiguous: bool
) -> None:
    outcome, requests = send(kind, reply)

    assert type(outcome).__name__ == meaning
    assert getattr(outcome, "ambiguous", False) is ambiguous
    assert len(requests) == 1


@every_http_notifier
@pytest.mark.parametrize("status", [500, 501, 503, 520, 599])
def test_every_server_error_is_tried_again(kind: Kind, status: int) -> None:
    assert isinstance(send(kind, Reply(status))[0], TryLater)


@every_http_notifier
def test_what_the_receiver_asks_to_wait_is_passed_on(kind: Kind) -> None:
    outcome, _ = send(kind, Reply(429, headers={"Retry-After": "42"}))

    assert isinstance(outcome, TryLater)
    assert outcome.after is not None
    assert outcome.after.total_seconds() == 42


@every_http_notifier
def test_a_receiver_that_hangs_or_drips_is_left_in_time(kind: Kind) -> None:
    for reply in (Reply(hang=True), Reply(200, "x" * 500, drip=0.05)):
        outcome, _ = send(kind, reply, timeout=0.7)

        assert isinstance(outcome, TryLater)
        assert outcome.ambiguous


@every_http_notifier
def test_without_a_connection_a_repeat_is_safe(kind: Kind) -> None:
    with FakeHttp() as server:
        url = server.url

    outcome = kind.build(url).send(a_delivery())

    assert isinstance(outcome, TryLater)
    assert not outcome.ambiguous


@every_http_notifier
def test_inner_hosts_are_not_reached_unless_listed(kind: Kind) -> None:
    outcome, requests = send(kind, kind.good, allow_hosts=[])

    assert isinstance(outcome, Refused)
    assert requests == []


@every_http_notifier
def test_a_send_after_a_failed_one_starts_afresh(kind: Kind) -> None:
    with FakeHttp(Reply(hang_up=True), Reply(500), kind.good) as server:
        notifier = kind.build(server.url)
        outcomes = [notifier.send(a_delivery()) for _ in range(3)]
        notifier.close()

    assert [type(outcome) for outcome in outcomes] == [TryLater, TryLater, Delivered]


# --- secrets


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Every logger there is, at DEBUG, as an operator in despair sets them."""
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    levels = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        yield caplog
    for logger, level in levels:
        logger.setLevel(level)


ECHOES = (
    Reply(200, f"https://x/{CANARY}"),
    Reply(200, f'{{"ok":false,"error":"{CANARY}"}}'),
    Reply(400, CANARY),
    Reply(400, f"invalid_{CANARY}", {"Retry-After": CANARY}),
    Reply(302, "", {"Location": f"https://x/{CANARY}"}),
    Reply(500, f"xoxb-{CANARY}"),
    Reply(200, f'{{"ok": "{CANARY}', promised=9),
    Reply(hang_up=True),
    Reply(429, f'{{"ok":false,"error":"ratelimited","u":"{CANARY}"}}'),
)


@every_notifier
def test_no_secret_leaks_on_any_way_of_failing(
    kind: Kind, everything_logged: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    for reply in (*ECHOES, kind.good):
        outcome, _ = send(kind, reply)
        said += [repr(outcome), str(outcome)]
    said += [repr(send(kind, Reply(hang=True), timeout=0.1)[0])] if kind.speaks_http else []
    said += [repr(send(kind, kind.good, allow_hosts=[])[0])] if kind.speaks_http else []
    notifier = kind.build("http://127.0.0.1:9")
    said += [repr(notifier), notifier.preview(a_delivery()), repr(notifier.send(a_delivery()))]
    notifier.close()
    checked = kind.plugin.settings.model_validate(kind.settings("http://127.0.0.1:9"))
    said += [repr(checked), str(checked), checked.model_dump_json()]
    said += [everything_logged.text, *capfd.readouterr()]

    for text in said:
        assert CANARY not in text
        assert SECRET.removeprefix("whsec_") not in text


@every_http_notifier
def test_an_exception_on_the_way_out_carries_no_secret(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("disk on fire")

    notifier = kind.build("http://127.0.0.1:9")
    monkeypatch.setattr("notifiers.outbound.Outbound.post", broken)

    with pytest.raises(RuntimeError) as fault:
        notifier.send(a_delivery())
    notifier.close()

    assert CANARY not in "".join(traceback.format_exception(fault.value))


@every_http_notifier
def test_wrong_settings_are_refused_without_showing_their_values(kind: Kind) -> None:
    for wrong in ({"allow_http": False}, {"timeout": -1}, {"colour": CANARY}, {"token": CANARY, "secret": CANARY}):
        with pytest.raises(ValidationError) as refusal:
            kind.build("http://127.0.0.1:9", **wrong)

        assert CANARY not in str(refusal.value)


# --- hostile events

# Forms that mean something to a chat, a page or a terminal. What carries event text over a wire holds none of them;
# to a terminal, angle brackets mean nothing.
ALIVE = re.compile(r"<!|<@|<#|<https?:|<script|\x1b|\x9b|\u202e|\u200b|[\ud800-\udfff]")


@every_notifier
@pytest.mark.parametrize("text", NAUGHTY)
def test_every_naughty_string_in_every_place_arrives_inert(
    kind: Kind, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    norm = dict.fromkeys(("action", "service", "outcome", "actor", "actor_type", "account", "region", "ip"), text)
    fields = {"norm": norm, text: text, "resourceName": text, "errorCode": text, "requestParameters": {text: [text]}}
    hostile = a_login(
        title=text, account=text, group={text: text}, fields=fields, evidence=text, description=text, runbook=text,
        matched=text, event_ids=(text,),
    )  # fmt: skip

    outcome, requests = send(kind, kind.good, a_delivery(hostile))

    assert isinstance(outcome, Delivered)
    for sent in [*(request.body.decode() for request in requests), capsys.readouterr().out.replace("<", "")]:
        assert not ALIVE.search(sent)
        assert len(sent) < 60_000


@every_notifier
def test_no_event_makes_a_notifier_raise(kind: Kind) -> None:
    notifier = kind.build("http://127.0.0.1:9", **({"allow_hosts": []} if kind.speaks_http else {}))

    @unhurried
    @given(hostile_alerts())
    def law(alert: Alert) -> None:
        outcome = notifier.send(a_delivery(alert))
        shown = notifier.preview(a_delivery(alert))

        assert isinstance(outcome, Refused if kind.speaks_http else Delivered)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u200b]", shown)

    law()
    notifier.close()
