"""`tocsin tracks` as a person meets it: what it sends, what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot

from engine.cli.tracks import OPTIONS, tracks
from engine.cloudaudit.parameters import ACTIONS
from engine.errors import SourceError
from tests.cloudaudit.clients import SECRET_ID, SECRET_KEY
from tests.cloudaudit.scripted import Asked, Reply, ScriptedApi, refuses, says

STORAGE = {"StorageType": "cls", "StorageName": "topic", "StorageRegion": "ap-guangzhou", "StoragePrefix": "audit"}
ALL: dict[str, Any] = {
    "TrackId": 21915,
    "Name": "all",
    "ActionType": "*",
    "ResourceType": "*",
    "Status": 1,
    "EventNames": ["*"],
    "Storage": STORAGE,
    "CreateTime": "2021-01-14 14:43:38",
}
CAM: dict[str, Any] = {
    **ALL,
    "TrackId": 3,
    "Name": "cam\x1b[31m keys",
    "ActionType": "Write",
    "ResourceType": "cam",
    "EventNames": ["CreateAccessKey", "UpdateAccessKey"],
    "Status": 0,
    "Storage": {**STORAGE, "StorageType": "cos", "StorageName": "bucket", "StorageRegion": None},
}
STORAGE_OPTIONS = ["--storage-type", "cls", "--storage-region", "ap-guangzhou", "--storage-name", "topic"]
STORAGE_OPTIONS += ["--storage-prefix", "audit"]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", SECRET_ID)
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", SECRET_KEY)
    monkeypatch.delenv("TENCENTCLOUD_TOKEN", raising=False)


def run(api: ScriptedApi, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(tracks, [*arguments, "--endpoint", api.endpoint], input=typed)


def a_script(asked: Asked) -> Reply:
    match asked.action:
        case "DescribeAuditTracks":
            return says(Tracks=[ALL, CAM], TotalCount=2)
        case "DescribeAuditTrack":
            return says(**{key: value for key, value in ALL.items() if key != "TrackId"}, TrackForAllMembers=0)
        case "CreateAuditTrack":
            return says(TrackId=7)
        case "CreateAudit":
            return says(IsSuccess=1)
    return says()


def test_the_list_is_a_table_that_no_name_can_disturb() -> None:
    with ScriptedApi(script=a_script) as api:
        result = run(api, "list")

    assert result.exit_code == 0
    assert result.stdout == snapshot("""\
