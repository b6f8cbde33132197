"""Values that an attacker chose, on a terminal and in logs: shown, never obeyed, and no line that he wrote is ours."""

from __future__ import annotations

import io
import json
import logging
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given

from engine import kinds, logs, packs
from engine.cli import tocsin
from engine.cli.show import json_line, plain, rows
from engine.event import Page, Record
from engine.pipeline import Policy, ingest
from engine.route import Route
from engine.store.sqlite import open_store
from tests.notifiers.samples import NAUGHTY, texts, unhurried, values

RULES = """
id: hostile.any
title: "{eventName} by {userIdentity.userName} with {userAgent} on {resourceName}"
severity: high
status: stable
kind: tencent.cloudaudit
description: Tells what the event says.
match: eventSource == 'here'
group_by: [userAgent]
"""
BREAKS = """
id: hostile.breaks
title: breaks
severity: low
status: stable
kind: tencent.cloudaudit
description: A rule whose fault is told with the value.
match: starts_with(requestParameters.x, requestParameters.y)
"""


def obeyed(text: str, *, lines: bool = True) -> list[str]:
    """What in *text* a terminal would act on rather than show."""
    kept = " \n" if lines else " "
    return [c for c in text if c not in kept and unicodedata.category(c)[0] in "CZ"]


@unhurried
@given(texts)
def test_plain_text_holds_nothing_that_a_terminal_obeys(text: str) -> None:
    assert obeyed(plain(text), lines=False) == []


@unhurried
@given(values)
def test_a_line_of_json_is_inert_and_means_what_was_said(value: Any) -> None:
    text = json_line(value)

    assert obeyed(text, lines=False) == []
    assert json.dumps(json.loads(text), default=str) == json.dumps(json.loads(json.dumps(value, default=str)))


@unhurried
@given(texts, texts)
def test_a_table_has_as_many_lines_as_it_has_rows(one: str, two: str) -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        rows(("A", "B"), [(one, two), (two, one)])

    assert obeyed(out.getvalue()) == []
    assert out.getvalue().count("\n") == 3


@contextmanager
def logged(form: Any) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level, out = root.handlers[:], root.level, io.StringIO()
    try:
        with redirect_stderr(out):
            logs.configure("info", form)
            yield out
    finally:
        root.handlers[:] = before
        root.setLevel(level)


@pytest.mark.parametrize("form", ["json", "text"])
@unhurried
@given(text=texts)
def test_a_value_in_a_log_forges_no_line_and_moves_no_cursor(form: str, text: str) -> None:
    with logged(form) as out:
        logs.get().warning("could not read", error=text, inner={"reason": [text]})

    assert out.getvalue().count("\n") == 1
    assert [c for c in obeyed(out.getvalue()) if unicodedata.category(c) == "Cc"] == []


def hostile(event_id: str, text: str) -> bytes:
    event = {
        "eventID": event_id,
        "eventName": text[:2000] or "x",
        "eventTime": 1_790_000_000,
        "eventSource": "here",
        "errorCode": text[:2000],
        "userAgent": text,
        "resourceName": text,
        "sourceIPAddress": text[:2000],
        "requestParameters": {"x": 7, "y": text, text[:500]: text},
        "userIdentity": {"type": "CAMUser", "accountId": "100000000001", "userName": text},
    }
    return json.dumps(event).encode()


COMMANDS: dict[str, Callable[[Path, str], list[str]]] = {
    "alerts list": lambda folder, _: ["alerts", "list", "--store", f"sqlite://{folder}/tocsin.db"],
    "alerts list as json": lambda folder, _: [
        *("alerts", "list", "--format", "json", "--store", f"sqlite://{folder}/tocsin.db")
    ],
    "alerts show": lambda folder, alert: ["alerts", "show", alert, "--store", f"sqlite://{folder}/tocsin.db"],
    "alerts show as json": lambda folder, alert: [
        *("alerts", "show", alert, "--format", "json", "--store", f"sqlite://{folder}/tocsin.db")
    ],
    "deliveries list": lambda folder, _: ["deliveries", "list", "--store", f"sqlite://{folder}/tocsin.db"],
    "deliveries show": lambda folder, alert: [
        *("deliveries", "show", f"{alert}-hook", "--store", f"sqlite://{folder}/tocsin.db")
    ],
    "quarantine": lambda folder, _: ["events", "quarantine", "--store", f"sqlite://{folder}/tocsin.db"],
    "quarantine as json": lambda folder, _: [
        *("events", "quarantine", "--format", "json", "--store", f"sqlite://{folder}/tocsin.db")
    ],
    "faults": lambda folder, _: ["events", "faults", "--store", f"sqlite://{folder}/tocsin.db"],
    "why": lambda folder, _: ["why", "hostile-1", "--store", f"sqlite://{folder}/tocsin.db"],
    "why an id that is hostile itself": lambda folder, _: [
        *("why", "\x1b[31mred\n\x9b2J", "--store", f"sqlite://{folder}/tocsin.db")
    ],
    "scan": lambda folder, _: ["scan", "--rules", f"{folder}/rules", f"{folder}/events.jsonl"],
    "scan as json": lambda folder, _: [
        *("scan", "--rules", f"{folder}/rules", "--format", "jsonl", f"{folder}/events.jsonl")
    ],
    "explain": lambda folder, _: [*("explain", "hostile.any", f"{folder}/event.json", "--rules", f"{folder}/rules")],
    "explain a fault": lambda folder, _: [
        *("explain", "hostile.breaks", f"{folder}/event.json", "--rules", f"{folder}/rules")
    ],
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store, files and rules full of what is naughty, and the id of an alert in it."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "rules").mkdir()
    (folder / "rules" / "any.yaml").write_text(RULES, encoding="utf-8")
    (folder / "rules" / "breaks.yaml").write_text(BREAKS, encoding="utf-8")
    events = [hostile(f"hostile-{number}", text) for number, text in enumerate((*NAUGHTY, "\x1b]0;t\x07\x9b2J\u202e"))]
    events += [hostile(text, text) for text in NAUGHTY[:7]]
    broken = b'{"eventID": "x", "eventName": "\xc2\x9b2J\xe2\x80\xae\x1b[31m'
    (folder / "events.jsonl").write_bytes(b"\n".join([*events, broken]))
    (folder / "event.json").write_bytes(hostile("hostile-1", NAUGHTY[4] + NAUGHTY[5] + "\x9b2J\n"))
    policy = Policy(packs.load([str(folder / "rules")]), (Route(("hook",)),))
    store = open_store(str(folder / "tocsin.db"))
    page = Page(tuple(Record(raw, f"place {NAUGHTY[4]}") for raw in [*events, broken]))
    kind = kinds.kind("tencent.cloudaudit", redaction_key=store.redaction_key())
    ingest(page, "test", kind, policy, store, now=1_790_000_100.0)
    alert = store.alerts(rule_id="hostile.any")[0].id
    store.close()
    return folder, alert


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_command_writes_what_a_terminal_would_obey(
    command: Callable[[Path, str], list[str]], shown: tuple[Path, str]
) -> None:
    done = CliRunner().invoke(tocsin, command(*shown))

    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert done.output
    assert obeyed(done.output) == []
