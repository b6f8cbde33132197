"""Slack messages keep every limit, and no value of an event pings, links or formats in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from inline_snapshot import snapshot
from slack_sdk.models.blocks import Block as SdkBlock

from engine.alert import Alert
from notifiers import slack_message
from notifiers.card import card
from notifiers.slack_message import INLINE_EVIDENCE, Mention, mention, problems
from tests.notifiers.samples import a_login, hostile_alerts, unhurried

Payload = dict[str, Any]
GROUP = Mention("usergroup", "S0123456789")


def all_messages(alert: Alert, ping: Mention | None = None) -> dict[str, Payload]:
    shown, short = card(alert, "oncall"), card(alert, "oncall", evidence_limit=INLINE_EVIDENCE)
    return {
        "parent": slack_message.parent(shown, ping),
        "reply": slack_message.reply(shown),
        "single": slack_message.single(short, ping),
        "plain parent": slack_message.plain_parent(shown, ping, "invalid_blocks"),
        "plain reply": slack_message.plain_reply(shown, "invalid_blocks"),
    }


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object with a type, at any depth."""
    if isinstance(value, dict):
        if "type" in value:
            yield value
        for inner in value.values():
            yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


def outside_code_spans(text: str) -> str:
    return re.sub(r"`[^`\n]+`", "", text)


# --- layout


def test_the_message_in_the_channel_is_this() -> None:
    assert slack_message.parent(card(a_login(), "oncall"), GROUP) == snapshot(
        {
            "text": "[CRITICAL] Root of 100000000001 signed in to the console from 203.0.113.162: root called ConsoleLogin in account 100000000001 from 203.0.113.162, result: ok, 2022-08-16 06:43:24 UTC",
            "mrkdwn": False,
            "blocks": [
                {
                    "type": "header",
                    "text": {
                        "type": "plain_text",
                        "text": "CRITICAL  Root of 100000000001 signed in to the console from 203.0.113.162",
                        "emoji": False,
                    },
                },
                {
                    "type": "rich_text",
                    "elements": [
                        {
                            "type": "rich_text_section",
                            "elements": [
                                {"type": "usergroup", "usergroup_id": "S0123456789"},
                                {"type": "text", "text": " "},
                                {"type": "text", "text": "root", "style": {"bold": True}},
                                {"type": "text", "text": " called "},
                                {"type": "text", "text": "ConsoleLogin", "style": {"code": True}},
                                {"type": "text", "text": " in account "},
                                {"type": "text", "text": "100000000001", "style": {"code": True}},
                                {"type": "text", "text": " from "},
                                {"type": "text", "text": "203.0.113.162", "style": {"code": True}},
                                {"type": "text", "text": ", result: "},
                                {"type": "text", "text": "ok", "style": {"code": True}},
                                {"type": "text", "text": ", "},
                                {
                                    "type": "date",
                                    "timestamp": 1660632204,
                                    "format": "{date_short_pretty} {time_secs}",
                                    "fallback": "2022-08-16 06:43:24 UTC",
                                },
                            ],
                        }
                    ],
                },
                {
                    "type": "section",
                    "fields": [
                        {
                            "type": "mrkdwn",
                            "text": """\
*Actor*
`root (root, MFA off)`\
""",
                            "verbatim": True,
                        },
                        {
                            "type": "mrkdwn",
                            "text": """\
*Action*
`ConsoleLogin (account)`\
""",
                            "verbatim": True,
                        },
                        {
                            "type": "mrkdwn",
                            "text": """\
*Target*
`account`\
""",
                            "verbatim": True,
                        },
                        {
                            "type": "mrkdwn",
                            "text": """\
*Source IP*
`203.0.113.162 (中国 江苏省 南京市 中国联通)`\
""",
                            "verbatim": True,
                        },
                        {
                            "type": "mrkdwn",
                            "text": """\
*Result*
`ok`\
""",
                            "verbatim": True,
                        },
                        {
                            "type": "mrkdwn",
                            "text": """\
*Events*
`1, at 2022-08-16 06:43:24 UTC`\
""",
                            "verbatim": True,
                        },
                    ],
                },
                {
                    "type": "context",
                    "elements": [
                        {
                            "type": "plain_text",
                            "text": "tencent.root.console_login v3f2a91 | T1078.004",
                            "emoji": False,
                        },
                        {
                            "type": "plain_text",
                            "text": "A-7F3KQ2M4XA | event to alert 75 s | sent via oncall",
                            "emoji": False,
                        },
                    ],
                },
                {
                    "type": "actions",
                    "elements": [
                        {
                            "type": "button",
                            "action_id": "runbook",
                            "text": {"type": "plain_text", "text": "Runbook", "emoji": False},
                            "url": "https://wiki.example.com/runbooks/root",
                        }
                    ],
                },
            ],
            "unfurl_links": False,
            "unfurl_media": False,
            "parse": "none",
            "link_names": False,
        }
    )


