"""Tracking sets, new and legacy: their rules, and the documented code of each that is broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.emulator import Emulator
from tests.emulator.calling import an_emulator, ask, refused

COS = {"StorageType": "cos", "StorageRegion": "ap-guangzhou", "StorageName": "audit", "StoragePrefix": "cloudaudit"}
TRACK: dict[str, Any] = {
    "Name": "everything",
    "ActionType": "*",
    "ResourceType": "*",
    "Status": 1,
    "EventNames": ["*"],
    "Storage": COS,
}
AUDIT: dict[str, Any] = {
    "AuditName": "old_set",
    "CosBucketName": "audit",
    "CosRegion": "ap-guangzhou",
    "IsCreateNewBucket": 0,
    "IsEnableCmqNotify": 0,
    "ReadWriteAttribute": 3,
}
QUEUE = {"IsEnableCmqNotify": 1, "IsCreateNewQueue": 1, "CmqQueueName": "audit-queue", "CmqRegion": "ap-guangzhou"}


@pytest.fixture(scope="module")
def empty() -> Iterator[Emulator]:
    """An emulator that only refuses: nothing is ever made in it."""
    with an_emulator() as running:
        yield running


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with an_emulator() as running:
        yield running


def without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Name": None}, "MissingParameter"),
        ({"Name": "ab"}, "InvalidParameterValue"),
        ({"Name": "a" * 49}, "InvalidParameterValue"),
        ({"Name": "审计审计"}, "InvalidParameterValue"),
        ({"Name": 123}, "InvalidParameter"),
        ({"ActionType": "Everything"}, "InvalidParameterValue"),
        ({"ResourceType": ""}, "InvalidParameterValue"),
        ({"Status": 2}, "InvalidParameterValue"),
        ({"Status": None}, "MissingParameter"),
        ({"EventNames": ["AddUser"]}, "InvalidParameterValue"),
        ({"ResourceType": "cam", "EventNames": []}, "InvalidParameterValue"),
        ({"ResourceType": "cam", "EventNames": ["*", "AddUser"]}, "InvalidParameterValue"),
        ({"ResourceType": "cam", "EventNames": [f"Event{n}" for n in range(11)]}, "InvalidParameterValue"),
        ({"EventNames": "*"}, "InvalidParameter"),
        ({"Storage": None}, "MissingParameter"),
        ({"Storage": without(COS, "StoragePrefix")}, "MissingParameter"),
        ({"Storage": {**COS, "StorageType": "s3"}}, "InvalidParameterValue"),
        ({"Storage": {**COS, "StorageRegion": "ap-nowhere"}}, "InvalidParameterValue.CosRegionError"),
        ({"Storage": {**COS, "StorageName": "-audit"}}, "InvalidParameterValue"),
        ({"Storage": {**COS, "StorageName": "a" * 51}}, "InvalidParameterValue"),
        ({"Storage": {**COS, "StoragePrefix": "a/b"}}, "InvalidParameterValue"),
        ({"Storage": {**COS, "StorageType": "cls", "StorageName": "x" * 51}}, "InvalidParameterValue"),
        ({"Storage": {**COS, "StorageType": "ckafka", "StorageName": "topic"}}, "InvalidParameterValue"),
        ({"Storage": {**COS, "Compress": 3}}, "InvalidParameterValue"),
        ({"Storage": {**COS, "Colour": "red"}}, "UnknownParameter"),
        ({"TrackForAllMembers": 2}, "InvalidParameterValue"),
        ({"Colour": "red"}, "UnknownParameter"),
    ],
)
def test_a_tracking_set_that_breaks_a_rule_is_refused(empty: Emulator, changes: dict[str, Any], code: str) -> None:
    assert refused(empty, "CreateAuditTrack", **{**TRACK, **changes}) == code
    assert ask(empty, "DescribeAuditTracks", PageNumber=1, PageSize=5)["TotalCount"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"ResourceType": "cam", "EventNames": ["*"]},
        {"ResourceType": "cam", "EventNames": [f"Event{n}" for n in range(10)]},
        {"Storage": {**COS, "StorageType": "ckafka", "StorageName": "ckafka-x1/audit_log", "Compress": 2}},
        {"Storage": {**COS, "StorageType": "cls", "StorageName": "d0f00ec9-5643-4a11-9022-187621d38714"}},
        {"TrackForAllMembers": 1, "ExportId": "20250707_163212_1hxW"},
    ],
)
def test_a_tracking_set_that_breaks_no_rule_is_made_as_asked(emulator: Emulator, changes: dict[str, Any]) -> None:
    made = ask(emulator, "CreateAuditTrack", **{**TRACK, **changes})

    found = ask(emulator, "DescribeAuditTrack", TrackId=made["TrackId"])

    wanted = without({**TRACK, **changes}, "ExportId")
    assert {name: found[name] for name in wanted} == wanted
    assert found["CreateTime"] == "2023-11-15 06:13:20"  # UTC+8


def test_there_are_at_most_five_tracking_sets_of_both_kinds(emulator: Emulator) -> None:
    ask(emulator, "CreateAudit", **AUDIT)
    for n in range(4):
        ask(emulator, "CreateAuditTrack", **{**TRACK, "Name": f"set-{n}"})

    assert ask(emulator, "InquireAuditCredit")["AuditAmount"] == 0
    assert refused(emulator, "CreateAuditTrack", **TRACK) == "LimitExceeded.OverAmount"
    assert refused(emulator, "CreateAudit", **{**AUDIT, "AuditName": "more", "CosBucketName": "other"}) == (
        "LimitExceeded.OverAmount"
    )
    assert refused(emulator, "CreateAuditTrack", **{**TRACK, "Name": "set-1"}) == (
        "InvalidParameterValue.AliasAlreadyExists"
    )


def test_a_name_is_taken_once(emulator: Emulator) -> None:
    ask(emulator, "CreateAuditTrack", **TRACK)

    assert refused(emulator, "CreateAuditTrack", **TRACK) == "InvalidParameterValue.AliasAlreadyExists"


def test_a_tracking_set_is_not_renamed(emulator: Emulator) -> None:
    track = ask(emulator, "CreateAuditTrack", **TRACK)["TrackId"]

    code = refused(emulator, "ModifyAuditTrack", TrackId=track, Name="another")

    assert code == "InvalidParameterValue.AuditTrackNameNotSupportModify"
    assert "Error" not in ask(emulator, "ModifyAuditTrack", TrackId=track, Name="everything", Status=0)


def test_a_change_that_would_break_a_rule_changes_nothing(emulator: Emulator) -> None:
    track = ask(emulator, "CreateAuditTrack", **{**TRACK, "ResourceType": "cam", "EventNames": ["AddUser"]})["TrackId"]

    assert refused(emulator, "ModifyAuditTrack", TrackId=track, ResourceType="*", Status=0) == "InvalidParameterValue"

    assert ask(emulator, "DescribeAuditTrack", TrackId=track)["Status"] == 1


@pytest.mark.parametrize("action", ["DescribeAuditTrack", "DeleteAuditTrack", "ModifyAuditTrack"])
def test_a_tracking_set_that_is_not_there_is_said_not_to_be(empty: Emulator, action: str) -> None:
    assert refused(empty, action, TrackId=99) == "ResourceNotFound.AuditNotExist"
    assert refused(empty, action) == "MissingParameter"


def test_tracking_sets_are_listed_in_pages(emulator: Emulator) -> None:
    for n in range(3):
        ask(emulator, "CreateAuditTrack", **{**TRACK, "Name": f"set-{n}"})

    second = ask(emulator, "DescribeAuditTracks", PageNumber=2, PageSize=2)

    assert [track["Name"] for track in second["Tracks"]] == ["set-2"]
    assert second["TotalCount"] == 3
    assert refused(emulator, "DescribeAuditTracks", PageNumber=0, PageSize=2) == "InvalidParameterValue"
    assert refused(emulator, "DescribeAuditTracks", PageNumber=1) == "MissingParameter"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"AuditName": None}, "MissingParameter.MissAuditName"),
        ({"CosBucketName": None}, "MissingParameter.MissCosBucketName"),
        ({"CosRegion": None}, "MissingParameter.MissCosRegion"),
        ({"IsCreateNewBucket": None}, "MissingParameter"),
        ({"AuditName": "a-b-c"}, "InvalidParameterValue.AuditNameError"),
        ({"AuditName": "a" * 129}, "InvalidParameterValue.AuditNameError"),
        ({"ReadWriteAttribute": 4}, "InvalidParameterValue.ReadWriteAttributeError"),
        ({"CosBucketName": "Audit"}, "InvalidParameterValue.CosNameError"),
        ({"CosBucketName": "a" * 41}, "InvalidParameterValue.CosNameError"),
        ({"CosRegion": "ap-nowhere"}, "InvalidParameterValue.CosRegionError"),
        ({"LogFilePrefix": "ab"}, "InvalidParameterValue.LogFilePrefixError"),
        ({"IsCreateNewBucket": 2}, "InvalidParameterValue.IsCreateNewBucketError"),
        ({"IsEnableCmqNotify": 2}, "InvalidParameterValue.IsEnableCmqNotifyError"),
        ({**QUEUE, "IsCreateNewQueue": 2}, "InvalidParameterValue.IsCreateNewQueueError"),
        ({"IsEnableCmqNotify": 1}, "MissingParameter.cmq"),
        ({**QUEUE, "CmqQueueName": None}, "MissingParameter.cmq"),
        ({**QUEUE, "CmqQueueName": "1queue"}, "InvalidParameterValue.QueueNameError"),
        ({**QUEUE, "CmqQueueName": "q" * 65}, "InvalidParameterValue.QueueNameError"),
        ({**QUEUE, "CmqRegion": "nowhere"}, "InvalidParameterValue.CmqRegionError"),
        ({**QUEUE, "IsEnableCmqNotify": 0}, "InvalidParameter"),
        ({"IsEnableKmsEncry": 1}, "MissingParameter"),
        ({"IsEnableKmsEncry": 1, "KmsRegion": "ap-guangzhou"}, "MissingParameter"),
        (
            {"IsEnableKmsEncry": 1, "KmsRegion": "ap-shanghai", "KeyId": "key"},
            "InvalidParameterValue.KmsRegionError",
        ),
        ({"Colour": "red"}, "UnknownParameter"),
    ],
)
def test_a_legacy_set_that_breaks_a_rule_is_refused(empty: Emulator, changes: dict[str, Any], code: str) -> None:
    assert refused(empty, "CreateAudit", **{**AUDIT, **changes}) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"CosBucketName": "other"}, "ResourceInUse.AlreadyExistsSameAudit"),
        ({"AuditName": "second", "IsCreateNewBucket": 1}, "ResourceInUse.CosBucketExists"),
        ({"AuditName": "second"}, "ResourceInUse.AlreadyExistsSameAuditCosConfig"),
        ({"AuditName": "second", "LogFilePrefix": "second"}, "ResourceInUse.AlreadyExistsSameAuditCmqConfig"),
    ],
)
def test_two_legacy_sets_do_not_share_what_only_one_can_have(
    emulator: Emulator, changes: dict[str, Any], code: str
) -> None:
    assert ask(emulator, "CreateAudit", **{**AUDIT, **QUEUE})["IsSuccess"] == 1

    assert refused(emulator, "CreateAudit", **{**AUDIT, **QUEUE, **changes}) == code


def test_a_legacy_set_is_switched_shown_and_deleted(emulator: Emulator) -> None:
    encrypted = {"IsEnableKmsEncry": 1, "KmsRegion": "ap-guangzhou", "KeyId": "key"}
    ask(emulator, "CreateAudit", **{**AUDIT, **QUEUE, **encrypted, "LogFilePrefix": "prefix"})

    assert ask(emulator, "StopLogging", AuditName="old_set")["IsSuccess"] == 1

    found = ask(emulator, "DescribeAudit", AuditName="old_set")
    assert (found["AuditStatus"], found["CmqQueueName"], found["KeyId"]) == (0, "audit-queue", "key")
    assert ask(emulator, "ListAudits")["AuditSummarys"] == [
        {"AuditStatus": 0, "CosBucketName": "audit", "AuditName": "old_set", "LogFilePrefix": "prefix"}
    ]
    assert ask(emulator, "DeleteAudit", AuditName="old_set")["IsSuccess"] == 1
    assert refused(emulator, "DescribeAudit", AuditName="old_set") == "ResourceNotFound.AuditNotExist"
