"""Tencent's official Python SDK works against the emulator, unchanged, with every way of signing that it has."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tencentcloud.cloudaudit.v20190319 import models
from tencentcloud.cloudaudit.v20190319.cloudaudit_client import CloudauditClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from engine.emulator import Emulator, Settings
from tests.emulator.calling import ID, KEY, an_event

# The SDK asks for the time in a way that Python 3.12 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Emulator(Settings(ID, KEY, rate=0, visibility_delay=0.0)) as running:
        yield running


def client(emulator: Emulator, method: str = "TC3-HMAC-SHA256", http: str = "POST", credential: Any = None) -> Any:
    profiles = HttpProfile(endpoint=emulator.endpoint.removeprefix("http://"), protocol="http", reqMethod=http)
    settings = ClientProfile(signMethod=method, httpProfile=profiles)
    return CloudauditClient(credential or Credential(ID, KEY), "ap-guangzhou", settings)


def request(kind: str, **fields: Any) -> Any:
    made = getattr(models, kind)()
    made.from_json_string(json.dumps(fields))
    return made


def track(**fields: Any) -> dict[str, Any]:
    storage = {
        "StorageType": "cos",
        "StorageRegion": "ap-guangzhou",
        "StorageName": "audit",
        "StoragePrefix": "cloudaudit",
    }
    return {
        "Name": "everything",
        "ActionType": "*",
        "ResourceType": "*",
        "Status": 1,
        "EventNames": ["*"],
        "Storage": storage,
        **fields,
    }


@pytest.mark.parametrize("http", ["POST", "GET"])
@pytest.mark.parametrize("method", ["TC3-HMAC-SHA256", "HmacSHA1", "HmacSHA256"])
def test_the_sdk_reads_all_events_page_by_page(emulator: Emulator, method: str, http: str) -> None:
    now = int(time.time())
    emulator.add(an_event(f"e-{n}", at=now - n) for n in range(25))
    emulator.add([an_event("other", at=now - 3, eventName="RunInstances")])
    sdk = client(emulator, method, http)
    asked = request(
        "DescribeEventsRequest",
        StartTime=now - 600,
        EndTime=now,
        MaxResults=10,
        IsReturnLocation=1,
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "DescribeInstances"}],
    )

    found: list[str] = []
    while True:
        page = sdk.DescribeEvents(asked)
        found += [event.EventId for event in page.Events]
        if page.ListOver:
            break
        asked.NextToken = page.NextToken

    assert found == [f"e-{n}" for n in range(25)]
    assert page.TotalCount == 5
    assert type(page.NextToken) is int
    assert page.NextToken > 2**53
    assert page.Events[0].Location == "未知"
    assert json.loads(page.Events[0].CloudAuditEvent)["eventID"] == "e-20"


def test_the_sdk_finds_the_refusal_in_the_answer(emulator: Emulator) -> None:
    with pytest.raises(TencentCloudSDKException) as caught:
        client(emulator).DescribeEvents(request("DescribeEventsRequest", StartTime=2, EndTime=1))

    assert caught.value.get_code() == "InvalidParameterValue.Time"
    assert caught.value.get_request_id()


def test_the_sdk_with_an_unsigned_payload_is_answered(emulator: Emulator) -> None:
    sdk = client(emulator)
    sdk.profile.unsignedPayload = True

    assert sdk.ListAudits(request("ListAuditsRequest")).AuditSummarys == []


@pytest.mark.parametrize("method", ["TC3-HMAC-SHA256", "HmacSHA256"])
def test_the_sdk_sends_its_token(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    with Emulator(Settings(ID, KEY, token="session")) as emulator:
        good = client(emulator, method, credential=Credential(ID, KEY, "session"))
        assert good.InquireAuditCredit(request("InquireAuditCreditRequest")).AuditAmount == 5

        stale = client(emulator, method, credential=Credential(ID, KEY, "another"))
        with pytest.raises(TencentCloudSDKException, match="TokenFailure"):
            stale.InquireAuditCredit(request("InquireAuditCreditRequest"))


@pytest.mark.parametrize("method", ["TC3-HMAC-SHA256", "HmacSHA1"])
def test_the_sdk_takes_a_tracking_set_through_its_life(emulator: Emulator, method: str) -> None:
    sdk = client(emulator, method)

    made = sdk.CreateAuditTrack(request("CreateAuditTrackRequest", **track()))
    sdk.ModifyAuditTrack(request("ModifyAuditTrackRequest", TrackId=made.TrackId, Status=0))
    one = sdk.DescribeAuditTrack(request("DescribeAuditTrackRequest", TrackId=made.TrackId))
    listed = sdk.DescribeAuditTracks(request("DescribeAuditTracksRequest", PageNumber=1, PageSize=10))
    sdk.DeleteAuditTrack(request("DeleteAuditTrackRequest", TrackId=made.TrackId))
    none = sdk.DescribeAuditTracks(request("DescribeAuditTracksRequest", PageNumber=1, PageSize=10))

    assert (one.Name, one.Status, one.EventNames, one.Storage.StorageName) == ("everything", 0, ["*"], "audit")
    assert [(t.TrackId, t.Name, t.Status) for t in listed.Tracks] == [(made.TrackId, "everything", 0)]
    assert (none.Tracks, none.TotalCount) == ([], 0)


def test_the_sdk_makes_a_tracking_set_over_several_products(emulator: Emulator) -> None:
    sdk = client(emulator)
    fields = {"ResourceFields": [{"ResourceType": "cam", "ActionType": "*", "EventNames": ["AddUser", "DeleteUser"]}]}
    wanted = {name: value for name, value in track().items() if name in ("Name", "Status", "Storage")}

    made = sdk.CreateEventsAuditTrack(request("CreateEventsAuditTrackRequest", **wanted, Filters=fields))
    sdk.ModifyEventsAuditTrack(request("ModifyEventsAuditTrackRequest", TrackId=made.TrackId, Status=0))
    one = sdk.DescribeAuditTrack(request("DescribeAuditTrackRequest", TrackId=made.TrackId))

    assert one.Status == 0
    assert one.Filters.ResourceFields[0].EventNames == ["AddUser", "DeleteUser"]


def test_the_sdk_switches_a_legacy_tracking_set(emulator: Emulator) -> None:
    sdk = client(emulator)
    # The SDK has lost CreateAudit; its generic call still makes any action.
    made = sdk.call_json(
        "CreateAudit",
        {
            "AuditName": "old_set",
            "CosBucketName": "audit",
            "CosRegion": "ap-guangzhou",
            "IsCreateNewBucket": 1,
            "IsEnableCmqNotify": 0,
            "ReadWriteAttribute": 3,
        },
    )
    assert made["Response"]["IsSuccess"] == 1

    assert sdk.StopLogging(request("StopLoggingRequest", AuditName="old_set")).IsSuccess == 1
    assert sdk.DescribeAudit(request("DescribeAuditRequest", AuditName="old_set")).AuditStatus == 0
    assert sdk.StartLogging(request("StartLoggingRequest", AuditName="old_set")).IsSuccess == 1
    assert [s.AuditStatus for s in sdk.ListAudits(request("ListAuditsRequest")).AuditSummarys] == [1]