def test_the_message_in_the_thread_is_this() -> None:
    assert slack_message.reply(card(a_login(), "oncall")) == snapshot(
        {
            "text": "Why, evidence and what to check for A-7F3KQ2M4XA",
            "mrkdwn": False,
            "blocks": [
                {
                    "type": "rich_text",
                    "elements": [
                        {
                            "type": "rich_text_section",
                            "elements": [
                                {"type": "text", "text": "Why\n", "style": {"bold": True}},
                                {
                                    "type": "text",
                                    "text": "The root account owns everything and is not meant for daily work.\n",
                                },
                                {"type": "text", "text": "tencent.root.console_login v3f2a91 | T1078.004 matched:"},
                            ],
                        },
                        {
                            "type": "rich_text_preformatted",
                            "elements": [
                                {
                                    "type": "text",
                                    "text": "eventName == 'ConsoleLogin' && norm.actor_type == 'root' && norm.outcome == 'ok'",
                                }
                            ],
                        },
                        {
                            "type": "rich_text_section",
                            "elements": [
                                {"type": "text", "text": "Evidence", "style": {"bold": True}},
                                {"type": "text", "text": ", secrets replaced"},
                            ],
                        },
                        {
                            "type": "rich_text_preformatted",
                            "elements": [
                                {
                                    "type": "text",
                                    "text": """\
{"eventName": "ConsoleLogin",
 "eventTime": 1660632204,
 "userIdentity": {"type":"Root","userName":"root","accountId":"100000000001"},
 "sourceIPAddress": "203.0.113.162",
 "errorCode": "0",
 "resourceType": "account",
 "resources": ["*"],
 "eventSource": "account.tencentcloudapi.com",
 "eventRegion": "ap-guangzhou",
 "eventType": "ConsoleCall",
 "Location": "中国 江苏省 南京市 中国联通",
 "eventID": "00000000-0000-4000-8000-000000000003",
 "userAgent": "SDK_NODEJS_0.2.1",
 "requestParameters": {}}\
""",
                                }
                            ],
                        },
                        {
                            "type": "rich_text_section",
                            "elements": [
                                {"type": "text", "text": "What to check\n", "style": {"bold": True}},
                                {
                                    "type": "text",
                                    "text": """\
1. Ask the owner of the account.
2. Look at what root did in the hour after.\
""",
                                },
                            ],
                        },
                    ],
                }
            ],
            "unfurl_links": False,
            "unfurl_media": False,
            "parse": "none",
            "link_names": False,
        }
    )


def test_the_plain_fallback_is_this() -> None:
    assert slack_message.plain_parent(card(a_login(), "oncall"), GROUP, "invalid_blocks")["text"] == snapshot("""\
<!subteam^S0123456789>
*CRITICAL* `Root of 100000000001 signed in to the console from 203.0.113.162`
`root called ConsoleLogin in account 100000000001 from 203.0.113.162, result: ok, 2022-08-16 06:43:24 UTC`
Actor: `root (root, MFA off)`
Action: `ConsoleLogin (account)`
Target: `account`
Source IP: `203.0.113.162 (中国 江苏省 南京市 中国联通)`
Result: `ok`
Events: `1, at 2022-08-16 06:43:24 UTC`
Rule: `tencent.root.console_login v3f2a91 | T1078.004`
`A-7F3KQ2M4XA | event to alert 75 s | sent via oncall`
formatting failed: invalid_blocks\
""")


