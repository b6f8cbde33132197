"""How events look when they come out: wrapped, written, left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from inline_snapshot import snapshot

from engine.emulator import Emulator
from tests.emulator.calling import NOW, an_emulator, an_event, ask, pages


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with an_emulator() as running:
        yield running


def only(emulator: Emulator, **parameters: Any) -> dict[str, Any]:
    ((event,),) = (page["Events"] for page in pages(emulator, **parameters))
    found: dict[str, Any] = event
    return found


def test_an_inner_event_is_wrapped_as_in_the_documentations_example(emulator: Emulator) -> None:
    emulator.add(
        [
            an_event(
                "008ef803-4549-41fe-a7e6-433122273683",
                eventName="ModifyAuditTrack",
                resourceType="cloudaudit",
                errorCode="0",
                sourceIPAddress="203.0.113.1",
                requestParameters={"TrackId": 1, "Status": 0},
                responseElements={"RequestId": "r"},
                resources=["*"],
                userIdentity={
                    "type": "Root",
                    "principalId": "100000000001",
                    "accountId": "100000000001",
                    "userName": "root",
                    "sessionContext": {"mfa": 0, "extraInfo": {"sessionUin": 5000}},
                },
            )
        ]
    )

    event = only(emulator)

    inner = json.loads(event.pop("CloudAuditEvent"))
    assert event == snapshot(
        {
            "EventName": "ModifyAuditTrack",
            "EventTime": "1699999940",
            "SecretId": "",
            "EventId": "008ef803-4549-41fe-a7e6-433122273683",
            "ErrorCode": 0,
            "RequestID": "008ef803-4549-41fe-a7e6-433122273683",
            "SourceIPAddress": "203.0.113.1",
            "EventSource": "",
            "EventRegion": "",
            "Resources": {"ResourceName": "", "ResourceType": "cloudaudit"},
            "Username": "root",
            "AccountID": 100000000001,
            "ResourceTypeCn": "操作审计",
            "EventNameCn": "",
            "ResourceRegion": "",
        }
    )
    assert inner["updateEsTime"] == 16_999_999_400_000_000
    assert json.loads(inner["requestParameters"]) == {"TrackId": 1, "Status": 0}
    assert json.loads(inner["responseElements"]) == {"RequestId": "r"}
    assert inner["resources"] == '["*"]'
    session = json.loads(inner["userIdentity"]["sessionContext"])
    assert session == {"mfa": 0, "extraInfo": '{"sessionUin":5000}'}


def test_an_event_of_2017_keeps_its_objects(emulator: Emulator) -> None:
    emulator.add([an_event("a", eventVersion="1.0", requestParameters={"Action": "LookupEvents"})])

    assert json.loads(only(emulator)["CloudAuditEvent"])["requestParameters"] == {"Action": "LookupEvents"}


def test_what_an_inner_event_lacks_is_made_up(emulator: Emulator) -> None:
    emulator.add([{"eventName": "ConsoleLogin", "userIdentity": {"type": "Root"}}])

    event = only(emulator)

    assert event["EventTime"] == str(NOW)
    assert len(event["EventId"]) == 36
    assert event["AccountID"] == 100000000001


def test_an_outer_event_stays_as_it_is(emulator: Emulator) -> None:
    outer = {
        "EventId": "a",
        "EventTime": NOW - 5,
        "EventName": "LookUpEvents",
        "ErrorCode": "0",
        "CloudAuditEvent": f'{{"eventID": "a",  "eventTime": {NOW - 5}}}',
        "Location": "未知",
    }
    emulator.add([{**outer, "_remark": "left out"}])

    assert only(emulator, IsReturnLocation=1) == outer


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"eventTime": "soon"}', "null"])
def test_an_outer_event_with_a_broken_inner_one_is_served_all_the_same(emulator: Emulator, broken: str) -> None:
    outer = {"EventId": "a", "EventTime": str(NOW - 5), "EventName": "X", "CloudAuditEvent": broken}
    emulator.add([outer])

    assert only(emulator) == outer


def test_text_that_is_no_unicode_comes_through(emulator: Emulator) -> None:
    emulator.add([an_event("a", requestParameters='{"Name": "\ud800"}')])

    assert "\ud800" in json.loads(only(emulator)["CloudAuditEvent"])["requestParameters"]


@pytest.mark.parametrize(
    ("time", "seconds"), [("2023-11-15 06:12:20", NOW - 60), (str(NOW - 60), NOW - 60), (NOW - 60, NOW - 60)]
)
def test_every_vintage_of_event_time_is_understood(emulator: Emulator, time: object, seconds: int) -> None:
    emulator.add([an_event("a", at=0, eventTime=time)])

    assert only(emulator, StartTime=seconds, EndTime=seconds)["EventTime"] == str(time)


def test_a_changed_tracking_set_leaves_an_event_in_the_audit_log(emulator: Emulator) -> None:
    storage = {
        "StorageType": "cls",
        "StorageRegion": "ap-guangzhou",
        "StorageName": "topic",
        "StoragePrefix": "cloudaudit",
    }
    made = ask(
        emulator,
        "CreateAuditTrack",
        Name="all",
        ActionType="*",
        ResourceType="*",
        Status=1,
        EventNames=["*"],
        Storage=storage,
    )
    ask(emulator, "DescribeAuditTrack", TrackId=made["TrackId"])
    ask(emulator, "DeleteAuditTrack", TrackId=99)

    event = only(emulator)

    inner = json.loads(event["CloudAuditEvent"])
    assert (event["EventName"], event["EventId"]) == ("CreateAuditTrack", made["RequestId"])
    assert json.loads(inner["requestParameters"])["Storage"] == storage
    assert json.loads(inner["responseElements"])["TrackId"] == made["TrackId"]
