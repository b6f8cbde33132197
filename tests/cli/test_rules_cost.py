"""`tocsin rules cost`, as people see it."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from engine.cli.rules import rules


def test_without_an_event_it_says_so_and_prints_no_table(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("[]")

    result = CliRunner().invoke(rules, ["cost", str(tmp_path / "empty.json")])

    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr == "0 events of a kind that a rule looks at\n"