def test_without_a_link_there_is_no_button_and_with_one_it_only_opens_it() -> None:
    bare = slack_message.parent(card(a_login(references=()), "oncall"), None)
    linked = slack_message.parent(card(a_login(), "oncall"), None)

    assert not [one for one in objects(bare) if one["type"] in {"actions", "button"}]
    (button,) = [one for one in objects(linked) if one["type"] == "button"]
    assert button["url"] == "https://wiki.example.com/runbooks/root"


def test_a_time_that_slack_cannot_show_is_text() -> None:
    message = slack_message.parent(card(a_login(last_seen=10**15), "oncall"), None)

    assert not [one for one in objects(message) if one["type"] == "date"]
    assert problems(message) == []


# --- mentions


@pytest.mark.parametrize(
    ("text", "meant", "markup"),
    [
        ("here", Mention("broadcast", "here"), "<!here>"),
        ("@channel", Mention("broadcast", "channel"), "<!channel>"),
        ("<!channel>", Mention("broadcast", "channel"), "<!channel>"),
        ("S0123456789", Mention("usergroup", "S0123456789"), "<!subteam^S0123456789>"),
        ("<!subteam^S0123456789>", Mention("usergroup", "S0123456789"), "<!subteam^S0123456789>"),
        ("U0123456789", Mention("user", "U0123456789"), "<@U0123456789>"),
        ("<@W0123456789>", Mention("user", "W0123456789"), "<@W0123456789>"),
    ],
)
def test_a_mention_is_read_as_people_write_it(text: str, meant: Mention, markup: str) -> None:
    assert mention(text) == meant
    assert mention(text).markup.text == markup


@pytest.mark.parametrize("text", ["", "root", "#general", "<https://x|y>", "here there", "C0123456789"])
def test_what_mentions_nobody_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is no mention"):
        mention(text)


# --- laws


@unhurried
@given(hostile_alerts())
def test_every_message_of_every_alert_keeps_every_limit(alert: Alert) -> None:
    for name, message in all_messages(alert, GROUP).items():
        assert problems(message) == [], name


@unhurried
@given(hostile_alerts())
def test_no_value_of_an_event_pings_links_or_formats(alert: Alert) -> None:
    for name, message in all_messages(alert).items():
        for one in objects(message.get("blocks", [])):
            assert one["type"] not in {"user", "usergroup", "broadcast", "link", "emoji", "channel", "markdown"}, name
            if one["type"] == "mrkdwn":
                assert re.fullmatch(r"\*[A-Z][A-Za-z ]+\*\n", outside_code_spans(one["text"])), name
                assert one["verbatim"] is True
                assert not re.search(r"[<>]", one["text"])
            elif one["type"] in {"text", "plain_text"}:
                assert not re.search(r"[<>]", one["text"]), name
                assert one.get("emoji", False) is False
        assert not re.search(r"[<>]", message["text"]), name
        assert message["parse"] == "none"
        assert message["link_names"] is message["unfurl_links"] is message["unfurl_media"] is False
        if "blocks" in message:
            assert message["mrkdwn"] is False
            assert not re.search(r"[*`~]", message["text"]), name
        else:
            ours = outside_code_spans(message["text"]).replace(alert.severity.word.upper(), "")
            assert re.fullmatch(r"[A-Za-z_:*()\s]*", ours), name


@unhurried
@given(hostile_alerts())
def test_the_sdk_s_own_models_accept_every_block_that_they_know(alert: Alert) -> None:
    for message in all_messages(alert, GROUP).values():
        for block in SdkBlock.parse_all(message.get("blocks", [])):
            block.to_dict()


def test_a_mention_comes_only_from_configuration() -> None:
    pinging = all_messages(a_login(), GROUP)

    assert [one["usergroup_id"] for one in objects(pinging["parent"]) if one["type"] == "usergroup"] == ["S0123456789"]
    assert pinging["plain parent"]["text"].startswith("<!subteam^S0123456789>\n*CRITICAL* ")
    assert "<" not in pinging["parent"]["text"]


# --- the check of what Slack would refuse


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": [{"type": "button", "text": plain("Go"), "action_id": "a"} | more]}


