"""The client against a real server: pages, tokens, typed answers, second tries, and nothing secret in what it says."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
import structlog

from engine.cloudaudit.answers import Storage
from engine.cloudaudit.client import CloudAudit, EventsPage, LookupAttribute
from engine.cloudaudit.clock import Clock
from engine.cloudaudit.codes import (
    AuthFailureSignatureExpire,
    AuthFailureTokenFailure,
    InternalErrorSearchError,
    InvalidParameterValueAliasAlreadyExists,
    LimitExceededOverTime,
)
from engine.cloudaudit.credentials import Credentials
from engine.cloudaudit.errors import (
    BrokenAnswerError,
    InternalError,
    MissingParameter,
    PagingError,
    RequestLimitExceeded,
    ResponseSizeLimitExceeded,
    TransportError,
)
from engine.cloudaudit.parameters import ATTRIBUTE_KEYS
from engine.cloudaudit.signing import tc3_authorization
from tests.cloudaudit.clients import SECRET_ID, SECRET_KEY, TOKEN, WINDOW, a_client, a_key
from tests.cloudaudit.scripted import Asked, Reply, a_page, refuses, says

NOW = WINDOW["end_time"]
BIG = 16106961641644206  # above 2^53, as in the documentation's example
STORAGE = Storage(
    storage_type="cls", storage_region="ap-guangzhou", storage_name="topic", storage_prefix="cloudaudit", compress=1
)
TRACK: dict[str, Any] = {
    "TrackId": 21915,
    "Name": "all",
    "ActionType": "*",
    "ResourceType": "*",
    "Status": 1,
    "EventNames": ["*"],
    "Storage": {"StorageType": "cls", "StorageName": "topic", "StorageRegion": "ap-guangzhou", "StoragePrefix": "ca"},
    "CreateTime": "2021-01-14 14:43:38",
}


def ids(pages: list[EventsPage]) -> list[str]:
    return [json.loads(record.raw)["EventId"] for page in pages for record in page.records]


# Requests


def test_a_request_is_signed_for_the_action_and_the_host() -> None:
    with a_client(a_page(), credentials=a_key(TOKEN), region="ap-singapore") as (client, api):
        client.describe_events(**WINDOW)
        host = api.endpoint.removeprefix("http://")

    (asked,) = api.asked
    assert (asked.method, asked.path, asked.action) == ("POST", "/", "DescribeEvents")
    assert asked.headers["x-tc-version"] == "2019-03-19"
    assert asked.headers["x-tc-region"] == "ap-singapore"
    assert asked.headers["x-tc-token"] == TOKEN
    timestamp = int(asked.headers["x-tc-timestamp"])
    assert abs(timestamp - time.time()) < 60
    assert asked.headers["authorization"] == tc3_authorization(
        SECRET_ID,
        SECRET_KEY,
        service="cloudaudit",
        method="POST",
        query="",
        headers={"content-type": "application/json", "host": host, "x-tc-action": "DescribeEvents"},
        signed=("content-type", "host", "x-tc-action"),
        payload=asked.body,
        timestamp=timestamp,
    )


def test_every_parameter_of_a_search_is_sent() -> None:
    attributes = [LookupAttribute(key, "x") for key in ATTRIBUTE_KEYS]
    with a_client(a_page()) as (client, api):
        client.describe_events(
            **WINDOW, next_token=BIG, max_results=7, lookup_attributes=attributes, is_return_location=True
        )

    assert api.asked[0].parameters == {
        "StartTime": NOW - 3600,
        "EndTime": NOW,
        "NextToken": BIG,
        "MaxResults": 7,
        "LookupAttributes": [{"AttributeKey": key, "AttributeValue": "x"} for key in ATTRIBUTE_KEYS],
        "IsReturnLocation": 1,
    }


def test_what_breaks_a_limit_is_not_sent() -> None:
    with a_client(a_page()) as (client, api), pytest.raises(LimitExceededOverTime, match="30 days"):
        client.describe_events(start_time=NOW - 31 * 86_400, end_time=NOW)

    assert api.asked == []


def test_the_legacy_form_is_a_get_whose_parameters_carry_the_signature() -> None:
    with a_client(says(IsSuccess=1), signature="HmacSHA256", credentials=a_key(TOKEN)) as (client, api):
        client.create_audit(
            audit_name="auditTest_1",
            cos_bucket_name="cos-01",
            cos_region="ap-shanghai",
            is_create_new_bucket=True,
            is_enable_cmq_notify=False,
            read_write_attribute=2,
        )

    (asked,) = api.asked
    assert asked.method == "GET"
    assert asked.query["Action"] == "CreateAudit"
    assert asked.query["IsCreateNewBucket"] == "1"
    assert asked.query["SignatureMethod"] == "HmacSHA256"
    assert {"Signature", "Timestamp", "Nonce", "SecretId", "Token", "Version", "Region"} <= set(asked.query)


# Pages


def test_events_keep_the_bytes_that_they_were() -> None:
    raw = b'{ "EventId" : "1","big": 16805138109322956, "dup":1,"dup":2, "x":"\\/\\u4e2d" }'
    body = b'{"Response":{"Events":[' + raw + b'],"ListOver":true,"NextToken":1}}'
    with a_client(Reply(body)) as (client, _):
        page = client.describe_events(**WINDOW)

    assert page.records[0].raw == raw


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": "\\ud800"}', id="lone surrogate"),
        pytest.param(b'{"a": "\x01"}', id="control character"),
        pytest.param(b'{"a": "\\x, ]}"}', id="bad escape"),
        pytest.param(b'{"a": "\xff"}', id="not UTF-8"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="bottomless"),
        pytest.param(b'{"a": "]},{\\"Events\\":[", "b": [{}, []]}', id="brackets in a string"),
        pytest.param(b'"text"', id="not an object"),
    ],
)
def test_an_event_that_is_not_json_does_not_spoil_its_neighbours(poison: bytes) -> None:
    body = b'{"Response":{"Events":[ {"EventId":"1"}, ' + poison + b' ,{"EventId":"2"}],"ListOver":false,"NextToken":'
    body += b'16106961641644206,"RequestId":"r"}}'
    with a_client(Reply(body)) as (client, _):
        page = client.describe_events(**WINDOW)

    assert [record.raw for record in page.records] == [b'{"EventId":"1"}', poison, b'{"EventId":"2"}']
    assert (page.next_token, page.list_over, page.request_id) == (BIG, False, "r")


def test_pages_are_read_until_the_list_is_over_and_not_until_there_is_no_token() -> None:
    replies = [
        a_page({"EventId": "1"}, {"EventId": "2"}, token=BIG, over=False),
        a_page({"EventId": "3"}, token=BIG - 1, over=False),
        a_page({"EventId": "4"}, token=BIG - 2, over=True),
    ]
    with a_client(*replies) as (client, api):
        pages = list(client.events(**WINDOW))

    assert ids(pages) == ["1", "2", "3", "4"]
    assert [asked.parameters.get("NextToken") for asked in api.asked] == [None, BIG, BIG - 1]
    assert {(asked.parameters["StartTime"], asked.parameters["EndTime"]) for asked in api.asked} == {(NOW - 3600, NOW)}


@pytest.mark.parametrize("token", [BIG, str(BIG), 2**64 - 1])
def test_a_token_above_what_a_float_holds_is_sent_back_exactly(token: int | str) -> None:
    first = says(Events=[], NextToken=token, ListOver=False)
    with a_client(first, a_page()) as (client, api):
        list(client.events(**WINDOW))

    assert f'"NextToken":{token}'.encode() in api.asked[1].body


@pytest.mark.parametrize("fields", [{"Events": None}, {}], ids=["null", "absent"])
def test_events_that_are_null_are_no_events(fields: dict[str, Any]) -> None:
    with a_client(says(ListOver=True, NextToken=None, **fields)) as (client, _):
        assert list(client.events(**WINDOW)) == [EventsPage((), None, True, 50, "r-1")]


def test_an_empty_page_with_a_token_is_not_the_end() -> None:
    with a_client(a_page(token=3, over=False), a_page({"EventId": "1"}, token=2)) as (client, _):
        assert ids(list(client.events(**WINDOW))) == ["1"]


def test_empty_pages_for_ever_are_an_error() -> None:
    def script(asked: Asked) -> Reply:
        return a_page(token=asked.parameters.get("NextToken", 0) + 1, over=False)

    with a_client(script=script) as (client, api), pytest.raises(PagingError, match="without an event"):
        list(client.events(**WINDOW))

    assert len(api.asked) == 51


def test_a_token_that_comes_twice_is_an_error() -> None:
    replies = [a_page({"EventId": "1"}, token=token, over=False) for token in (9, 8, 9)]
    with a_client(*replies) as (client, api), pytest.raises(PagingError, match="came twice"):
        list(client.events(**WINDOW))

    assert len(api.asked) == 3


def test_pages_that_never_end_are_an_error() -> None:
    def script(asked: Asked) -> Reply:
        return a_page({"EventId": "1"}, token=asked.parameters.get("NextToken", 0) + 1, over=False)

    with a_client(script=script) as (client, api), pytest.raises(PagingError, match="after 20 pages"):
        list(client.events(**WINDOW, most_pages=20))

    assert len(api.asked) == 20


def test_a_list_that_is_not_over_and_has_no_token_is_an_error() -> None:
    with a_client(a_page({"EventId": "1"}, token=None, over=False)) as (client, _), pytest.raises(PagingError):
        list(client.events(**WINDOW))


def test_a_page_too_large_for_the_server_is_asked_for_in_halves_from_then_on() -> None:
    def script(asked: Asked) -> Reply:
        token = asked.parameters.get("NextToken", 0)
        if asked.parameters["MaxResults"] > 20:
            return refuses("ResponseSizeLimitExceeded")
        return a_page({"EventId": str(token)}, token=token + 1, over=token == 2)

    with a_client(script=script) as (client, api):
        pages = list(client.events(**WINDOW))

    assert ids(pages) == ["0", "1", "2"]
    assert [asked.parameters["MaxResults"] for asked in api.asked] == [50, 25, 12, 12, 12]


def test_a_single_event_too_large_for_the_server_is_an_error() -> None:
    with a_client(refuses("ResponseSizeLimitExceeded")) as (client, api), pytest.raises(ResponseSizeLimitExceeded):
        list(client.events(**WINDOW))

    assert [asked.parameters["MaxResults"] for asked in api.asked] == [50, 25, 12, 6, 3, 1]


# Second tries


def test_an_error_inside_http_200_is_an_error() -> None:
    with (
        a_client(refuses("InternalError.SearchError", "try later")) as (client, api),
        pytest.raises(InternalErrorSearchError, match="try later") as caught,
    ):
        client.describe_events(**WINDOW)

    assert (caught.value.code, caught.value.request_id) == ("InternalError.SearchError", "r-1")
    assert len(api.asked) == 3


def test_a_rate_limit_inside_http_200_is_waited_for_with_the_same_window() -> None:
    busy = refuses("RequestLimitExceeded.UinLimitExceeded")
    with a_client(busy, busy, a_page({"EventId": "1"})) as (client, api):
        assert ids([client.describe_events(**WINDOW)]) == ["1"]

    assert len({asked.body for asked in api.asked}) == 1


def test_what_asking_again_cannot_help_is_asked_once() -> None:
    with a_client(refuses("UnauthorizedOperation.CamNoAuth")) as (client, api), pytest.raises(Exception, match="CamNo"):
        client.describe_events(**WINDOW)

    assert len(api.asked) == 1


def a_track(client: CloudAudit) -> int:
    return client.create_audit_track(
        name="all-writes",
        action_type="Write",
        resource_type="*",
        event_names=["*"],
        status=True,
        storage=STORAGE,
        track_for_all_members=False,
        export_id="task",
    )


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refuses("InternalError"), InternalError),
        (Reply(reset=True), TransportError),
        (Reply(b"{", promised=5), BrokenAnswerError),
        (Reply(b"", 502), TransportError),
    ],
)
def test_a_write_that_may_have_been_done_is_not_sent_again(reply: Reply, error: type[Exception]) -> None:
    with a_client(reply) as (client, api), pytest.raises(error):
        a_track(client)

    assert len(api.asked) == 1


def test_a_write_that_was_not_let_in_is_sent_again() -> None:
    with a_client(refuses("RequestLimitExceeded"), says(TrackId=7)) as (client, api):
        assert a_track(client) == 7

    assert len(api.asked) == 2


def test_a_closed_client_does_not_ask_again() -> None:
    with a_client(refuses("RequestLimitExceeded")) as (client, api):
        client.close()
        with pytest.raises(RequestLimitExceeded):
            client.describe_events(**WINDOW)

    assert len(api.asked) == 1


# The clock


def strict_about_time(ahead: float) -> Any:
    """A server whose clock is *ahead* seconds ahead of this machine's, and that refuses what is five minutes off."""

    def script(asked: Asked) -> Reply:
        off = abs(int(asked.headers["x-tc-timestamp"]) - (time.time() + ahead))
        reply = refuses("AuthFailure.SignatureExpire", "signature expired") if off > 300 else a_page({"EventId": "1"})
        return Reply(reply.body, ahead=ahead)

    return script


