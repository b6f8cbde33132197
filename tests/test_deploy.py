"""What deploy/ says agrees with the program: the example configuration, the unit, the image and the policy."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from engine.cli import COMMANDS
from engine.errors import ConfigurationError
from engine.service import GRACE_SECONDS
from engine.settings import WebSettings, load

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
SECRETS = {
    "SLACK_BOT_TOKEN": "xoxb-0000000000-example",
    "HOOK_URL": "https://hooks.example.com/tocsin",
    "HOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYq=",
    "TENCENTCLOUD_SECRET_ID": "AKIDexample",
    "TENCENTCLOUD_SECRET_KEY": "example",
}


def unit() -> dict[str, list[str]]:
    """The keys of the unit's [Service] section, each with its values in order."""
    section = (DEPLOY / "tocsin.service").read_text().split("[Service]")[1].split("[Install]")[0]
    values: dict[str, list[str]] = {}
    for key, value in re.findall(r"(?m)^(\w+)=(.*)$", section):
        values.setdefault(key, []).append(value)
    return values


def test_the_example_configuration_has_no_fault() -> None:
    loaded = load(DEPLOY / "tocsin.yaml", environment=SECRETS)

    assert [source.name for source in loaded.settings.sources] == ["prod"]
    assert len(loaded.settings.routes) == 3


def test_the_example_configuration_holds_no_secret() -> None:
    notifiers = yaml.safe_load((DEPLOY / "tocsin.yaml").read_text())["notifiers"]

    secrets = [entry[key] for entry in notifiers for key in ("token", "url", "secret") if key in entry]
    assert secrets
    assert all(isinstance(secret, dict) and set(secret) <= {"env", "file"} for secret in secrets)


def test_the_unit_starts_a_command_that_exists_with_the_configuration_that_the_readme_installs() -> None:
    (start,) = unit()["ExecStart"]

    assert start == "/opt/tocsin/bin/tocsin run -c /etc/tocsin/tocsin.yaml"
    assert "run" in COMMANDS
    assert "/etc/tocsin/tocsin.yaml" in (DEPLOY / "README.md").read_text()


def test_the_unit_waits_longer_than_the_program_needs_to_end() -> None:
    assert int(unit()["TimeoutStopSec"][0]) > GRACE_SECONDS


def test_the_unit_starts_again_unless_the_configuration_is_wrong() -> None:
    assert unit()["Restart"] == ["always"]
    assert str(ConfigurationError.exit_code) in unit()["RestartPreventExitStatus"][0].split()


def test_the_unit_keeps_the_state_where_the_example_puts_the_store() -> None:
    store = yaml.safe_load((DEPLOY / "tocsin.yaml").read_text())["store"]

    assert store == f"sqlite:///var/lib/{unit()['StateDirectory'][0]}/tocsin.db"


def test_the_image_asks_for_its_health_where_the_program_answers() -> None:
    port = WebSettings().listen.rpartition(":")[2]
    containerfile = (DEPLOY / "Containerfile").read_text()

    assert set(re.findall(r":(\d+)/healthz|EXPOSE (\d+)|LISTEN=0\.0\.0\.0:(\d+)", containerfile)) == {
        (port, "", ""),
        ("", port, ""),
        ("", "", port),
    }


def test_the_policy_of_the_key_allows_reading_the_audit_and_nothing_else() -> None:
    policy = json.loads((DEPLOY / "cam-policy.json").read_text())
    (statement,) = policy["statement"]

    assert policy["version"] == "2.0"
    assert statement["effect"] == "allow"
    assert all(re.fullmatch(r"cloudaudit:Describe\w+", action) for action in statement["action"])
