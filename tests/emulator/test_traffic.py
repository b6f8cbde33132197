"""The made-up events look as the real ones do."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from engine.emulator.traffic import intrusion, ordinary
from tests.emulator.calling import NOW

DAY = list(ordinary(3, NOW - 4000, NOW, 1.0))


def test_the_same_seed_gives_the_same_day() -> None:
    assert list(ordinary(3, NOW - 100, NOW, 1.0)) == list(ordinary(3, NOW - 100, NOW, 1.0))
    assert list(ordinary(3, NOW - 100, NOW, 1.0)) != list(ordinary(4, NOW - 100, NOW, 1.0))


def test_events_come_in_order_within_the_time_at_the_rate() -> None:
    times = [event["eventTime"] for event in DAY]

    assert times == sorted(times)
    assert times[0] >= NOW - 4000
    assert times[-1] < NOW
    assert 3700 < len(times) < 4300


def test_every_event_has_an_id_of_its_own() -> None:
    assert len({event["eventID"] for event in DAY + intrusion(NOW)}) == len(DAY) + 5


def test_people_and_roles_work_by_console_and_by_api() -> None:
    types = Counter(event["userIdentity"]["type"] for event in DAY)
    origins = Counter(event["eventType"] for event in DAY)
    kinds = Counter(event["actionType"] for event in DAY)

    assert set(types) == {"CAMUser", "AssumedRole"}
    assert min(types.values()) > 200
    assert min(origins.values()) > 1000
    assert kinds["Read"] > 2 * kinds["Write"] > 200


def test_some_calls_are_denied_and_some_fail() -> None:
    denied = [event for event in DAY if event["errorCode"] != "0"]
    failed = [event for event in DAY if event["apiErrorCode"] not in (0, "0")]

    assert 5 < len(denied) < 80
    assert 20 < len(failed) < 160
    assert {event["errorCode"] for event in denied} == {"4102"}


def test_console_sessions_carry_a_token_four_levels_deep() -> None:
    console = [event for event in DAY if event["eventType"] == "ConsoleCall"]
    session = json.loads(console[0]["userIdentity"]["sessionContext"])

    assert session["mfa"] == 1
    assert json.loads(session["extraInfo"])["sessionUin"] == 5000
    assert json.loads(console[0]["requestParameters"])["Token"] == session["token"]


def test_three_vintages_are_there() -> None:
    shapes = Counter("2023" if "responseElements" in event else "2022" if "tags" in event else "2021" for event in DAY)

    assert set(shapes) == {"2021", "2022", "2023"}
    assert {type(event["apiErrorCode"]) for event in DAY} == {int, str}
    assert all(isinstance(event["resources"], str) for event in DAY)


def decoded(event: dict[str, Any], name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(event[name])
    return value


@pytest.mark.parametrize("seed", range(5))
def test_the_intrusion_tells_its_story(seed: int) -> None:
    login, key, admin, opened, blind = intrusion(NOW, "100000000009", seed=seed, track_id=7)

    assert [event["eventName"] for event in (login, key, admin, opened, blind)] == [
        "ConsoleLogin",
        "CreateApiKey",
        "AttachUserPolicy",
        "CreateSecurityGroupPolicies",
        "ModifyAuditTrack",
    ]
    assert login["resourceType"] == "account"
    assert json.loads(login["userIdentity"]["sessionContext"])["mfa"] == 0
    made = decoded(key, "responseElements")
    assert made["SecretId"].startswith("AKID")
    assert len(made["SecretKey"]) == 32
    assert decoded(admin, "requestParameters")["PolicyName"] == "AdministratorAccess"
    (ingress,) = decoded(opened, "requestParameters")["SecurityGroupPolicySet"]["Ingress"]
    assert (ingress["CidrBlock"], ingress["Port"], ingress["Action"]) == ("0.0.0.0/0", "22", "ACCEPT")
    assert opened["userIdentity"]["secretId"] == made["SecretId"]
    assert decoded(blind, "requestParameters")["TrackId"] == 7
    assert decoded(blind, "requestParameters")["Status"] == 0
    assert {event["userIdentity"]["type"] for event in (login, key, admin, opened, blind)} == {"Root"}
    assert {event["userIdentity"]["accountId"] for event in (login, key, admin, opened, blind)} == {"100000000009"}
    assert NOW == login["eventTime"] < blind["eventTime"] < NOW + 70
