"""`tocsin sources` and `tocsin explain --state`, as people see them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from inline_snapshot import snapshot

from engine.cli.explain import explain
from engine.cli.sources import sources
from tests.test_correlate import COUNT, Guard, event


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store in which ann was told about, and bob is one match short."""
    guard = Guard(tmp_path, COUNT)
    guard.read(event("Fail", 0.5), until=1)
    guard.read(event("Fail", 1), event("Fail", 2), event("Fail", 2, actor="bob"), until=5)
    guard.read(event("Fail", 4.5, actor="bob"), until=6)
    guard.store.close()
    return f"sqlite:///{tmp_path}/tocsin.db"


def test_sources_shows_how_late_events_come(store: str) -> None:
    ran = CliRunner().invoke(sources, ["--store", store, "--services"], catch_exceptions=False)

    assert ran.output == snapshot("""\
SOURCE  READ UP TO            LAST POLL             EVENTS  LAG P50  P99    MOST   BEHIND P99.9  WATERMARK             OVERLAP  LATE  FOUND AGAIN
prod    2026-09-21T14:19:20Z  2026-09-21T14:19:20Z  5       3 min    4 min  4 min  29 s          2026-09-21T14:18:20Z  -        0     0
  ?                                                 4       3 min    4 min  4 min  29 s
""")


def test_sources_says_the_same_to_programs(store: str) -> None:
    ran = CliRunner().invoke(sources, ["--store", store, "--format", "json"], catch_exceptions=False)

    found = json.loads(ran.output)
    assert (found["source"], found["watermark"], found["windows"]) == ("prod", "2026-09-21T14:18:20Z", 2)
    assert found["lag"] == {"events": 4, "p50": 180.1, "p99": 239.7, "p99.9": 239.7, "most": 240.0}


def test_explain_shows_what_is_counted_and_what_is_missing(store: str, tmp_path: Path) -> None:
    options = ["mem.rule", "--state", "--rules", str(tmp_path / "rule.yaml"), "--store", store]

    ran = CliRunner().invoke(explain, options, catch_exceptions=False)

    assert ran.output == snapshot("""\
mem.rule remembers 2 groups
  norm.actor=ann (prod)
    counted   0 of 3 matches
    missing   3 more matches
    told      A-6B4JULNMNB
  norm.actor=bob (prod)
    counted   2 of 3 matches
    missing   1 more matches
    until     2026-09-21T14:27:50Z
""")


def test_explain_wants_an_event_or_the_state(tmp_path: Path, store: str) -> None:
    ran = CliRunner().invoke(explain, ["mem.rule", "--rules", str(tmp_path / "rule.yaml")])

    assert ran.exit_code == 2
    assert "EVENT_FILE" in ran.output
