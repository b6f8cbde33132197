"""Events for the tests of kinds: the public examples, and small ones built in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.event import Fields, Record
from engine.kinds import Decoded
from engine.kinds.aws_cloudtrail import AwsCloudTrail
from engine.kinds.tencent_cloudaudit import TencentCloudAudit

EVENTS = Path(__file__).parent / "events"
TENCENT = TencentCloudAudit(b"the key of these tests")
AWS = AwsCloudTrail(b"the key of these tests")


def outer_events(name: str) -> list[dict[str, Any]]:
    """The outer events in an example file."""
    document = json.loads((EVENTS / name).read_text())
    document = document.get("Response", document)
    events: list[dict[str, Any]] = document.get("Events", [document])
    return events


def fields_of(name: str) -> Fields:
    """The fields of the first event in an example file, as rules see it."""
    return decoded(outer_events(name)[0]).event.fields  # type: ignore[union-attr]  # a missing event fails the test


def decoded(value: Any) -> Decoded:
    """What becomes of *value*: bytes as they are, anything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    return TENCENT.decode(Record(raw, "test:1"))


def outer(inner: Any, **changes: Any) -> dict[str, Any]:
    """An outer event around *inner*."""
    return {
        "EventId": "11111111-2222-4333-8444-555555555555",
        "EventName": "RunInstances",
        "EventTime": "1680513809",
        "AccountID": 100000000001,
        "Username": "alice",
        "ErrorCode": 0,
        "SourceIPAddress": "203.0.113.7",
        "CloudAuditEvent": inner if isinstance(inner, str) else json.dumps(inner),
        **changes,
    }


def inner(**changes: Any) -> dict[str, Any]:
    """A small inner event."""
    return {
        "eventID": "11111111-2222-4333-8444-555555555555",
        "eventName": "RunInstances",
        "eventTime": 1680513809,
        "userIdentity": {"type": "CAMUser", "accountId": "100000000001", "principalId": "100000000048"},
        **changes,
    }