@pytest.mark.parametrize("ahead", [423, -423, 86_400])
def test_a_clock_that_is_off_is_corrected_once_and_stays_so(ahead: int) -> None:
    with a_client(script=strict_about_time(ahead)) as (client, api):
        client.describe_events(**WINDOW)
        client.describe_events(**WINDOW)

    assert len(api.asked) == 3
    assert abs(client.clock.now() - time.time() - ahead) < 5


def test_a_clock_that_cannot_be_corrected_is_named() -> None:
    with (
        a_client(refuses("AuthFailure.SignatureExpire", "signature expired", ahead=423)) as (client, api),
        pytest.raises(AuthFailureSignatureExpire, match=r"this machine's clock is 7 min [0-9]+ s behind Tencent's"),
    ):
        client.describe_events(**WINDOW)

    assert len(api.asked) == 2


def test_a_server_that_does_not_say_the_time_is_named() -> None:
    with (
        a_client(refuses("AuthFailure.SignatureExpire", dated=False)) as (client, api),
        pytest.raises(AuthFailureSignatureExpire, match="is not known: the answer has no Date"),
    ):
        client.describe_events(**WINDOW)

    assert len(api.asked) == 1


def test_a_clock_that_is_right_is_not_blamed() -> None:
    with (
        a_client(refuses("AuthFailure.SignatureExpire")) as (client, api),
        pytest.raises(AuthFailureSignatureExpire, match="agrees with Tencent's"),
    ):
        client.describe_events(**WINDOW)

    assert len(api.asked) == 1


