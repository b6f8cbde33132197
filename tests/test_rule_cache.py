"""Rules from the cache are the rules of the files, or the files are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import packs
from engine.errors import ConfigurationError
from engine.packs import cache
from engine.rule import RuleSet

RULE = """\
id: test.rule
title: A rule about {norm.actor}
severity: high
status: stable
kind: tencent.cloudaudit
description: it fires
match: eventName == 'StopLogging' && norm.outcome == 'ok'
"""


def a_folder(tmp_path: Path, rule: str = RULE) -> tuple[list[str], Path]:
    rules = tmp_path / "mine"
    rules.mkdir(exist_ok=True)
    (rules / "rule.yaml").write_text(rule, encoding="utf-8")
    return [str(rules)], tmp_path / "cache"


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("rules-*.bin"))


def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def reading(paths: object) -> RuleSet:
        raise AssertionError(f"the files were read: {paths}")

    monkeypatch.setattr(cache, "load_files", reading)


def test_every_built_in_rule_comes_back_as_it_was() -> None:
    rules = packs.load()

    again = cache.decode(cache.encode(rules))

    assert again.rules == rules.rules
    assert again.lists == rules.lists
    assert [rule.match.tree for rule in again] == [rule.match.tree for rule in rules]
    assert [rule.match.place for rule in again] == [rule.match.place for rule in rules]


def test_the_second_time_no_file_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, folder = a_folder(tmp_path)
    first = cache.load(paths, folder)
    unread(monkeypatch)

    second = cache.load(paths, folder)

    assert second.rules == first.rules
    assert second.rules[0].match.holds({"eventName": "StopLogging", "norm": {"outcome": "ok"}})


def test_a_changed_rule_is_read_again(tmp_path: Path) -> None:
    paths, folder = a_folder(tmp_path)
    cache.load(paths, folder)
    a_folder(tmp_path, RULE.replace("high", "low"))

    assert cache.load(paths, folder).rules[0].severity.word == "low"


def test_a_new_file_beside_the_others_is_seen(tmp_path: Path) -> None:
    paths, folder = a_folder(tmp_path)
    cache.load(paths, folder)
    (tmp_path / "mine" / "other.yaml").write_text(RULE.replace("test.rule", "test.other"), encoding="utf-8")

    assert len(cache.load(paths, folder)) == 2


def test_other_code_does_not_believe_what_this_code_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, folder = a_folder(tmp_path)
    cache.load(paths, folder)
    before = cache.key(paths)

    monkeypatch.setattr(cache, "version", lambda _: "0.0.0")

    assert cache.key(paths) != before


def test_what_is_wrong_is_said_every_time(tmp_path: Path) -> None:
    paths, folder = a_folder(tmp_path, RULE.replace("match: ", "match: ("))

    for _ in range(2):
        with pytest.raises(ConfigurationError):
            cache.load(paths, folder)
    assert kept(folder) == []


@pytest.mark.parametrize("damage", ["cut", "turned", "emptied"])
def test_a_damaged_file_is_not_believed(tmp_path: Path, damage: str) -> None:
    paths, folder = a_folder(tmp_path)
    first = cache.load(paths, folder)
    (file,) = kept(folder)
    data = file.read_bytes()
    file.write_bytes({"cut": data[:-3], "turned": data[:-3] + b"xyz", "emptied": b""}[damage])

    assert cache.load(paths, folder).rules == first.rules


@pytest.mark.parametrize("who", ["file", "folder"])
def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path, who: str) -> None:
    paths, folder = a_folder(tmp_path)
    cache.load(paths, folder)
    (file,) = kept(folder)
    (file if who == "file" else folder).chmod(0o777)

    assert cache._kept(file) is None


def test_only_this_user_can_read_it(tmp_path: Path) -> None:
    paths, folder = a_folder(tmp_path)
    cache.load(paths, folder)

    assert [file.stat().st_mode & 0o777 for file in kept(folder)] == [0o600]


def test_without_a_place_to_write_the_rules_are_loaded_all_the_same(tmp_path: Path) -> None:
    paths, _ = a_folder(tmp_path)
    (tmp_path / "a file").touch()

    assert len(cache.load(paths, tmp_path / "a file" / "cache")) == 1


def test_old_files_go(tmp_path: Path) -> None:
    for number in range(cache.KEPT + 3):
        paths, folder = a_folder(tmp_path, RULE.replace("it fires", f"it fires {number}"))
        cache.load(paths, folder)

    assert len(kept(folder)) == cache.KEPT