def overflow(*options: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": [{"type": "overflow", "action_id": "o", "options": list(options)}]}


def confirmed(**more: Any) -> dict[str, Any]:
    confirm = {"title": plain("t"), "text": plain("t"), "confirm": plain("y"), "deny": plain("n")}
    return button(confirm=confirm | more)


OPTION = {"text": plain("x"), "value": "x"}
IMAGE = {"type": "image", "image_url": "https://x", "alt_text": "x"}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "header", "text": plain("x" * 151)},
        {"type": "header", "text": plain("😀" * 76)},
        {"type": "header", "text": plain("")},
        {"type": "header", "text": mrkdwn("x")},
        {"type": "section"},
        {"type": "section", "text": mrkdwn("")},
        {"type": "section", "text": mrkdwn("x" * 3_001)},
        {"type": "section", "fields": []},
        {"type": "section", "fields": [mrkdwn("x")] * 11},
        {"type": "section", "fields": [mrkdwn("x" * 2_001)]},
        {"type": "context", "elements": [mrkdwn("x")] * 11},
        {"type": "context", "elements": []},
        {"type": "actions", "elements": button()["elements"] * 26},
        button(text=plain("x" * 76)),
        button(text=mrkdwn("x")),
        button(value="x" * 2_001),
        button(url="https://" + "x" * 3_000),
        button(action_id="x" * 256),
        overflow(),
        overflow(*[OPTION] * 6),
        overflow(OPTION | {"text": plain("x" * 76)}),
        overflow(OPTION | {"value": "x" * 76}),
        confirmed(title=plain("x" * 101)),
        confirmed(text=plain("x" * 301)),
        confirmed(confirm=plain("x" * 31)),
        confirmed(deny=plain("x" * 31)),
        {"type": "divider", "block_id": "x" * 256},
        IMAGE | {"alt_text": "x" * 2_001},
        IMAGE | {"title": plain("x" * 2_001)},
        IMAGE | {"image_url": "https://" + "x" * 3_000},
        {"type": "markdown", "text": "x" * 12_001},
        {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]] * 101},
        {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 21]},
        {"type": "alert", "text": plain("x"), "level": "critical"},
        {"type": "card", "title": plain("x" * 151)},
        {"type": "card", "subtitle": plain("x" * 151)},
        {"type": "card", "body": plain("x" * 201)},
        {"type": "carousel", "elements": []},
        {"type": "carousel", "elements": [{"type": "card", "title": plain("x")}] * 11},
        {"type": "container", "child_blocks": [{"type": "divider"}] * 11},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": ""}]}]},
        {"type": "rich_text", "elements": []},
        {"type": "banner"},
    ],
)
def test_a_block_that_slack_would_refuse_is_named(block: dict[str, Any]) -> None:
    assert len(problems({"text": "x", "blocks": [block]})) >= 1


@pytest.mark.parametrize(
    "payload",
    [
        {"text": ""},
        {},
        {"text": "x" * 4_001},
        {"text": "x", "blocks": [{"type": "divider"}] * 51},
        {"text": "x", "blocks": [{"type": "divider", "block_id": "same"}] * 2},
        {"text": "x", "blocks": [{"type": "section", "text": mrkdwn("x" * 2_400)}] * 4},
        {"text": "x", "attachments": [{"text": "x"}] * 21},
        {"text": "x", "attachments": [{"text": "x" * 701}]},
        {"text": "x", "attachments": [{"text": "\n" * 6}]},
    ],
)
def test_a_message_that_slack_would_refuse_or_fold_is_named(payload: Payload) -> None:
    assert len(problems(payload)) == 1


def test_what_is_at_its_limit_is_fine() -> None:
    blocks = [
        {"type": "header", "text": plain("x" * 150)},
        {"type": "section", "text": mrkdwn("x" * 3_000)},
        {"type": "section", "fields": [mrkdwn("x" * 300)] * 10},
        {"type": "context", "elements": [mrkdwn("x")] * 9 + [IMAGE]},
        button(text=plain("x" * 75), value="x" * 2_000, url="https://" + "x" * 2_992, action_id="x" * 255),
        overflow(*[OPTION] * 5),
        confirmed(),
        IMAGE,
        {"type": "alert", "text": plain("x"), "level": "error"},
        {"type": "divider", "block_id": "x" * 255},
    ]

    assert problems({"text": "x" * 4_000, "blocks": blocks}) == []