def test_the_window_is_checked_against_the_corrected_clock() -> None:
    clock = Clock(lambda: time.time() + 200 * 86_400)  # this machine believes it is next year
    with a_client(script=strict_about_time(0), clock=clock) as (client, _):
        with pytest.raises(LimitExceededOverTime):
            client.describe_events(**WINDOW)
        client.clock.measure(
            time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()), sent=clock.wall(), received=clock.wall()
        )
        client.clock.correct()

        assert client.describe_events(**WINDOW).list_over


# Credentials


class Rotating:
    """Gives a new token each time it is asked for a fresh one."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens

    def current(self, *, fresh: bool = False) -> Credentials:
        if fresh and len(self._tokens) > 1:
            self._tokens.pop(0)
        return Credentials(SECRET_ID, SECRET_KEY, self._tokens[0])


def wants(token: str) -> Any:
    def script(asked: Asked) -> Reply:
        return a_page() if asked.headers["x-tc-token"] == token else refuses("AuthFailure.TokenFailure")

    return script


def test_a_token_that_has_ended_is_renewed() -> None:
    with a_client(script=wants("new"), credentials=Rotating(["old", "new"])) as (client, api):
        assert client.describe_events(**WINDOW).list_over

    assert [asked.headers["x-tc-token"] for asked in api.asked] == ["old", "new"]


def test_a_token_that_cannot_be_renewed_is_not_tried_again() -> None:
    with (
        a_client(script=wants("new"), credentials=Rotating(["old"])) as (client, api),
        pytest.raises(AuthFailureTokenFailure),
    ):
        client.describe_events(**WINDOW)

    assert len(api.asked) == 1


def test_a_renewed_token_that_is_refused_too_is_the_end() -> None:
    with (
        a_client(script=wants("never"), credentials=Rotating(["a", "b", "c", "d"])) as (client, api),
        pytest.raises(AuthFailureTokenFailure),
    ):
        client.describe_events(**WINDOW)

    assert len(api.asked) == 2


# Tracking sets


def test_a_tracking_set_is_created_with_every_parameter() -> None:
    with a_client(says(TrackId="21915")) as (client, api):
        assert a_track(client) == 21915

    assert api.asked[0].parameters == {
        "Name": "all-writes",
        "ActionType": "Write",
        "ResourceType": "*",
        "EventNames": ["*"],
        "Status": 1,
        "Storage": {
            "StorageType": "cls",
            "StorageRegion": "ap-guangzhou",
            "StorageName": "topic",
            "StoragePrefix": "cloudaudit",
            "Compress": 1,
        },
        "TrackForAllMembers": 0,
        "ExportId": "task",
    }


def test_a_name_that_is_taken_is_its_own_error() -> None:
    with (
        a_client(refuses("InvalidParameterValue.AliasAlreadyExists")) as (client, _),
        pytest.raises(InvalidParameterValueAliasAlreadyExists),
    ):
        a_track(client)


def test_only_what_changes_is_sent() -> None:
    with a_client(says()) as (client, api):
        client.modify_audit_track(21915, status=False)

    assert (api.asked[0].action, api.asked[0].parameters) == ("ModifyAuditTrack", {"TrackId": 21915, "Status": 0})


def test_a_storage_in_part_is_not_sent() -> None:
    with a_client(says()) as (client, api), pytest.raises(MissingParameter, match=r"Storage\.StorageRegion"):
        client.modify_audit_track(21915, storage=Storage(storage_type="cls", storage_name="t"))

    assert api.asked == []


def test_a_tracking_set_is_deleted_by_number() -> None:
    with a_client(says()) as (client, api):
        client.delete_audit_track(21915)

    assert (api.asked[0].action, api.asked[0].parameters) == ("DeleteAuditTrack", {"TrackId": 21915})


def test_a_tracking_set_is_read_with_its_filters() -> None:
    fields = [{"ResourceType": "cam", "ActionType": "*", "EventNames": ["AddSubAccount"]}]
    with a_client(says(**{**TRACK, "Filters": {"ResourceFields": fields}})) as (client, _):
        track = client.describe_audit_track(21915)

    assert track.track_id == 21915
    assert track.enabled
    assert track.filters is not None
    assert track.filters.resource_fields is not None
    assert track.filters.resource_fields[0].event_names == ("AddSubAccount",)


def test_every_page_of_tracking_sets_is_read() -> None:
    def script(asked: Asked) -> Reply:
        number = asked.parameters["PageNumber"]
        return says(Tracks=[{**TRACK, "TrackId": number}] if number <= 3 else [], TotalCount=3)

    with a_client(script=script) as (client, api):
        assert [track.track_id for track in client.audit_tracks()] == [1, 2, 3]

    assert len(api.asked) == 3


def test_pages_of_tracking_sets_that_repeat_come_to_an_end() -> None:
    with a_client(says(Tracks=[TRACK], TotalCount=None)) as (client, api):
        assert [track.track_id for track in client.audit_tracks()] == [21915]

    assert len(api.asked) == 2


def test_coverage_looks_into_filters_where_a_set_has_them() -> None:
    whole = [{"ResourceType": "*", "ActionType": "Write", "EventNames": ["*"]}]

    def script(asked: Asked) -> Reply:
        if asked.action == "DescribeAuditTracks":
            return says(Tracks=[{"TrackId": 5, "Name": "many", "Status": 1, "ResourceType": ""}], TotalCount=1)
        return says(Name="many", Status=1, Filters={"ResourceFields": whole})

    with a_client(script=script) as (client, _):
        assert client.coverage().covered


def test_the_legacy_action_takes_every_parameter() -> None:
    with a_client(says(IsSuccess=1)) as (client, api):
        assert client.create_audit(
            audit_name="auditTest_1",
            cos_bucket_name="cos-01",
            cos_region="ap-shanghai",
            is_create_new_bucket=True,
            is_enable_cmq_notify=True,
            read_write_attribute=2,
            log_file_prefix="akshsb1j",
            is_create_new_queue=True,
            cmq_queue_name="cmq-01",
            cmq_region="sh",
            is_enable_kms_encry=True,
            kms_region="ap-shanghai",
            key_id="key",
        )

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
        "KeyId": "key",
    }


# Secrets


@pytest.mark.parametrize("signature", ["TC3-HMAC-SHA256", "HmacSHA1"])
@pytest.mark.parametrize(
    "reply",
    [
        refuses("AuthFailure.SignatureFailure", f"expected {SECRET_KEY}, got {TOKEN}\x1b[31m"),
        refuses(f"InternalError.{SECRET_KEY}", TOKEN),
        Reply(f"{SECRET_KEY} {TOKEN}".encode(), 500),
        Reply(f"{SECRET_KEY} {TOKEN}".encode(), 302, {"Location": f"http://127.0.0.1:1/?{TOKEN}"}),
        Reply(f'{{"Response": "{TOKEN}"}}'.encode()),
        Reply(reset=True),
        Reply(a_page().body[:5], promised=5),
    ],
)
def test_no_secret_reaches_an_error_a_repr_or_a_log(
    reply: Reply, signature: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        structlog.testing.capture_logs() as logs,
        a_client(reply, credentials=a_key(TOKEN), signature=signature) as (client, api),
        pytest.raises(Exception) as caught,
    ):
        client.describe_events(**WINDOW)

    output = capsys.readouterr()
    said = [str(caught.value), repr(caught.value), repr(caught.value.__dict__), repr(vars(client)), caplog.text]
    said += [repr(logs), output.out, output.err, repr(vars(client._api)), repr(client._api._credentials)]
    assert api.asked
    for text in said:
        assert SECRET_KEY not in text
        assert TOKEN not in text
        assert "\x1b" not in text


def test_clear_text_to_another_machine_is_warned_of() -> None:
    with structlog.testing.capture_logs() as logs:
        CloudAudit(a_key(), endpoint="http://203.0.113.7:80").close()
        CloudAudit(a_key(), endpoint="http://127.0.0.1:80").close()
        CloudAudit(a_key()).close()

    assert len(logs) == 1
    assert "not https" in logs[0]["event"]
