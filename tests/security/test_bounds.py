"""One event costs a bounded amount of everything, whatever is in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from engine import kinds
from engine.alert import EVENT_IDS_KEPT, Alert, encode
from engine.dedup import merged
from engine.delivery import Delivery
from engine.event import Record
from engine.kinds.decoder import MAX_BYTES
from engine.rule import Severity
from notifiers import console, slack, webhook
from notifiers.text import length
from tests.samples import an_alert as small_alert

KIND = kinds.kind("tencent.cloudaudit", redaction_key=b"k" * 32)
LARGE: dict[str, Any] = {
    "one text of 4 MB": {"x": "<&`*" * 1_000_000},
    "100 texts of 40 kB": {f"k{number}": "x" * 40_000 for number in range(100)},
    "10,000 keys": {f"key-{number}": number for number in range(10_000)},
    "200,000 numbers": list(range(200_000)),
    "as deep as it may be": json.loads('{"a":' * 150 + "1" + "}" * 150),
    "JSON in JSON, 12 times": "x",
}
nested: Any = {"Password": "x" * 100}
for _ in range(12):
    nested = json.dumps({"a": nested})
LARGE["JSON in JSON, 12 times"] = nested


def an_alert(parameters: Any) -> Alert:
    event = {
        "eventID": "large",
        "eventName": "DeleteBucket",
        "eventTime": 1_790_000_000,
        "requestParameters": parameters,
        "userAgent": "a" * 100_000,
        "userIdentity": {"type": "CAMUser", "accountId": "100000000001", "userName": "ana"},
    }
    raw = json.dumps(event).encode()
    assert len(raw) < MAX_BYTES
    decoded = KIND.decode(Record(raw, "large:1")).event
    assert decoded is not None
    values: dict[str, Any] = {
        "id": "A-1",
        "rule_id": "r",
        "rule_version": "v",
        "severity": Severity.HIGH,
        "title": "t" * 100_000,
        "kind": "tencent.cloudaudit",
        "account": "100000000001",
        "group": {"userAgent": "a" * 100_000},
        "fingerprint": "f",
        "first_seen": 1,
        "last_seen": 1,
        "count": 1,
        "event_ids": tuple(f"{number:0100d}" for number in range(100)),
        "created": 1,
        "fields": decoded.fields,
        "evidence": KIND.evidence(raw),
        "description": "d" * 100_000,
        "runbook": "r" * 100_000,
        "references": ("https://wiki.example.com/" + "x" * 5_000,) * 50,
    }
    return Alert(**values)


every_large_event = pytest.mark.parametrize("parameters", LARGE.values(), ids=LARGE)


@every_large_event
def test_what_is_told_of_a_large_event_is_small(parameters: Any) -> None:
    alert = an_alert(parameters)
    delivery = Delivery("D-1", alert, "oncall")
    settings = webhook.Settings.model_validate({"url": "https://example.com", "unsigned": True})

    assert len(webhook.body(alert)) <= webhook.BODY
    assert len(webhook.body(alert, evidence=True)) <= webhook.BODY
    for plugin, given in (
        (slack.PLUGIN, {"token": "xoxb-1", "channel": "C0123456789"}),
        (webhook.PLUGIN, settings.model_dump(exclude_defaults=True) | {"url": "https://example.com"}),
        (console.PLUGIN, {"evidence": True}),
    ):
        notifier = plugin.build("oncall", plugin.settings.model_validate(given))
        assert length(notifier.preview(delivery)) < 100_000
        notifier.close()


def calls_made(work: Callable[[], object]) -> int:
    """How many Python calls and lines *work* takes: a cost that no busy machine changes."""
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return steps


@pytest.mark.parametrize(
    "grow",
    [
        lambda n: {f"k{number}": "v" for number in range(n)},
        lambda n: ["x"] * n,
        lambda n: "password=" * n,
        lambda n: '\\"' * n,
        lambda n: "{" * n,
        lambda n: "%25" * n,
        lambda n: json.dumps({f"k{number}": "v" for number in range(n)}),
        lambda n: "eyJ" * n,
        lambda n: "://u:" * n,
    ],
    ids=["keys", "items", "pairs", "escapes", "brackets", "percent", "nested", "tokens", "logins"],
)
def test_the_cost_of_decoding_grows_no_faster_than_the_event(grow: Callable[[int], Any]) -> None:
    def cost(size: int) -> int:
        raw = json.dumps(
            {
                "eventID": "e",
                "eventName": "DeleteBucket",
                "eventTime": 1_790_000_000,
                "requestParameters": {"x": grow(size)},
                "userIdentity": {"accountId": "100000000001"},
            }
        ).encode()
        event = KIND.decode(Record(raw, "p")).event
        assert event is not None
        return calls_made(lambda: (event.fields, KIND.evidence(raw)))

    small, large = cost(1_000), cost(4_000)

    assert large <= 6 * small


def test_an_alert_keeps_no_more_ids_than_it_may_however_often_its_story_grows() -> None:
    alert = small_alert()
    for number in range(3 * EVENT_IDS_KEPT):
        alert = merged(alert, small_alert(id=f"A-{number}", event_ids=(f"e{number}",)))

    assert len(alert.event_ids) == EVENT_IDS_KEPT
    assert alert.count == 3 * EVENT_IDS_KEPT + 1
    assert len(encode(alert)) < 10_000
