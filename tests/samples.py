"""Values that many tests need, complete and boring; a test names only what it is about."""

from __future__ import annotations

from typing import Any

from engine.alert import Alert
from engine.event import Event, Fields, Identity
from engine.rule import Severity


def an_alert(**facts: Any) -> Alert:
    """An alert about a root sign-in."""
    values: dict[str, Any] = {
        "id": "A-1",
        "rule_id": "tencent.root.console_login",
        "rule_version": "v1",
        "severity": Severity.HIGH,
        "title": "Root signed in",
        "kind": "tencent.cloudaudit",
        "account": "100000000001",
        "group": {},
        "fingerprint": "f1",
        "first_seen": 100,
        "last_seen": 100,
        "count": 1,
        "event_ids": ("e1",),
        "created": 1000,
        "fields": {"eventName": "ConsoleLogin", "norm": {"actor": "root", "ip": "203.0.113.7"}},
    }
    return Alert(**(values | facts))


def an_event(fields: Fields | None = None, *, event_id: str = "e1", time: int = 1000) -> Event:
    """An event with exactly these fields."""
    identity = Identity("tencent.cloudaudit", "100000000001", event_id)
    return Event(identity, time=time, name="ConsoleLogin", raw=b"{}", decode=lambda _: fields or {})
