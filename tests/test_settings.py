"""tocsin.yaml: what it may say, and how it is told that it says something wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from engine.errors import ConfigurationError
from engine.settings import Loaded, load

GOOD = """\
store: sqlite:///./tocsin.db
sources:
  - {name: prod, type: tencent_cloudaudit, region: ap-guangzhou, every: 60s}
notifiers:
  - {name: oncall, type: slack, token: {env: SLACK_BOT_TOKEN}, channel: C0123456789}
  - {name: terminal, type: console}
routes:
  - {match: "severity == 'critical'", to: [oncall, terminal]}
  - {to: [terminal]}
"""
TOKEN = "xoxb-123456789012-canary"


def read(text: str, tmp_path: Path, **environment: str) -> Loaded:
    path = tmp_path / "tocsin.yaml"
    path.write_text(text)
    return load(path, environment={"SLACK_BOT_TOKEN": TOKEN} | environment)


def faults(text: str, tmp_path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(text, tmp_path)
    return [f"{p.place.line}:{p.place.column}: {p.message}" for p in caught.value.problems]


def test_a_good_configuration_is_read_with_its_defaults(tmp_path: Path) -> None:
    loaded = read(GOOD, tmp_path)
    (source,) = loaded.settings.sources
    assert source.every == timedelta(seconds=60)
    assert (source.overlap.least, source.overlap.most) == (timedelta(minutes=5), timedelta(hours=1))
    assert source.second_look.span == timedelta(hours=24)
    assert loaded.settings.rules == ["builtin:tencent"]
    assert loaded.source_settings["prod"].region == "ap-guangzhou"
    assert [route.to for route in loaded.routes({})] == [("oncall", "terminal"), ("terminal",)]


def test_every_problem_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    text = """\
sources:
  - {name: prod, type: tencent_cloudaudit, regoin: ap-guangzhou, every: 60}
notifiers:
  - {name: oncall, type: slak}
  - {name: hook, type: webhook, url: {env: NOT_SET}}
routes:
  - {match: "severity = 'critical'", to: [oncal]}
retnetion: {}
"""
    assert faults(text, tmp_path) == [
        "2:44: unknown key 'regoin'; did you mean 'region'?",
        "2:73: a duration is a number with s, m, h, d or w: 60s, 15m, 1h, 30d",
        "4:26: there is no notifier of type 'slak'",
        "5:38: the environment variable NOT_SET is not set, or empty",
        "7:23: '=' is no operator; equality is '=='",
        "7:43: no notifier is called 'oncal'",
        "8:1: unknown key 'retnetion'; did you mean 'retention'?",
    ]


def test_the_environment_beats_the_file_and_flags_beat_both(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.yaml"
    path.write_text(GOOD)
    environment = {"SLACK_BOT_TOKEN": TOKEN, "TOCSIN_STORE": "sqlite:///./env.db", "TOCSIN_LOG__LEVEL": "debug"}
    assert load(path, environment=environment).settings.store == "sqlite:///./env.db"
    assert load(path, environment=environment).settings.log.level == "debug"
    flagged = load(path, environment=environment, overrides={"store": "sqlite:///./flag.db"})
    assert flagged.settings.store == "sqlite:///./flag.db"


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    text = GOOD.replace("{env: SLACK_BOT_TOKEN}", f"{{file: {tmp_path / 'token'}}}")
    loaded = read(text, tmp_path)
    assert loaded.notifier_settings["oncall"].token.get_secret_value() == TOKEN


def test_no_secret_shows_in_what_is_loaded(tmp_path: Path) -> None:
    loaded = read(GOOD, tmp_path)
    assert TOKEN in loaded.secrets
    assert TOKEN not in repr(loaded)
    assert TOKEN not in str(loaded.notifier_settings)


def test_a_missing_secret_is_let_pass_for_commands_that_only_look(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.yaml"
    path.write_text(GOOD)
    assert load(path, environment={}, secrets_needed=False).settings.store == "sqlite:///./tocsin.db"


def test_ids_must_be_kept_longer_than_what_is_read_again(tmp_path: Path) -> None:
    text = GOOD + "retention: {seen: 1d}\n"
    assert any("retention.seen must be at least a day longer" in fault for fault in faults(text, tmp_path))


def test_a_route_may_ask_a_list_of_the_rules(tmp_path: Path) -> None:
    text = GOOD.replace("severity == 'critical'", "in_list(event.eventName, 'create_access_key')")
    assert len(read(text, tmp_path).settings.routes) == 2
    wrong = GOOD.replace("severity == 'critical'", "in_list(event.eventName, 'create_acces_key')")
    assert any("create_acces_key" in fault for fault in faults(wrong, tmp_path))


def test_a_user_without_a_home_is_told_to_say_where_the_store_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    path = tmp_path / "tocsin.yaml"
    path.write_text("rules: [builtin:tencent]\n")

    with pytest.raises(ConfigurationError, match="no home folder to keep the store in"):
        load(path, environment={})
    assert load(path, environment={"TOCSIN_STORE": "sqlite:///./t.db"}).settings.store == "sqlite:///./t.db"