ID     NAME                STATUS  EVENTS                                                DELIVERED TO
21915  all                 on      all events of all products                            cls topic/audit (ap-guangzhou)
3      cam\\u001b[31m keys  off     write events CreateAccessKey, UpdateAccessKey of cam  cos bucket/audit
""")
    assert result.stderr == snapshot("tracking set all delivers every write event\n")


def test_the_list_as_json_has_the_apis_own_names() -> None:
    with ScriptedApi(script=a_script) as api:
        result = run(api, "list", "--format", "json")

    found = json.loads(result.stdout)
    assert [track["TrackId"] for track in found] == [21915, 3]
    assert found[0]["Storage"] == STORAGE
    assert result.stderr == ""


def test_no_tracking_set_is_said_and_not_an_empty_table() -> None:
    with ScriptedApi(says(Tracks=None, TotalCount=0)) as api:
        result = run(api, "list")

    assert result.stdout == ""
    assert result.stderr == snapshot(
        "there is no tracking set: events are kept nowhere but in CloudAudit, for 90 days\n"
    )


def test_one_is_shown_with_all_that_it_says() -> None:
    with ScriptedApi(script=a_script) as api:
        result = run(api, "show", "21915")

    assert result.stdout == snapshot("""\
id:         21915
name:       all
status:     on
events:     all events of all products
created:    2021-01-14 14:43:38 (UTC+8)
storage:    cls topic/audit (ap-guangzhou)
members:    this account's events
""")


def test_one_over_several_products_is_shown_with_each() -> None:
    fields = [
        {"ResourceType": "cam", "ActionType": "*", "EventNames": ["AddSubAccount"]},
        {"ResourceType": "cvm", "ActionType": "Read", "EventNames": ["*"]},
    ]
    with ScriptedApi(says(Name="many", Status=1, Filters={"ResourceFields": fields})) as api:
        result = run(api, "show", "5")

    assert result.stdout == snapshot("""\
id:         5
name:       many
status:     on
events:     events AddSubAccount of cam; read events of cvm
storage:    -
""")


def test_creating_sends_every_option() -> None:
    with ScriptedApi(script=a_script) as api:
        result = run(
            api,
            "create",
            *("--name", "keys", "--action-type", "Write", "--resource-type", "cam", "--disabled"),
            *("--event-name", "CreateAccessKey", "--event-name", "UpdateAccessKey"),
            *STORAGE_OPTIONS,
            *("--storage-account-id", "100000000001", "--storage-app-id", "1250000000", "--compress"),
            *("--all-members", "--export-id", "task-1"),
        )

    assert (result.exit_code, result.stdout) == (0, "created tracking set 7\n")
    assert api.asked[0].parameters == {
        "Name": "keys",
        "ActionType": "Write",
        "ResourceType": "cam",
        "EventNames": ["CreateAccessKey", "UpdateAccessKey"],
        "Status": 0,
        "Storage": {**STORAGE, "StorageAccountId": "100000000001", "StorageAppId": "1250000000", "Compress": 1},
        "TrackForAllMembers": 1,
        "ExportId": "task-1",
    }


def test_creating_covers_everything_unless_told_otherwise() -> None:
    with ScriptedApi(script=a_script) as api:
        run(api, "create", "--name", "all", *STORAGE_OPTIONS)

    assert api.asked[0].parameters == {
        "Name": "all",
        "ActionType": "*",
        "ResourceType": "*",
        "EventNames": ["*"],
        "Status": 1,
        "Storage": STORAGE,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "--name", "x", *STORAGE_OPTIONS], "Invalid value for --name: Name must be 3 to 48"),
        (["create", "--name", "all"], "Missing option '--storage-type'"),
        (["create", "--name", "all", *STORAGE_OPTIONS[:-2]], "Invalid value for --storage-prefix: "),
        (
            ["create", "--name", "all", *STORAGE_OPTIONS, "--storage-prefix", "a-b"],
            "Invalid value for --storage-prefix: ",
        ),
        (["create", "--name", "all", *STORAGE_OPTIONS, "--event-name", "RunInstances"], "for --event-name: "),
        (["modify", "5"], "nothing to change"),
        (["modify", "5", "--storage-name", "topic"], "Invalid value for --storage-type: "),
        (["delete", "all"], "'all' is not a valid integer"),
        (
            ["legacy-create", "--name", "a-b", "--bucket", "b", "--bucket-region", "ap-shanghai"],
            "Invalid value for --name: ",
        ),
        (
            ["legacy-create", "--name", "abc", "--bucket", "b", "--bucket-region", "ap-shanghai", "--queue", "q"],
            "Invalid value for --queue: with IsEnableCmqNotify 0",
        ),
        (
            ["legacy-create", "--name", "abc", "--bucket", "b", "--bucket-region", "ap-shanghai", "--encrypt"],
            "Invalid value for --kms-region: with IsEnableKmsEncry 1",
        ),
    ],
)
def test_what_breaks_a_limit_names_its_option_and_sends_nothing(arguments: list[str], said: str) -> None:
    with ScriptedApi(script=a_script) as api:
        result = run(api, *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert api.asked == []


def test_every_parameter_of_the_api_has_its_option() -> None:
    actions = ("CreateAuditTrack", "ModifyAuditTrack", "DeleteAuditTrack", "DescribeAuditTrack", "CreateAudit")
    documented = {parameter.name for action in actions for parameter in ACTIONS[action].parameters}

    assert documented - set(OPTIONS) == set()


def test_modifying_sends_what_changes() -> None:
    with ScriptedApi(script=a_script) as api:
        result = run(api, "modify", "21915", "--disabled", "--format", "json")

    assert (result.exit_code, json.loads(result.stdout)) == (0, {"TrackId": 21915})
    assert api.asked[0].parameters == {"TrackId": 21915, "Status": 0}


def test_deleting_shows_what_goes_and_asks() -> None:
    with ScriptedApi(script=a_script) as api:
        result = run(api, "delete", "21915", typed="n\n")

    assert result.exit_code == 1
    assert result.stderr == snapshot("""\
21915 all: all events of all products to cls topic/audit (ap-guangzhou)
Delete this tracking set? [y/N]: n
Aborted!
""")
    assert [asked.action for asked in api.asked] == ["DescribeAuditTrack"]


@pytest.mark.parametrize(("arguments", "typed"), [(["--yes"], ""), ([], "y\n")])
def test_deleting_with_consent_deletes(arguments: list[str], typed: str) -> None:
    with ScriptedApi(script=a_script) as api:
        result = run(api, "delete", "21915", *arguments, typed=typed)

    assert (result.exit_code, result.stdout) == (0, "deleted tracking set 21915\n")
    assert (api.asked[-1].action, api.asked[-1].parameters) == ("DeleteAuditTrack", {"TrackId": 21915})


def test_the_legacy_command_sends_every_option() -> None:
    with ScriptedApi(script=a_script) as api:
        result = run(
            api,
            "legacy-create",
            *("--name", "auditTest_1", "--bucket", "cos-01", "--bucket-region", "ap-shanghai", "--new-bucket"),
            *("--events", "write", "--prefix", "akshsb1j"),
            *("--cmq", "--new-queue", "--queue", "cmq-01", "--queue-region", "sh"),
            *("--encrypt", "--kms-region", "ap-shanghai", "--kms-key", "key-1"),
        )

    assert (result.exit_code, result.stdout) == (0, "created tracking set auditTest_1\n")
    assert api.asked[0].parameters == {
        "AuditName": "auditTest_1",
        "CosBucketName": "cos-01",
        "CosRegion": "ap-shanghai",
        "IsCreateNewBucket": 1,
        "IsEnableCmqNotify": 1,
        "ReadWriteAttribute": 2,
        "LogFilePrefix": "akshsb1j",
        "IsCreateNewQueue": 1,
        "CmqQueueName": "cmq-01",
        "CmqRegion": "sh",
        "IsEnableKmsEncry": 1,
        "KmsRegion": "ap-shanghai",
        "KeyId": "key-1",
    }


def test_what_the_api_refuses_ends_with_69_and_its_code() -> None:
    with ScriptedApi(refuses("LimitExceeded.OverAmount", "5 at most")) as api:
        result = run(api, "create", "--name", "all", *STORAGE_OPTIONS)

    assert isinstance(result.exception, SourceError)  # the command line prints it and ends with its exit code
    assert result.exception.exit_code == 69
    assert "LimitExceeded.OverAmount: 5 at most" in str(result.exception)


def test_an_endpoint_that_is_none_is_named() -> None:
    result = CliRunner().invoke(tracks, ["list", "--endpoint", "https://host/path"])

    assert result.exit_code == 2
    assert "Invalid value for --endpoint" in result.stderr


def test_a_role_that_is_none_is_named() -> None:
    result = CliRunner().invoke(tracks, ["list", "--role-arn", "admin"])

    assert result.exit_code == 2
    assert "Invalid value for --role-arn" in result.stderr
