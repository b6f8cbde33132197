"""Exceptions on the path: what they hide is counted, and something of a new kind is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from engine import kinds, packs
from engine.cli.exceptions import exceptions
from engine.event import Cursor, Page, Record
from engine.exceptions import keys
from engine.kinds import Kind
from engine.pipeline import Policy, ingest
from engine.route import Route
from engine.store.sqlite import SqliteStore, open_store

NOW = float(int(time.time()))  # the command line reads the real clock
YESTERDAY = f"{datetime.fromtimestamp(NOW, UTC) - timedelta(days=1):%Y-%m-%d}"
RULE = """\
id: test.deleted
title: A bucket was deleted
severity: low
kind: tencent.cloudaudit
match: eventName == 'DeleteBucket'
unless:
  - match: norm.actor == 'backup'
    reason: the nightly backup
    owner: secops@example.com
    expires: EXPIRES
"""


@dataclass
class Guard:
    """A store, and the rule of this file."""

    folder: Path
    store: SqliteStore
    kind: Kind
    policy: Policy

    def see(self, event_id: str, **fields: Any) -> None:
        event = {
            "eventID": event_id,
            "eventName": "DeleteBucket",
            "eventTime": int(NOW),
            "errorCode": "0",
            "userIdentity": {"type": "CAMUser", "accountId": "1", "userName": "backup"},
            "sourceIPAddress": "203.0.113.7",
        }
        page = Page((Record(json.dumps(event | fields).encode()),), Cursor(datetime.fromtimestamp(NOW, UTC)))
        ingest(page, "prod", self.kind, self.policy, self.store, now=NOW)

    def told(self) -> list[str]:
        return sorted(alert.rule_id for alert in self.store.alerts())

    def listed(self) -> tuple[int, list[Mapping[str, Any]]]:
        words = ["--rules", str(self.folder / "deleted.yaml"), "--store", f"sqlite://{self.folder / 't.db'}"]
        ran = CliRunner().invoke(exceptions, [*words, "--format", "json"], catch_exceptions=False)
        return ran.exit_code, [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    yield from guarded(tmp_path, "2099-01-01")


def guarded(folder: Path, expires: str) -> Iterator[Guard]:
    (folder / "deleted.yaml").write_text(RULE.replace("EXPIRES", expires))
    rules = packs.load([str(folder / "deleted.yaml")])
    store = open_store(str(folder / "t.db"))
    store.exceptions_loaded(keys(rules), time.time())
    kind = kinds.kind("tencent.cloudaudit", redaction_key=store.redaction_key())
    yield Guard(folder, store, kind, Policy(rules, (Route(("oncall",)),)))
    store.close()


def test_what_is_hidden_is_counted_and_not_told(guard: Guard) -> None:
    guard.see("e1")
    guard.see("e2")
    guard.see("e2")

    code, (listed,) = guard.listed()

    assert guard.told() == []
    assert (listed["hidden"], listed["reason"], listed["owner"]) == (2, "the nightly backup", "secops@example.com")
    assert guard.store.counts()["verdict.excepted"] == 2
    assert (code, listed["complaints"]) == (0, [])


def test_something_of_a_new_kind_is_told_once_until_a_person_has_looked(guard: Guard) -> None:
    guard.see("e1")
    guard.see("e2", sourceIPAddress="198.51.100.9")
    guard.see("e3", sourceIPAddress="198.51.100.10")

    (alert,) = guard.store.alerts()
    (delivery,) = guard.store.deliveries()
    _, (listed,) = guard.listed()
    accepted = CliRunner().invoke(
        exceptions, ["--accept", listed["key"], "--store", f"sqlite://{guard.folder / 't.db'}"], catch_exceptions=False
    )

    assert (alert.rule_id, delivery.destination) == ("tocsin.meta.exception_hides_new", "oncall")
    assert "network: 198.51.100.0/24" in alert.description
    assert "the nightly backup" in alert.description
    assert listed["new"] == ["network: 198.51.100.0/24"]
    assert accepted.exit_code == 0
    assert guard.listed()[1][0]["new"] == []


def test_an_exception_that_has_expired_hides_nothing_and_the_next_alert_says_so(tmp_path: Path) -> None:
    for guard in guarded(tmp_path, YESTERDAY):
        guard.see("e1")

        (alert,) = guard.store.alerts()
        code, (listed,) = guard.listed()

        assert alert.rule_id == "test.deleted"
        assert alert.notes == (
            f"an exception of this rule expired on {YESTERDAY}: the nightly backup (secops@example.com)",
        )
        assert code == 1
        assert any(f"expired on {YESTERDAY}" in complaint for complaint in listed["complaints"])


def test_an_unknown_key_cannot_be_accepted(guard: Guard) -> None:
    words = ["--accept", "E-nothing", "--store", f"sqlite://{guard.folder / 't.db'}"]
    assert "no exception has the key" in str(CliRunner().invoke(exceptions, words).exception)
