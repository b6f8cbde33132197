"""Slack over the wire: what becomes of each answer, and that nothing is said twice or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from engine.delivery import Delivered, Outcome, Refused, TryLater
from engine.rule import Severity
from notifiers import slack_message
from notifiers.slack import BAD_FORM, PLUGIN, WHAT_TO_DO, Bot, Settings, Webhook, build
from tests.notifiers.fake_http import FakeHttp, FakeSlack, Reply, page, says
from tests.notifiers.samples import a_delivery, a_login

LOCAL: dict[str, Any] = {"allow_http": True, "allow_hosts": ["127.0.0.1"], "timeout": 5.0}


def bot(slack: FakeSlack, **more: Any) -> Bot:
    given = LOCAL | {"token": "xoxb-1-abc", "channel": "C0123456789", "base_url": slack.base_url} | more
    return Bot("oncall", Settings(**given))


def hook(server: FakeHttp, **more: Any) -> Webhook:
    return Webhook("oncall", Settings(**(LOCAL | {"url": f"{server.url}/services/T0/B0/abc"} | more)))


# --- a bot: the alert and its thread


def test_the_alert_is_posted_in_the_channel_and_its_reasons_in_the_thread() -> None:
    with FakeSlack() as slack:
        outcome = bot(slack).send(a_delivery())

    (parent,) = slack.parents()
    (reply,) = slack.replies()
    assert outcome == Delivered("C0123456789/1700000000.000001")
    assert reply["thread_ts"] == parent["ts"]
    assert parent["metadata"] == {
        "event_type": "tocsin_alert",
        "event_payload": {"delivery_id": "D-0000000001", "alert_id": "A-7F3KQ2M4XA"},
    }
    assert slack.received[0].headers["authorization"] == "Bearer xoxb-1-abc"


def test_what_takes_an_alert_back_stands_in_its_thread_and_in_the_channel() -> None:
    with FakeSlack() as slack:
        oncall = bot(slack)
        oncall.send(replace(a_delivery(), thread="C0123456789/1699999999.000100; evidence not posted: x"))
        oncall.send(replace(a_delivery(), thread="C9999999999/1699999999.000100"))

    messages = [json.loads(request.body) for request in slack.received]
    assert [message.get("thread_ts") for message in messages[:2]] == ["1699999999.000100"] * 2
    assert [message.get("reply_broadcast") for message in messages] == [True, None, None, None]


def test_a_critical_alert_pings_whom_the_configuration_names_and_others_ping_nobody() -> None:
    with FakeSlack() as slack:
        oncall = bot(slack, mention="S0123456789")
        oncall.send(a_delivery())
        oncall.send(a_delivery(a_login(severity=Severity.HIGH)))
        oncall.close()

    critical, high = slack.parents()
    assert "S0123456789" in str(critical)
    assert "S0123456789" not in str(high)


@pytest.mark.parametrize(
    "reply", [says(ok=False, error="ratelimited"), says(ok=False, error="fatal_error"), Reply(500), page()]
)
def test_a_thread_that_fails_is_told_in_the_receipt_and_never_posts_the_alert_again(reply: Reply) -> None:
    with FakeSlack() as slack:
        oncall = bot(slack)
        slack.next["chat.postMessage"] = [slack._keep, reply]
        outcome = oncall.send(a_delivery())
        oncall.close()

    assert isinstance(outcome, Delivered)
    assert outcome.receipt.startswith("C0123456789/1700000000.000001; evidence not posted: ")
    assert len(slack.parents()) == 1


def test_each_alert_is_two_messages_and_the_pace_allows_for_both() -> None:
    with FakeSlack() as slack:
        assert bot(slack).pace == timedelta(seconds=2)


# --- a bot: messages of a bad form


@pytest.mark.parametrize("code", sorted(BAD_FORM))
def test_a_message_that_is_refused_for_its_form_goes_out_as_plain_text_in_the_same_attempt(code: str) -> None:
    with FakeSlack() as slack:
        slack.fail("chat.postMessage", says(ok=False, error=code, errors=["no more than 50 items [json-pointer:/x]"]))
        outcome = bot(slack).send(a_delivery())

    (parent,) = slack.parents()
    assert isinstance(outcome, Delivered)
    assert "blocks" not in parent
    assert parent["text"].endswith(f"formatting failed: {code}")
    assert "metadata" in parent or "metadata" in code


def test_a_message_refused_in_both_forms_is_refused() -> None:
    with FakeSlack() as slack:
        slack.fail("chat.postMessage", says(ok=False, error="invalid_blocks"), says(ok=False, error="msg_too_long"))
        outcome = bot(slack).send(a_delivery())

    assert outcome == Refused("msg_too_long, as blocks and as plain text")
    assert slack.messages == []


def test_a_thread_that_is_refused_for_its_form_goes_out_as_plain_text() -> None:
    with FakeSlack() as slack:
        slack.next["chat.postMessage"] = [slack._keep, says(ok=False, error="invalid_blocks")]
        outcome = bot(slack).send(a_delivery())

    (reply,) = slack.replies()
    assert outcome == Delivered("C0123456789/1700000000.000001")
    assert "blocks" not in reply


def test_a_layout_that_breaks_does_not_swallow_the_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("layout")

    monkeypatch.setattr(slack_message, "parent", broken)
    with FakeSlack() as slack:
        outcome = bot(slack).send(a_delivery())

    assert isinstance(outcome, Delivered)
    assert slack.parents()[0]["text"].endswith("formatting failed: layout (KeyError)")


def test_a_message_over_a_limit_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    too_long = {"text": "x", "blocks": [{"type": "divider"}] * 51}
    monkeypatch.setattr(slack_message, "parent", lambda *_: too_long)
    with FakeSlack() as slack:
        outcome = bot(slack).send(a_delivery())

    assert isinstance(outcome, Delivered)
    assert slack.parents()[0]["text"].endswith("formatting failed: own check (51 blocks, at most 50)")


# --- a bot: answers

CONFIGURATION = (
    "channel_not_found", "not_in_channel", "is_archived", "invalid_auth", "not_authed", "account_inactive",
    "token_revoked", "missing_scope", "restricted_action", "no_permission", "ekm_access_denied",
)  # fmt: skip


@pytest.mark.parametrize("code", CONFIGURATION)
def test_what_a_person_must_put_right_is_refused_with_its_code(code: str) -> None:
    with FakeSlack() as slack:
        slack.fail("chat.postMessage", says(ok=False, error=code))
        outcome = bot(slack).send(a_delivery())

    assert outcome == Refused(f"{code}: {WHAT_TO_DO[code]}" if code in WHAT_TO_DO else code)
    assert len(slack.received) == 1


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (
            says(429, ok=False, error="ratelimited"),
            TryLater("rate limited (ratelimited)"),
        ),
        (
            Reply(429, '{"ok":false,"error":"ratelimited"}', {"Retry-After": "30"}),
            TryLater("rate limited (ratelimited)", after=timedelta(seconds=30)),
        ),
        (Reply(429, "", {"Retry-After": "30"}), TryLater("rate limited (HTTP 429)", after=timedelta(seconds=30))),
        (says(ok=False, error="rate_limited"), TryLater("rate limited (rate_limited)")),
        (says(ok=False, error="message_limit_exceeded"), TryLater("rate limited (message_limit_exceeded)")),
        (says(ok=False, error="internal_error"), TryLater("internal_error", ambiguous=True)),
        (says(ok=False, error="fatal_error"), TryLater("fatal_error", ambiguous=True)),
        (says(ok=False, error="service_unavailable"), TryLater("service_unavailable")),
        (says(ok=False, error="request_timeout"), TryLater("request_timeout")),
        (says(ok=False, error="a_code_from_the_future"), Refused("a_code_from_the_future")),
        (says(ok=False), Refused("HTTP 200 with an unknown error")),
        (says(ok=False, error="Not a code, xoxb-1-abc"), Refused("HTTP 200 with an unknown error")),
        (says(ok=True), TryLater("ok without a message's ts: no answer of Slack's", ambiguous=True)),
        (
            says(ok=True, channel="C1", ts=5),
            TryLater("ok without a message's ts: no answer of Slack's", ambiguous=True),
        ),
        (says(), TryLater("HTTP 200 with no answer of Slack's", ambiguous=True)),
        (page(), TryLater("HTTP 200 with a web page", ambiguous=True)),
        (Reply(200, "ok"), TryLater("HTTP 200 with no answer of Slack's", ambiguous=True)),
        (Reply(200, "[]"), TryLater("HTTP 200 with no answer of Slack's", ambiguous=True)),
        (Reply(200, "[" * 60_000), TryLater("HTTP 200 with no answer of Slack's", ambiguous=True)),
        (Reply(200, '{"ok":tr', promised=20), TryLater("HTTP 200 with no answer of Slack's", ambiguous=True)),
        (Reply(500), TryLater("HTTP 500", ambiguous=True)),
        (page(503), TryLater("HTTP 503", ambiguous=True)),
        (says(500, ok=False, error="invalid_auth"), TryLater("HTTP 500", ambiguous=True)),
        (Reply(408), TryLater("HTTP 408")),
        (Reply(302, headers={"Location": "/"}), Refused("HTTP 302: redirects are not followed")),
        (Reply(404), Refused("HTTP 404")),
    ],
)
def test_each_answer_has_one_meaning(reply: Reply, outcome: Outcome) -> None:
    with FakeSlack() as slack:
        slack.fail("chat.postMessage", reply)
        oncall = bot(slack)
        got = oncall.send(a_delivery())
        oncall.close()

    assert got == outcome
    assert len(slack.received) == 1


def test_an_answer_that_does_not_come_is_ambiguous() -> None:
    with FakeSlack() as slack:
        slack.fail("chat.postMessage", Reply(hang=True))
        outcome = bot(slack, timeout=0.7).send(a_delivery())

    assert outcome == TryLater("no answer in time", ambiguous=True)


def test_no_connection_is_not_ambiguous() -> None:
    with FakeSlack() as slack:
        oncall = bot(slack)

    outcome = oncall.send(a_delivery())

    assert isinstance(outcome, TryLater)
    assert not outcome.ambiguous


def test_every_request_of_the_sdk_goes_through_the_guarded_door() -> None:
    with FakeSlack() as slack:
        outcome = bot(slack, allow_hosts=[]).send(a_delivery())

    assert isinstance(outcome, Refused)
    assert "not public" in outcome.reason
    assert slack.received == []


# --- a bot: after an attempt of which nobody knows


def test_a_message_that_did_arrive_is_found_and_not_posted_again() -> None:
    with FakeSlack() as slack:
        oncall = bot(slack)
        slack.posted_but(Reply(hang_up=True))
        first = oncall.send(a_delivery(attempt=1))
        second = oncall.send(a_delivery(attempt=2, earlier_ambiguous=True))
        oncall.close()

    assert isinstance(first, TryLater)
    assert first.ambiguous
    assert second == Delivered("C0123456789/1700000000.000001; an earlier attempt had arrived")
    assert len(slack.parents()) == 1
    assert len(slack.replies()) == 1  # what the first attempt could not say any more


def test_a_message_found_with_its_thread_gets_no_second_one() -> None:
    with FakeSlack() as slack:
        oncall = bot(slack)
        oncall.send(a_delivery())
        oncall.send(a_delivery(attempt=2, earlier_ambiguous=True))
        oncall.close()

    assert len(slack.parents()) == 1
    assert len(slack.replies()) == 1


def test_a_message_that_did_not_arrive_is_posted() -> None:
    with FakeSlack() as slack:
        oncall = bot(slack)
        oncall.send(a_delivery(id="D-other"))
        outcome = oncall.send(a_delivery(attempt=2, earlier_ambiguous=True, queued=1660632300.0))
        oncall.close()

    assert outcome == Delivered("C0123456789/1700000000.000003")
    (history,) = slack.calls("conversations.history")
    assert history.form["oldest"] == str(1660632300 - 600)
    assert history.form["channel"] == "C0123456789"


def test_without_the_scope_to_look_it_is_posted_and_the_receipt_says_so() -> None:
    with FakeSlack() as slack:
        slack.fail("conversations.history", says(ok=False, error="missing_scope", needed="channels:history"))
        outcome = bot(slack).send(a_delivery(attempt=2, earlier_ambiguous=True))

    assert isinstance(outcome, Delivered)
    assert "could not be seen: missing_scope: the app needs channels:history" in outcome.receipt
    assert len(slack.parents()) == 1


def test_a_channel_known_only_by_name_cannot_be_looked_into() -> None:
    with FakeSlack() as slack:
        outcome = bot(slack, channel="#oncall").send(a_delivery(attempt=2, earlier_ambiguous=True))

    assert isinstance(outcome, Delivered)
    assert "needs the channel's id" in outcome.receipt


def test_a_look_that_fails_for_now_waits_a_few_attempts_and_then_a_repeat_is_better_than_silence() -> None:
    with FakeSlack() as slack:
        limited = Reply(429, '{"ok":false,"error":"ratelimited"}', {"Retry-After": "20"})
        slack.fail("conversations.history", limited, limited)
        oncall = bot(slack)
        early = oncall.send(a_delivery(attempt=2, earlier_ambiguous=True))
        late = oncall.send(a_delivery(attempt=4, earlier_ambiguous=True))
        oncall.close()

    assert isinstance(early, TryLater)
    assert early.ambiguous
    assert early.after == timedelta(seconds=20)
    assert isinstance(late, Delivered)
    assert len(slack.parents()) == 1


def test_a_long_history_is_read_page_by_page() -> None:
    carrying = {"event_type": "tocsin_alert", "event_payload": {"delivery_id": "D-0000000001"}}
    pages = [
        says(ok=True, messages=[{"ts": "3.0"}, "odd", None], response_metadata={"next_cursor": "next"}),
        says(ok=True, messages=[{"ts": "2.0", "metadata": carrying, "reply_count": 1}]),
    ]
    with FakeSlack() as slack:
        slack.fail("conversations.history", *pages)
        outcome = bot(slack).send(a_delivery(attempt=2, earlier_ambiguous=True))

    assert outcome == Delivered("C0123456789/2.0; an earlier attempt had arrived")
    assert slack.calls("conversations.history")[1].form["cursor"] == "next"


# --- an incoming webhook


def test_only_the_word_ok_is_success() -> None:
    with FakeHttp(Reply(200, "ok")) as server:
        outcome = hook(server).send(a_delivery())

    (request,) = server.received
    assert outcome == Delivered("ok")
    assert request.path == "/services/T0/B0/abc"
    assert slack_message.problems(request.json) == []
    assert "What to check" in str(request.json)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(200, "OK"), TryLater("HTTP 200 without Slack's ok", ambiguous=True)),
        (Reply(200, ""), TryLater("HTTP 200 without Slack's ok", ambiguous=True)),
        (Reply(200, "ok", promised=5), TryLater("HTTP 200 without Slack's ok", ambiguous=True)),
        (page(), TryLater("HTTP 200 without Slack's ok", ambiguous=True)),
        (Reply(202, "ok"), TryLater("HTTP 202 without Slack's ok", ambiguous=True)),
        (Reply(400, "user_not_found"), Refused("user_not_found")),
        (Reply(403, "action_prohibited"), Refused("action_prohibited")),
        (Reply(403, "invalid_token"), Refused("invalid_token: the webhook's URL is wrong")),
        (Reply(403, "posting_to_general_channel_denied"), Refused("posting_to_general_channel_denied")),
        (Reply(404, "no_service"), Refused("no_service: the webhook was deleted or its app removed")),
        (Reply(404, "no_team"), Refused("no_team: the workspace is gone")),
        (Reply(410, "channel_is_archived"), Refused("channel_is_archived: the channel is archived")),
        (page(404), Refused("HTTP 404 with an unknown error")),
        (
            Reply(429, '{"retry_after":1,"ok":false,"error":"rate_limited"}', {"Retry-After": "1"}),
            TryLater("rate limited (429)", after=timedelta(seconds=1)),
        ),
        (Reply(500, "rollup_error"), TryLater("rollup_error")),
        (Reply(503), TryLater("HTTP 503", ambiguous=True)),
    ],
)
def test_each_answer_of_a_webhook_has_one_meaning(reply: Reply, outcome: Outcome) -> None:
    with FakeHttp(reply) as server:
        oncall = hook(server)
        got = oncall.send(a_delivery())
        oncall.close()

    assert got == outcome
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "word",
    [
        "invalid_payload",
        "invalid_blocks",
        "invalid_blocks_format",
        "no_text",
        "too_many_attachments",
        "missing_text_or_fallback_or_attachments",
    ],
)
def test_a_form_that_the_webhook_refuses_goes_out_as_plain_text(word: str) -> None:
    with FakeHttp(Reply(400, word), Reply(200, "ok")) as server:
        outcome = hook(server).send(a_delivery())

    assert outcome == Delivered("ok")
    assert "blocks" not in server.received[1].json
    assert server.received[1].json["text"].endswith(f"formatting failed: {word}")


def test_a_webhook_s_requests_go_through_the_guarded_door() -> None:
    with FakeHttp(Reply(200, "ok")) as server:
        outcome = hook(server, allow_hosts=[]).send(a_delivery())

    assert isinstance(outcome, Refused)
    assert server.received == []


# --- settings


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "needs token and channel"),
        ({"token": "xoxb-1"}, "needs token and channel"),
        ({"channel": "C0123456789"}, "needs token and channel"),
        ({"token": "xoxb-1", "channel": "C1", "url": "https://hooks.slack.com/services/x"}, "excludes"),
        ({"token": "xapp-1-CANARY", "channel": "C0123456789"}, "not a bot token"),
        ({"token": "xoxb CANARY", "channel": "C0123456789"}, "white space"),
        ({"token": " ", "channel": "C0123456789"}, "is empty"),
        ({"token": "xoxb-1", "channel": "<!channel>"}, "not a channel"),
        ({"token": "xoxb-1", "channel": "C0123456789", "mention": "<https://x|y>"}, "no mention"),
        ({"token": "xoxb-1", "channel": "C0123456789", "base_url": "http://slack.example.test/"}, "not https"),
        ({"url": "http://hooks.slack.com/services/CANARY"}, "not https"),
        ({"url": "https://x:CANARY@hooks.slack.com/"}, "user name or password"),
        ({"url": "https://hooks.slack.com/x", "colour": "red"}, "Extra inputs"),
        ({"url": "https://hooks.slack.com/x", "timeout": 60.0}, "less than or equal to 25"),
    ],
)
def test_settings_that_cannot_work_are_errors_that_show_no_value(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refusal:
        Settings.model_validate(given)

    assert "CANARY" not in str(refusal.value)


def test_a_secret_from_a_file_may_end_in_a_line_end() -> None:
    settings = Settings.model_validate({"token": "xoxb-1\n", "channel": "C0123456789"})

    assert settings.token is not None
    assert settings.token.get_secret_value() == "xoxb-1"


def test_the_plugin_builds_a_bot_from_a_token_and_a_webhook_from_a_url() -> None:
    token = PLUGIN.settings.model_validate({"token": "xoxb-1", "channel": "C0123456789"})
    url = PLUGIN.settings.model_validate({"url": "https://hooks.slack.com/services/x"})

    assert isinstance(PLUGIN.build("oncall", token), Bot)
    assert isinstance(build("oncall", url), Webhook)  # type: ignore[arg-type]  # PLUGIN.settings is typed as BaseModel
