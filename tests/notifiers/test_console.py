"""The console: for a person at a terminal, whatever the terminal can do."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from rich.cells import cell_len

from engine.alert import Alert
from engine.delivery import Delivered, TryLater
from notifiers.console import PLUGIN, Console, Settings
from tests.notifiers.samples import a_delivery, a_login, hostile_alerts, unhurried


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_an_alert_reads_like_this() -> None:
    assert Console("console", Settings()).preview(a_delivery()) == snapshot("""\
 CRITICAL   Root of 100000000001 signed in to the console from 203.0.113.162
 root called ConsoleLogin in account 100000000001 from 203.0.113.162, result: ok, 2022-08-16
 06:43:24 UTC
 Actor      root (root, MFA off)
 Action     ConsoleLogin (account)
 Target     account
 Source IP  203.0.113.162 (中国 江苏省 南京市 中国联通)
 Result     ok
 Events     1, at 2022-08-16 06:43:24 UTC
 Why        eventName == 'ConsoleLogin' && norm.actor_type == 'root' && norm.outcome == 'ok'
 Rule       tencent.root.console_login v3f2a91 | T1078.004
 Check      1. Ask the owner of the account.
            2. Look at what root did in the hour after.
 Runbook    https://wiki.example.com/runbooks/root
 A-7F3KQ2M4XA | event to alert 75 s | sent via oncall
""")


def test_evidence_is_shown_when_asked_for() -> None:
    shown = Console("console", Settings(evidence=True)).preview(a_delivery())

    assert '"sourceIPAddress": "203.0.113.162"' in shown


def test_a_test_says_so_beside_the_severity() -> None:
    assert Console("console", Settings()).preview(a_delivery(a_login(test=True))).startswith(" CRITICAL (TEST) ")


def test_what_is_no_terminal_gets_no_escape_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    assert Console("console", Settings()).send(a_delivery()) == Delivered()

    written = capsys.readouterr()
    assert written.out.startswith(" CRITICAL ")
    assert "\x1b" not in written.out
    assert written.err == ""


def test_the_stream_can_be_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Console("console", Settings(stream="stderr")).send(a_delivery())

    assert capsys.readouterr().err.startswith(" CRITICAL ")


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)

    Console("console", Settings()).send(a_delivery())

    assert "\x1b[" in terminal.getvalue()


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")

    Console("console", Settings()).send(a_delivery())

    assert "\x1b" not in terminal.getvalue()


def test_a_stream_that_cannot_write_chinese_writes_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))

    assert Console("console", Settings()).send(a_delivery()) == Delivered()
    assert b"\\u4e2d\\u56fd" in raw.getvalue()


def test_a_closed_stream_is_a_reason_to_try_later(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    stream.close()
    monkeypatch.setattr("sys.stdout", stream)

    assert isinstance(Console("console", Settings(width=80)).send(a_delivery()), TryLater)


@unhurried
@given(hostile_alerts(), st.integers(40, 200))
def test_no_value_of_an_event_moves_the_cursor_colours_a_word_or_leaves_the_width(alert: Alert, width: int) -> None:
    shown = Console("console", Settings(evidence=True, width=width)).preview(a_delivery(alert))

    hidden = {character for character in shown if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert hidden <= {"\n"}
    assert max(cell_len(line) for line in shown.split("\n")) <= width


def test_markup_of_rich_is_shown_as_it_is() -> None:
    shown = Console("console", Settings()).preview(a_delivery(a_login(title="[bold red]x[/] [/foo] :skull:")))

    assert "[bold red]x[/] [/foo] :skull:" in shown


def test_the_plugin_builds_it_from_settings() -> None:
    assert isinstance(PLUGIN.build("console", PLUGIN.settings.model_validate({})), Console)
