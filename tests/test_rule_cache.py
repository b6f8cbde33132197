"""Rules from the cache are the rules of the files, or the files are read."""

from __future__ import annotations

import gc
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine import packs
from engine.errors import ConfigurationError
from engine.packs import cache, files, packed
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
    def reading(paths: object, sources: object) -> RuleSet:
        raise AssertionError(f"the files were parsed: {paths}")

    monkeypatch.setattr(cache, "load_files", reading)


def test_every_built_in_rule_comes_back_as_it_was() -> None:
    rules = packs.load()

    again = packed.decode(packed.encode(rules))

    assert again.rules == rules.rules
    assert again.lists == rules.lists
    assert [rule.prose for rule in again] == [rule.prose for rule in rules]
    assert [[found.tree for found, _ in rule.title.expressions()] for rule in again] == [
        [found.tree for found, _ in rule.title.expressions()] for rule in rules
    ]
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


@pytest.mark.parametrize("package", ["jmespath", "pydantic", "yaml"])
def test_other_code_does_not_believe_what_this_code_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    paths, folder = a_folder(tmp_path)
    cache.load(paths, folder)
    sources = files.gathered(paths)
    before = cache.key(paths, sources)
    real = Path.read_bytes

    def newer(path: Path) -> bytes:
        return real(path) + b"# 2" * (path.parent.name == package)

    monkeypatch.setattr(Path, "read_bytes", newer)

    assert cache.key(paths, sources) != before


def test_another_list_is_another_key(tmp_path: Path) -> None:
    paths, _ = a_folder(tmp_path)
    lists = tmp_path / "mine" / "lists"
    lists.mkdir()
    keys = set()
    for value in ("a", "b"):
        (lists / "names.yaml").write_text(f"name: names\ndescription: d\nvalues: [{value}]\n", encoding="utf-8")
        keys.add(cache.key(paths, files.gathered(paths)))

    assert len(keys) == 2


def test_a_kept_rule_equals_the_rule_it_was_made_from_from_both_sides(tmp_path: Path) -> None:
    paths, folder = a_folder(tmp_path)
    made = cache.load(paths, folder).rules[0]

    assert made == cache.load(paths, folder).rules[0]
    assert cache.load(paths, folder).rules[0] == made
    assert hash(made) == hash(cache.load(paths, folder).rules[0])
    assert cache.load(paths, folder).rules[0] != replace(made, description="another")


def test_a_kept_rule_can_be_changed_before_anybody_read_all_of_it(tmp_path: Path) -> None:
    paths, folder = a_folder(tmp_path)
    made = cache.load(paths, folder).rules[0]

    changed = replace(cache.load(paths, folder).rules[0], enabled=False)

    assert changed == replace(made, enabled=False)
    assert changed.title.render({"norm": {"actor": "ann"}}) == "A rule about ann"


def test_a_kept_rule_has_no_other_attributes_than_a_rule(tmp_path: Path) -> None:
    paths, folder = a_folder(tmp_path)
    cache.load(paths, folder)

    assert not hasattr(cache.load(paths, folder).rules[0], "nothing")


def test_rules_from_the_cache_need_neither_yaml_nor_models(tmp_path: Path) -> None:
    paths, folder = a_folder(tmp_path)
    cache.load(paths, folder)
    program = (
        "import sys; from pathlib import Path; from engine.packs import cache;"
        f" rules = cache.load({paths!r}, Path({str(folder)!r}));"
        " print(len(rules), rules.rules[0].description, sorted({'yaml', 'pydantic'} & set(sys.modules)))"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said == "1 it fires []\n"


def test_kept_rules_go_without_the_garbage_collector_which_does_not_see_them(tmp_path: Path) -> None:
    paths, folder = a_folder(tmp_path)
    cache.load(paths, folder)
    gc.collect()
    before = _kept_rules()
    rules = cache.load(paths, folder)
    assert rules.rules[0].title.render({}) == "A rule about -"
    gc.disable()
    try:
        assert _kept_rules() == before + 1
        del rules
        assert _kept_rules() == before
    finally:
        gc.enable()


def _kept_rules() -> int:
    gc.unfreeze()
    return sum(type(found) is packed.Kept for found in gc.get_objects())


def test_the_garbage_collector_goes_on_afterwards(tmp_path: Path) -> None:
    paths, folder = a_folder(tmp_path, RULE.replace("match: ", "match: ("))

    with pytest.raises(ConfigurationError):
        cache.load(paths, folder)

    assert gc.isenabled()


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
