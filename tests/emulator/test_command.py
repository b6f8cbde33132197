"""`tocsin emulator` as a person and a script use it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from engine.cli.emulator import duration, emulator
from tests.emulator.calling import ID, KEY, tc3_headers

KEYS = ["--secret-id", ID, "--secret-key", KEY]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and the first line of its stdout."""
    command = [sys.executable, "-m", "engine.cli", "emulator", *KEYS, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


def test_the_first_line_is_an_endpoint_that_answers_with_the_events_of_the_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.json"
    one.write_text(json.dumps({"eventID": "a", "eventName": "X", "eventTime": 1_600_000_000}))
    two.write_text(
        json.dumps({"Response": {"Events": [{"EventId": "b", "EventName": "Y", "EventTime": 1_600_000_001}]}})
    )
    options = ["--port", "0", "--replay", "--visibility-delay", "0s", "--fail", "limit=0", "slow=0.0"]

    with running(*options, "--events", str(one), str(two)) as (process, line):
        endpoint = line.rstrip("\n")
        assert endpoint.startswith("http://127.0.0.1:")
        now = int(time.time())
        body = json.dumps({"StartTime": now - 60, "EndTime": now}).encode()
        headers = tc3_headers(endpoint, "DescribeEvents", body, at=now)
        answer = httpx.post(endpoint, content=body, headers=headers, trust_env=False, verify=False)
        process.send_signal(signal.SIGTERM)
        rest, told = process.communicate(timeout=30)

    assert {event["EventId"] for event in answer.json()["Response"]["Events"]} == {"a", "b"}
    assert process.returncode == 0
    assert rest == ""
    assert told == "CloudAudit emulator: 2 events from 2 files; Ctrl-C ends it.\n"
    assert KEY not in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fail", "earthquake=0.1"], "no fault is called 'earthquake'"),
        (["--fail", "limit"], "--fail takes KIND=RATE"),
        (["--fail", "limit=0.7", "5xx=0.7"], "above 1"),
        (["--events", "nowhere.jsonl"], "there is no file 'nowhere.jsonl'"),
        (["--visibility-delay", "soon"], "'soon' is no duration"),
        (["--duplicate", "2"], "not in the range"),
    ],
)
def test_a_wrong_option_ends_with_2_and_says_what_is_wrong(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(emulator, [*KEYS, *arguments])

    assert result.exit_code == 2
    assert message in result.output


def test_a_port_that_is_taken_is_an_error_of_one_line(tmp_path: Path) -> None:
    with running() as (_, line):
        port = line.strip().rpartition(":")[2]
        result = CliRunner().invoke(emulator, [*KEYS, "--port", port])

    assert result.exit_code == 1
    assert result.output.startswith(f"Error: cannot listen on 127.0.0.1:{port}: ")


@pytest.mark.parametrize(
    ("text", "seconds"), [("4s", 4.0), ("500ms", 0.5), ("2m", 120.0), ("1h", 3600.0), ("0.25", 0.25), ("0", 0.0)]
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert duration(text) == seconds
