"""Alerts to send: one as from life, and as many hostile ones as hypothesis can think of."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from engine.alert import Alert
from engine.delivery import Delivery
from engine.rule import Severity

EVENT: dict[str, Any] = {
    "eventName": "ConsoleLogin",
    "eventTime": 1660632204,
    "eventType": "ConsoleCall",
    "eventSource": "account.tencentcloudapi.com",
    "eventRegion": "ap-guangzhou",
    "eventID": "00000000-0000-4000-8000-000000000003",
    "errorCode": "0",
    "resourceType": "account",
    "resources": ["*"],
    "sourceIPAddress": "203.0.113.162",
    "Location": "中国 江苏省 南京市 中国联通",
    "userAgent": "SDK_NODEJS_0.2.1",
    "requestParameters": {},
    "userIdentity": {"type": "Root", "userName": "root", "accountId": "100000000001"},
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
}


def a_login(**facts: Any) -> Alert:
    """Root signed in to the console without a second factor."""
    values: dict[str, Any] = {
        "id": "A-7F3KQ2M4XA",
        "rule_id": "tencent.root.console_login",
        "rule_version": "3f2a91",
        "severity": Severity.CRITICAL,
        "title": "Root of 100000000001 signed in to the console from 203.0.113.162",
        "kind": "tencent.cloudaudit",
        "account": "100000000001",
        "group": {"norm.account": "100000000001", "norm.ip": "203.0.113.162"},
        "fingerprint": "0f" * 16,
        "first_seen": 1660632204,
        "last_seen": 1660632204,
        "count": 1,
        "event_ids": ("00000000-0000-4000-8000-000000000003",),
        "created": 1660632279,
        "fields": EVENT,
        "evidence": '{"EventName":"ConsoleLogin","EventId":"00000000-0000-4000-8000-000000000003"}',
        "description": "The root account owns everything and is not meant for daily work.",
        "matched": "eventName == 'ConsoleLogin' && norm.actor_type == 'root' && norm.outcome == 'ok'",
        "runbook": "1. Ask the owner of the account.\n2. Look at what root did in the hour after.",
        "references": ("https://wiki.example.com/runbooks/root",),
        "techniques": ("T1078.004",),
    }
    return Alert(**(values | facts))


def a_delivery(alert: Alert | None = None, **facts: Any) -> Delivery:
    values: dict[str, Any] = {"id": "D-0000000001", "alert": alert or a_login(), "destination": "oncall"}
    return Delivery(**(values | facts))


NAUGHTY = (
    "<!channel> <!here> <!everyone> <!subteam^S0123456> <@U0123456> <#C0123456>",
    "<https://evil.example|console.tencentcloud.com> https://evil.example evil.example",
    "*bold* _it_ ~gone~ `code` ```block``` > quote :skull: &lt;!here&gt; &amp;",
    "root\n*Verdict:* benign\r\nResult: ok\x85\u2028",
    "\x1b[2J\x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \x9b31m \x1b]52;c;aGk=\x07 \x08\x7f",
    "admin\u202egnp.exe \u2066hidden\u2069 zero\u200bwidth \ufeff\u2060\u00ad\U000e0041 \u3164",
    "[bold red]x[/bold red] [/foo] [link=https://evil.example]y[/link] \\[x]",
    "a" + "\u0301" * 300,
    "\ud800 lone \udfff",
    "&" * 100_000,
    "😀" * 5_000,
    "`" * 4_000,
    "\n" * 4_000,
    "",
    " ",
)

# A slow machine is no fault of the code: laws are not timed.
unhurried = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))

texts = st.one_of(
    st.sampled_from(NAUGHTY),
    st.text(st.one_of(st.characters(), st.sampled_from("<>&`*_~:@#!|\\[]\x1b\x9b\u202e\ud800\n")), max_size=60),
    st.lists(st.sampled_from(NAUGHTY[:9]), max_size=3).map("".join),
)
scalars = st.one_of(texts, st.none(), st.booleans(), st.integers(), st.floats())
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
NORM = ("action", "service", "outcome", "actor", "actor_type", "account", "region", "ip", "time", "mfa")
FIELDS = (
    "eventName",
    "errorCode",
    "resourceName",
    "resources",
    "resourceType",
    "Location",
    "requestParameters",
    "x<y>",
)
moments = st.one_of(st.integers(0, 4_000_000_000), st.sampled_from([-1, 10**12, 10**18]))


@st.composite
def hostile_alerts(draw: st.DrawFn) -> Alert:
    """Everything that an event can influence is hostile; what the rule's author wrote is only long."""
    fields = draw(st.dictionaries(st.sampled_from(FIELDS), values, max_size=4))
    fields["norm"] = draw(st.dictionaries(st.sampled_from(NORM), values, max_size=len(NORM)))
    return a_login(
        severity=draw(st.sampled_from(Severity)),
        title=draw(texts),
        account=draw(texts),
        group=draw(st.dictionaries(texts, values, max_size=2)),
        first_seen=draw(moments),
        last_seen=draw(moments),
        created=draw(moments),
        count=draw(st.integers(1, 10**6)),
        event_ids=tuple(draw(st.lists(texts, max_size=3))),
        fields=fields,
        evidence=draw(texts),
        description=draw(texts),
        runbook=draw(texts),
        matched=draw(texts),
        test=draw(st.booleans()),
    )
