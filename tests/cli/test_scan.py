"""`tocsin scan`, as people and scripts meet it."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot

from engine.cli.scan import scan

ROOT = Path(__file__).resolve().parents[2]
RULE = """\
id: mine.delete
title: "{eventName} by {norm.actor}"
severity: high
status: stable
description: Made up.
kind: tencent.cloudaudit
match: |
  eventName == 'DeleteUser' && length(requestParameters.List) > `1`
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rule.yaml").write_text(RULE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def event(number: int, listed: object = (1, 2)) -> str:
    identity = {"accountId": "1", "type": "CAMUser", "userName": "ann\x1b[31m"}
    fields = {"eventID": f"e{number}", "eventName": "DeleteUser", "eventTime": 1_700_000_000 + number}
    return json.dumps(fields | {"userIdentity": identity, "requestParameters": {"List": listed}}) + "\n"


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(scan, ["--rules", "rule.yaml", *arguments], input=stdin)


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "engine.cli", "scan", "--rules", "rule.yaml", *arguments]


def impatient(*arguments: str) -> list[str]:
    """As `program`, with other processes after two pieces of the input: a small input would be read before."""
    begin = "from engine import parallel; parallel.WARM = 2; from engine.cli import main; main()"
    return [sys.executable, "-c", begin, "scan", "--rules", "rule.yaml", *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **more}


def test_alerts_are_lines_and_the_rest_is_for_people() -> None:
    answer = run("-", stdin=event(1) + "{oops\n" + event(2, listed=7) + event(1))

    assert answer.exit_code == 0
    assert answer.stdout == snapshot("2023-11-14T22:13:21Z  HIGH      mine.delete  DeleteUser by ann\\u001b[31m\n")
    assert answer.stderr == snapshot("""\
-:2: not JSON: Expecting property name enclosed in double quotes at character 1
fault: mine.delete on event e2: match: length() wants string or array or object, here it has number: length(requestParameters.List)
2 events (1 repeated), 1 rules, 1 alerts of 1 matches (0 excepted), 1 faults, 1 undecodable records
""")


def test_jsonl_is_one_object_an_alert() -> None:
    answer = run("-", "--format", "jsonl", stdin=event(1) + event(2))

    assert [json.loads(line)["event_ids"] for line in answer.stdout.splitlines()] == [["e1"], ["e2"]]
    assert set(json.loads(answer.stdout.splitlines()[0])) == {
        "rule_id", "severity", "title", "event_ids", "first_seen", "last_seen", "count", "group", "fingerprint", "kind",
    }  # fmt: skip


@pytest.mark.parametrize("wrong", ["{oops\n", event(2, listed=7)])
def test_strict_makes_what_went_wrong_the_exit_code(wrong: str) -> None:
    assert run("-", stdin=event(1) + wrong).exit_code == 0
    assert run("--strict", "-", stdin=event(1) + wrong).exit_code == 1
    assert run("--strict", "-", stdin=event(1)).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("missing.jsonl",), 74, "missing.jsonl: No such file or directory"),
        (("--rules", "missing.yaml", "rule.yaml"), 78, "missing.yaml"),
        (("--jobs", "-1", "rule.yaml"), 2, "--jobs"),
    ],
)
def test_errors_name_what_is_wrong(folder: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    answer = subprocess.run(
        program(*arguments), cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )

    assert answer.returncode == code
    assert says in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_reader_that_has_seen_enough_is_no_error(folder: Path, jobs: str) -> None:
    (folder / "many.jsonl").write_text("".join(event(number) for number in range(3000)))
    process = subprocess.Popen(
        impatient("--jobs", jobs, "many.jsonl"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()

    assert process.stderr.read() == b""
    assert process.wait() == 0
    process.stderr.close()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_alert_of_a_pipe_is_shown_before_the_pipe_ends_and_ctrl_c_ends_it_all(folder: Path, jobs: str) -> None:
    process = subprocess.Popen(
        impatient("--jobs", jobs, "-"),
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(event(1).encode())
        process.stdin.flush()
        assert b"mine.delete" in process.stdout.readline()
        if jobs == "2":
            number = 2  # a pipe is read as it comes, and others begin after its first pieces
            while not _children(process.pid):
                process.stdin.write(event(number := number + 1).encode())
                process.stdin.flush()
                time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them

        process.stdout.close()
        assert process.wait() == 130
        assert process.stderr.read() == b"interrupted\n"


def _children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()


def test_two_jobs_print_what_one_prints(folder: Path) -> None:
    lines = [event(number % 2500, listed=[1] * (number % 3) + ["x" * 1000]) for number in range(4000)]
    (folder / "1.jsonl").write_text("\n".join([*lines[:3000], "{oops", *lines[3000:]]))
    (folder / "2.jsonl").write_text("\ufeff" + "\r\n".join(lines[100:]) + "\nnothing")

    one, two = (
        subprocess.run(
            impatient("--jobs", jobs, "--format", "jsonl", "1.jsonl", "2.jsonl"),
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        for jobs in ("1", "2")
    )

    assert one.stdout == two.stdout
    assert one.stderr == two.stderr
    assert one.stdout.count("\n") == 1666
    assert "1.jsonl:6001: " in one.stderr


@pytest.mark.parametrize(
    ("closed", "code", "told"),
    [(">&-", 74, "tocsin: standard output: "), ("<&-", 74, "tocsin: standard input: "), ("2>&-", 0, "")],
)
def test_a_standard_stream_that_is_closed_is_no_traceback(folder: Path, closed: str, code: int, told: str) -> None:
    """Schedulers start programs so; 1 would mean findings."""
    (folder / "events.jsonl").write_text(event(1))
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *program("-" if closed == "<&-" else "events.jsonl")]

    ended = subprocess.run(shell, cwd=folder, env=environment(), capture_output=True, text=True, check=False)

    assert ended.returncode == code
    assert ended.stderr.startswith(told)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("terminal", "bar"), [("xterm", True), ("dumb", False)], ids=["a terminal", "one that cannot draw"]
)
def test_a_progress_bar_is_drawn_only_on_a_terminal_that_can(folder: Path, terminal: str, bar: bool) -> None:
    (folder / "many.jsonl").write_text("".join(event(number, listed=[]) for number in range(20_000)) + event(1 << 20))
    near, far = pty.openpty()
    process = subprocess.Popen(
        program("many.jsonl"),
        cwd=folder,
        env=environment(TERM=terminal, NO_COLOR="1"),
        stdout=subprocess.PIPE,
        stderr=far,
        text=True,
    )
    os.close(far)
    assert process.stdout is not None
    shown = _all_of(near)

    assert process.stdout.read().count("mine.delete") == 1  # the bar is not in the data
    assert process.wait() == 0
    assert (b"MB" in shown) is bar
    assert b"20001 events" in shown
    process.stdout.close()


def _all_of(terminal: int) -> bytes:
    shown = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    return shown
