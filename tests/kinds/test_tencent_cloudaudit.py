from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.event import Fields, Record
from engine.kinds import kind
from engine.kinds.tencent_cloudaudit import NORM_READS
from tests.kinds.samples import EVENTS, TENCENT, decoded, fields_of, inner, outer, outer_events

EXAMPLES = sorted(path.name for path in EVENTS.glob("*.json"))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=6,
)


def view(**sample: Any) -> Fields:
    return TENCENT.view(sample)


# The vintages


def test_2017_objects_texts_and_times_in_china_become_uniform() -> None:
    event = decoded(outer_events("2017-lookup-events.response.json")[1]).event

    assert event is not None
    assert event.identity == ("tencent.cloudaudit", "91000000009", "7f59b78fec0ffe363b8cd30aad159cc31")
    assert event.time == event.fields["eventTime"] == 1509609413  # 2017-11-02 15:56:53 in UTC+8
    assert event.fields["eventVersion"] == "1.0"
    assert event.fields["requestID"] == "1603560497"
    assert event.fields["resources"] == ["*"]
    assert event.fields["eventRegion"] == "gz"
    assert event.fields["requestParameters"]["Action"] == "LookupEvents"
    assert "actionType" not in event.fields
    session = event.fields["userIdentity"]["sessionContext"]
    assert session["mfa"] is False
    assert session["uin"] == "91000000009"
    assert session["expireTime"] == 1509611206
    assert "extraInfo" not in session
    assert event.fields["norm"] == {
        "action": "LookupEvents",
        "service": "cloudaudit",
        "outcome": "ok",
        "actor": "root",
        "actor_type": "root",
        "account": "91000000009",
        "region": "gz",
        "ip": "14.17.22.36",
        "time": 1509609413,
        "mfa": False,
    }


def test_2017_json_below_request_parameters_is_opened() -> None:
    parameters = fields_of("2017-lookup-events.response.json")["requestParameters"]

    assert parameters["LookupAttributes"] == [{"AttributeKey": "string", "AttributeValue": "LookupEvents"}]


def test_2019_integers_become_ids_and_the_request_agrees_with_the_time() -> None:
    fields = fields_of("2019-lookup-events.response.json")

    assert fields["errorCode"] == "0"
    assert fields["apiErrorCode"] == "0"
    assert fields["userIdentity"]["accountId"] == "1150691759"
    assert fields["userIdentity"]["sessionContext"]["appId"] == "1251840716"
    assert fields["resources"] == []
    assert 0 <= fields["eventTime"] - int(fields["requestParameters"]["Timestamp"]) < 60
    assert fields["Location"] == "未知"


def test_2021_without_outer_ids_the_inner_ones_count() -> None:
    event = decoded(outer_events("2021-look-up-events.response.json")[0]).event

    assert event is not None
    assert event.identity == ("tencent.cloudaudit", "100000000000", "c8c04477-eb9e-4703-84ae-f8758c6084ff")
    assert event.fields["@timestamp"] == 1610696159  # UTC, although it does not say so
    assert event.fields["updateEsTime"] == 16106961641644206
    assert event.fields["isRisk"] is False
    assert event.fields["norm"]["ip"] == "163.177.68.30"  # 9.83.55.32 is the console's back end
    assert "mfaExpireTime" not in event.fields["userIdentity"]["sessionContext"]  # 0000-00-00 00:00:00


def test_2021_a_call_without_session_key_and_parameters_has_none() -> None:
    fields = fields_of("2021-create-cbs-storages.json")

    assert fields["resources"] == [
        "qcs::cvm:gz:uin/100000000073:volume/*",
        "qcs:id/1196468:cvm:gz:uin/100000000073:snapshot/snap-6ixzjp6d",
    ]
    assert "requestParameters" not in fields
    assert "sessionContext" not in fields["userIdentity"]
    assert fields["userIdentity"]["secretId"] == ""
    assert fields["norm"]["actor_type"] == "user"
    assert fields["norm"]["actor"] == "100000000048"
    assert "ip" not in fields["norm"]
    assert "mfa" not in fields["norm"]


def test_2022_flags_are_booleans_and_the_fourth_level_of_json_is_open() -> None:
    fields = fields_of("2022-unbind-account.json")

    assert fields["sensitiveAction"] is True
    assert fields["tags"] == []
    assert fields["cliIp"] == "203.0.113.162"
    assert fields["userIdentity"]["sessionContext"]["mfa"] is True
    assert fields["userIdentity"]["sessionContext"]["extraInfo"] == {
        "dictId": "2342",
        "mfaExpireTime": 1660633507,
        "sessionUin": "5000",
    }
    assert fields["norm"]["mfa"] is True


def test_2022_one_session_token_is_one_token_wherever_it_stands() -> None:
    fields = fields_of("2022-unbind-account.json")

    assert fields["requestParameters"]["Token"] == fields["userIdentity"]["sessionContext"]["token"]
    assert fields["requestParameters"]["Token"].startswith("[secret:")
    assert fields["requestParameters"]["SecretId"] == fields["userIdentity"]["secretId"]
    assert fields["requestParameters"]["SecretId"].startswith("AKIDREDA[secret:")


def test_2023_parameters_and_answer_are_objects() -> None:
    fields = fields_of("2023-create-audit-track.response.json")

    assert fields["requestParameters"]["EventNames"] == ["*"]
    assert fields["requestParameters"]["Storage"]["StorageType"] == "cls"
    assert fields["responseElements"]["TrackId"] == 21915
    assert fields["resourceSet"] == []
    assert fields["EventNameCn"] == "创建操作审计跟踪集"
    assert fields["norm"]["account"] == "100004293724"
    assert "@timestamp" not in fields


def test_2025_an_empty_inner_event_is_filled_from_the_outer_one() -> None:
    fields = fields_of("2025-console-login.json")

    assert fields["eventName"] == "ConsoleLogin"
    assert fields["userIdentity"]["userName"] == "console"
    assert fields["userIdentity"]["accountId"] == "1000100007530"
    assert fields["norm"]["outcome"] == "denied"
    assert fields["norm"]["actor_type"] == "unknown"


def test_a_denied_call_is_denied() -> None:
    assert fields_of("synthetic-denied-call-cam-error.json")["norm"]["outcome"] == "denied"


def test_a_role_is_a_role() -> None:
    norm = fields_of("synthetic-assumed-role-delete-bucket.json")["norm"]

    assert (norm["actor_type"], norm["actor"]) == ("role", "ci-deployer")


@pytest.mark.parametrize("name", EXAMPLES)
def test_outer_and_inner_form_of_an_event_are_one_event(name: str) -> None:
    for event in outer_events(name):
        whole = decoded(event).event
        alone = decoded(event["CloudAuditEvent"].encode()).event
        if whole is None or alone is None:
            assert name == "2025-console-login.json"  # its inner event is {"userIdentity": {}}
            continue
        if "2023" not in name and "2025" not in name:  # there Tencent masked the account in one of the two
            assert alone.identity == whole.identity
            assert (alone.time, alone.name) == (whole.time, whole.name)
        missing = {"Location", "ResourceTypeCn", "EventNameCn", "ResourceRegion", "_synthetic", "norm"}
        assert {k: v for k, v in whole.fields.items() if k not in missing | {"userIdentity"}} == {
            k: v for k, v in alone.fields.items() if k not in missing | {"userIdentity"}
        } or "2025" in name


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_public_example_is_quarantined_and_every_one_has_evidence(name: str) -> None:
    for event in outer_events(name):
        result = decoded(event)
        assert result.quarantined is None
        assert result.event is not None
        evidence = json.loads(TENCENT.evidence(result.event.raw))
        assert evidence["EventName"] == result.event.name
        assert json.loads(evidence["CloudAuditEvent"])


# Types


ODD_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    2,
    -1,
    1.5,
    10**20,
    "",
    "0",
    "1",
    "x",
    " ",
    "null",
    [],
    [""],
    {},
    {"a": 1},
]
PYTHON_TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}


def placed(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    assert isinstance(value, dict)
    return value


def found(fields: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(fields, dict):
            return None
        fields = fields.get(name)
    return fields


@given(value=JSON | st.sampled_from(ODD_VALUES), data=st.data())
@settings(max_examples=300)
def test_every_documented_field_has_its_one_type_whatever_it_was(value: Any, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from([field for field in TENCENT.fields if field.type != "any"]))

    result = found(view(**placed(field.path, value)), field.path)

    expected = PYTHON_TYPES[field.type]
    assert result is None or type(result) is expected, (field.path, value)


@pytest.mark.parametrize("field", TENCENT.fields, ids=lambda field: field.path)
def test_a_field_that_can_be_absent_says_so(field: Any) -> None:
    assert field.nullable or field.path in view()


@pytest.mark.parametrize("success", [0, "0", "", None, False, "null"])
def test_every_spelling_of_no_error_is_success(success: Any) -> None:
    fields = view(errorCode=success, apiErrorCode=success)

    assert (fields["errorCode"], fields["apiErrorCode"], fields["norm"]["outcome"]) == ("0", "0", "ok")


@pytest.mark.parametrize(
    ("given_", "flag"), [("1", True), (1, True), (True, True), ("", False), ("0", False), (0, False)]
)
def test_a_flag_is_a_boolean(given_: Any, flag: bool) -> None:
    assert view(sensitiveAction=given_)["sensitiveAction"] is flag


def test_an_unknown_second_factor_is_neither_yes_nor_no() -> None:
    assert "mfa" not in view(userIdentity={"sessionContext": {"mfa": ""}})["norm"]


@pytest.mark.parametrize(
    ("given_", "seconds"),
    [
        (1680513809, 1680513809),
        ("1680513809", 1680513809),
        (1680513809.9, 1680513809),
        (1680513809123, 1680513809),
        ("2019-03-20 12:36:27", 1553056587),
        ("2019-03-20T04:36:27Z", 1553056587),
        ("2019-03-20T12:36:27+08:00", 1553056587),
        ("0000-00-00 00:00:00", None),
        ("", None),
        ("yesterday", None),
        (-5, None),
        (10**30, None),
        ([], None),
    ],
)
def test_times_are_epoch_seconds(given_: Any, seconds: int | None) -> None:
    assert view(eventTime=given_).get("eventTime") == seconds


@pytest.mark.parametrize(
    ("given_", "uniform"),
    [("root", "Root"), ("Root", "Root"), ("user", "CAMUser"), ("CAMUSER", "CAMUser"), ("Federated", "Federated")],
)
def test_identity_types_have_one_spelling(given_: str, uniform: str) -> None:
    assert view(userIdentity={"type": given_})["userIdentity"]["type"] == uniform


def test_an_integer_above_2_to_the_53rd_stays_exact() -> None:
    assert view(updateEsTime="16106961641644206")["updateEsTime"] == 16106961641644206


@pytest.mark.parametrize(
    ("given_", "tags"),
    [
        ([""], []),
        ("", []),
        ('{"key":"projectId","value":"0"}', [{"key": "projectId", "value": "0"}]),
        ('[{"key":"a","value":"b"}]', [{"key": "a", "value": "b"}]),
        (['{"key":"a","value":"b"}'], [{"key": "a", "value": "b"}]),
    ],
)
def test_tags_are_a_list_of_objects(given_: Any, tags: list[Any]) -> None:
    assert view(tags=given_)["tags"] == tags


# Nested JSON


def test_a_policy_document_is_opened_as_text_and_percent_encoded() -> None:
    policy = {"version": "2.0", "statement": [{"effect": "allow", "action": "*", "resource": "*"}]}
    text = json.dumps(policy)

    for document in (policy, text, quote(text), quote(quote(text)), json.dumps(text)):
        fields = view(requestParameters=json.dumps({"PolicyDocument": document}))
        assert fields["requestParameters"]["PolicyDocument"] == policy


@pytest.mark.parametrize("text", ["plain", "{not json", "[1, 2", "{}}", "%7Bnope", '"quoted"'])
def test_text_that_is_no_json_stays_text(text: str) -> None:
    assert view(requestParameters=text)["requestParameters"] == text


@pytest.mark.parametrize("empty", ["", "null", None])
def test_an_empty_text_where_an_object_belongs_is_absent(empty: Any) -> None:
    fields = view(requestParameters=empty, responseElements=empty, userIdentity={"sessionContext": empty})

    assert "requestParameters" not in fields
    assert "sessionContext" not in fields["userIdentity"]


def test_json_is_opened_to_any_depth_that_a_format_has() -> None:
    value: Any = {"Action": "x"}
    for _ in range(6):
        value = {"inner": json.dumps(value)}

    opened = view(requestParameters=value)["requestParameters"]

    for _ in range(6):
        opened = opened["inner"]
    assert opened == {"Action": "x"}


def test_json_below_the_limit_of_depth_stays_text() -> None:
    value: Any = {"text": '{"a": 1}'}
    for _ in range(40):
        value = {"inner": value}

    opened = view(requestParameters=value)["requestParameters"]

    for _ in range(40):
        opened = opened["inner"]
    assert opened == {"text": '{"a": 1}'}


def test_a_session_that_is_no_object_is_kept_as_its_text() -> None:
    assert view(userIdentity={"sessionContext": "strange"})["userIdentity"]["sessionContext"] == {"text": "strange"}


# norm


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ({"errorCode": "4102"}, "denied"),
        ({"errorCode": 4102}, "denied"),
        ({"apiErrorCode": "UnauthorizedOperation"}, "denied"),
        ({"apiErrorCode": "UnauthorizedOperation.CamNoAuth"}, "denied"),
        ({"apiErrorCode": "AuthFailure.UnauthorizedOperation"}, "denied"),
        ({"apiErrorCode": "FailedOperation.Unauthorized"}, "denied"),
        ({"apiErrorCode": "AccessDenied"}, "denied"),
        ({"apiErrorCode": "InvalidParameter"}, "failed"),
        ({"apiErrorCode": 4000}, "failed"),
        ({"errorMessage": "permission verify"}, "ok"),
        ({"errorCode": "0", "errorMessage": "end verify!permission verify"}, "ok"),
    ],
)
def test_the_outcome_comes_from_codes_and_never_from_messages(errors: dict[str, Any], outcome: str) -> None:
    assert view(**errors)["norm"]["outcome"] == outcome


@pytest.mark.parametrize(
    ("identity", "actor_type"),
    [
        ({"type": "Root"}, "root"),
        ({"type": "root"}, "root"),
        ({"principalId": 1, "accountId": "1"}, "root"),
        ({"type": "CAMUser", "principalId": "1", "accountId": "1"}, "root"),
        ({"userName": "root"}, "root"),
        ({"type": "CAMUser", "userName": "root", "principalId": "2", "accountId": "1"}, "user"),
        ({"type": "user"}, "user"),
        ({"type": "AssumedRole", "principalId": "1", "accountId": "1"}, "role"),
        ({"type": "assumedrole"}, "role"),
        ({"type": "Martian"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_who_it_was(identity: dict[str, Any], actor_type: str) -> None:
    assert view(userIdentity=identity)["norm"]["actor_type"] == actor_type


def test_what_the_platform_does_is_done_by_a_service() -> None:
    assert view(userIdentity={"type": "Root"}, eventPlatform="1")["norm"]["actor_type"] == "service"


@pytest.mark.parametrize(
    ("fields", "ip"),
    [
        ({"sourceIPAddress": "203.0.113.7", "cliIp": "198.51.100.1"}, "203.0.113.7"),
        ({"sourceIPAddress": "", "cliIp": "198.51.100.1"}, "198.51.100.1"),
        ({"sourceIPAddress": "9.1.2.3", "userIdentity": {"sessionContext": {"userIp": "203.0.113.9"}}}, "203.0.113.9"),
        ({"sourceIPAddress": "9.1.2.3", "cliIp": "10.0.0.1"}, "9.1.2.3"),
        ({"sourceIPAddress": "2001:db8::1"}, "2001:db8::1"),
        ({"sourceIPAddress": "<!channel>", "cliIp": "198.51.100.1"}, "198.51.100.1"),
        ({"sourceIPAddress": "203.0.113.7, 10.0.0.1"}, "203.0.113.7"),
        ({}, None),
    ],
)
def test_the_address_is_the_callers(fields: dict[str, Any], ip: str | None) -> None:
    assert view(**fields)["norm"].get("ip") == ip


def test_the_service_is_the_product() -> None:
    assert view(resourceType="CVM")["norm"]["service"] == "cvm"
    assert view(eventSource="cam.tencentcloudapi.com")["norm"]["service"] == "cam"


def test_norm_cannot_be_given() -> None:
    assert view(norm={"actor_type": "service"})["norm"]["actor_type"] == "unknown"


# Rule tests


def test_a_few_fields_of_a_hand_written_event_are_enough() -> None:
    fields = view(eventName="ConsoleLogin", userIdentity={"type": "Root"})

    assert fields == {
        "errorCode": "0",
        "apiErrorCode": "0",
        "eventName": "ConsoleLogin",
        "userIdentity": {"type": "Root"},
        "norm": {"action": "ConsoleLogin", "outcome": "ok", "actor": "root", "actor_type": "root"},
    }


def test_a_hand_written_event_may_be_an_outer_one() -> None:
    fields = TENCENT.view(outer({"eventName": "RunInstances", "userIdentity": {"type": "CAMUser"}}))

    assert fields["norm"]["actor"] == "alice"


def test_a_hand_written_event_is_not_changed() -> None:
    sample = {"eventName": "X", "requestParameters": {"Password": "hunter2hunter2", "Data": '{"a": 1}'}}
    copy = json.loads(json.dumps(sample))

    TENCENT.view(sample)

    assert sample == copy


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_view_of_a_real_event_is_what_decoding_gives(name: str) -> None:
    for event in outer_events(name):
        result = decoded(event)
        assert result.event is not None
        assert TENCENT.view(event) == result.event.fields


# Identity


def test_without_an_id_the_body_stands_in_and_is_the_same_however_it_is_read() -> None:
    body = inner(eventID=None)
    again = dict(reversed(list({**body, "updateEsTime": 1, "@timestamp": "2021-01-15T07:35:59"}.items())))
    ids = {
        decoded(value).event.event_id  # type: ignore[union-attr]  # a missing event fails the test
        for value in (body, again, outer(body, EventId=""), outer(again, EventId=None))
    }

    assert len(ids) == 1
    assert ids.pop().startswith("body-")


def test_without_any_account_it_is_empty() -> None:
    event = decoded(inner(userIdentity={})).event

    assert event is not None
    assert event.account == ""


def test_the_owner_of_the_session_is_the_last_resort_for_the_account() -> None:
    event = decoded(inner(userIdentity={"sessionContext": '{"ownerUin": 100000000001}'})).event

    assert event is not None
    assert event.account == event.fields["norm"]["account"] == "100000000001"


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: JSON | st.sampled_from(["RunInstances", "1680513809", 1680513809, "AKID" + "x" * 32, ""])
            for name in ("eventID", "eventName", "eventTime", "userIdentity", "errorCode")
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            name: JSON | st.sampled_from(["RunInstances", "1680513809", 1680513809, "AKID" + "x" * 32, ""])
            for name in ("EventId", "EventName", "EventTime", "AccountID")
        },
    ),
    st.sampled_from(["inner", "outer", "outer text"]),
)
@settings(max_examples=300)
def test_the_fast_way_to_an_identity_gives_what_the_careful_one_gives(
    inside: dict[str, Any], outside: dict[str, Any], form: str
) -> None:
    value = {
        "inner": inside,
        "outer": {**outside, "CloudAuditEvent": inside},
        "outer text": {**outside, "CloudAuditEvent": json.dumps(inside)},
    }[form]
    raw = json.dumps(value).encode()

    fast = TENCENT._fast(raw)

    if fast is not None:
        slow = TENCENT._slow(raw, Record(raw)).event
        assert slow is not None
        assert (fast.identity, fast.time, fast.name) == (slow.identity, slow.time, slow.name)


# Quarantine


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b"\x00", "not JSON"),
        (b"hello", "not JSON"),
        (b'{"eventName": "Run', "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "no CloudAudit event"),
        (b'{"foo": 1}', "no CloudAudit event"),
        (b'{"eventName": "X", "a": ' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper than 200"),
        (b'{"eventName": "X", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested deeper than 200"),
        (b'{"eventName": "X", "a": "' + b"x" * 5 * 1024 * 1024 + b'"}', "larger than 5 MB"),
        (b"\xff\xfe{\x00}\x00", "not JSON"),
    ],
    ids=range(13),
)
def test_what_is_no_event_is_quarantined_with_the_reason(raw: bytes, reason: str) -> None:
    result = decoded(raw)

    assert result.event is None
    assert result.quarantined is not None
    assert reason in result.quarantined.reason
    assert result.quarantined.place == "test:1"
    assert result.quarantined.kind == "tencent.cloudaudit"


@pytest.mark.parametrize("broken", ["", "{", "not json", "[]", "7", '{"eventName": "X"', None, 5, []])
def test_an_unreadable_inner_event_is_quarantined_and_the_outer_fields_stand_in(broken: Any) -> None:
    result = decoded(outer("x", CloudAuditEvent=broken, Resources={"ResourceType": "cvm", "ResourceName": "ins-1"}))

    assert result.quarantined is not None
    assert "CloudAuditEvent" in result.quarantined.reason
    assert result.event is not None
    assert result.event.event_id == "11111111-2222-4333-8444-555555555555"
    assert result.event.fields == {
        "eventID": "11111111-2222-4333-8444-555555555555",
        "eventName": "RunInstances",
        "eventTime": 1680513809,
        "errorCode": "0",
        "apiErrorCode": "0",
        "sourceIPAddress": "203.0.113.7",
        "resourceType": "cvm",
        "resourceName": "ins-1",
        "userIdentity": {"userName": "alice", "accountId": "100000000001"},
        "norm": {
            "action": "RunInstances",
            "service": "cvm",
            "outcome": "ok",
            "actor": "alice",
            "actor_type": "unknown",
            "account": "100000000001",
            "ip": "203.0.113.7",
            "time": 1680513809,
        },
    }


def test_an_event_without_a_time_is_an_event_and_reported() -> None:
    result = decoded(inner(eventTime="soon", **{"@timestamp": "2021-01-15T07:35:59.1"}))

    assert result.event is not None
    assert result.event.time == 1610696159
    assert result.quarantined is not None
    assert "eventTime" in result.quarantined.reason


def test_bytes_that_are_no_utf8_cost_those_bytes_only() -> None:
    raw = json.dumps(inner(userAgent="QQ")).encode().replace(b"QQ", b"\xff\xfe")
    result = decoded(raw)

    assert result.event is not None
    assert result.event.fields["userAgent"] == "\ufffd\ufffd"
    assert result.quarantined is not None
    assert "UTF-8" in result.quarantined.reason


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (rb'"\ud800"', "\ufffd"),
        (rb'"a\u0000b"', "a\ufffdb"),
        (b'"a\tb"', "a\tb"),
        (b"NaN", None),
        (b"1e999", None),
        (b"-Infinity", None),
        (b"18446744073709551616", 18446744073709551616),
        (b"9" * 400, int("9" * 400)),
        (b"9" * 5000, None),
        (b'1, "X": 2', 2),
    ],
)
def test_what_one_decoder_refuses_the_next_one_reads(raw: bytes, value: Any) -> None:
    text = json.dumps(inner(requestParameters={"X": "HERE"})).encode().replace(b'"HERE"', raw)

    for record in (text, json.dumps(outer(text.decode())).encode()):
        result = decoded(record)
        assert result.quarantined is None
        assert result.event is not None
        assert result.event.fields["requestParameters"] == {"X": value}
        json.dumps(result.event.fields, ensure_ascii=False).encode()


def test_a_byte_order_mark_is_ignored() -> None:
    result = decoded(b"\xef\xbb\xbf" + json.dumps(inner()).encode())

    assert result.quarantined is None
    assert result.event is not None
    assert result.event.fields["eventName"] == "RunInstances"


def test_large_records_are_kept_in_part_with_a_digest() -> None:
    quarantined = decoded(b'{"a": "' + b"x" * 6_000_000).quarantined

    assert quarantined is not None
    assert len(quarantined.raw) <= 1024 * 1024
    assert "SHA-256" in quarantined.reason


def assert_total(raw: bytes) -> None:
    result = decoded(raw)
    assert result.event is not None or result.quarantined is not None
    if result.event is not None:
        text = json.dumps(result.event.fields, ensure_ascii=False)
        text.encode()
        assert "\x00" not in text
        assert result.event.fields["norm"]["outcome"] in ("ok", "denied", "failed")
        "".join(result.event.identity).encode()
        assert 0 <= result.event.time < 253_402_300_800
        json.loads(TENCENT.evidence(raw))
    TENCENT.evidence(raw).encode()


@given(st.binary(max_size=200))
def test_decoding_any_bytes_never_raises(raw: bytes) -> None:
    assert_total(raw)


@given(JSON)
def test_decoding_any_json_never_raises(value: Any) -> None:
    assert_total(json.dumps(value).encode())


@given(
    st.dictionaries(
        st.sampled_from([field.path for field in TENCENT.fields if "." not in field.path] + ["AccountID", "Resources"]),
        JSON | JSON.map(json.dumps),
        max_size=6,
    ),
    st.booleans(),
)
@settings(max_examples=200)
@example(fields={"eventID": "1", "updateEsTime": -1}, wrapped=False)
@example(fields={"eventID": "1", "updateEsTime": 10**30}, wrapped=True)
def test_decoding_any_values_of_known_fields_never_raises(fields: dict[str, Any], wrapped: bool) -> None:
    assert_total(json.dumps(outer(fields) if wrapped else fields).encode())


@given(name=st.sampled_from(EXAMPLES), data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_decoding_damaged_real_events_never_raises(name: str, data: st.DataObject) -> None:
    raw = bytearray(json.dumps(outer_events(name)[0]).encode())
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert_total(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


# A projection decodes single fields


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_field_can_be_read_by_itself(name: str) -> None:
    for event in outer_events(name):
        sample = {
            **json.loads(event["CloudAuditEvent"]),
            "newField": {"Password": "hunter2hunter2"},
            "newToken": "x" * 9,
        }
        whole = TENCENT.view(sample)
        for field, value in sample.items():
            assert TENCENT.field(field, value) == whole.get(field)
        assert TENCENT.norm({field: whole[field] for field in NORM_READS if field in whole}) == whole["norm"]


def test_the_kind_is_found_by_name() -> None:
    assert kind("tencent.cloudaudit", redaction_key=b"k").name == "tencent.cloudaudit"


def test_a_nul_whose_escape_is_escaped_is_replaced_in_views_too() -> None:
    inner = '{"eventName":"A","eventID":"1","eventTime":1700000000,"userIdentity":{"accountId":"1"},"resources":["a\\u000\\u0030"]}'
    raw = ('{"AccountID":1,"CloudAuditEvent":' + json.dumps(inner).replace("\\\\u0030", "\\u0030") + "}").encode()

    event = kind("tencent.cloudaudit", redaction_key=b"k" * 32).decode(Record(raw)).event

    assert event is not None
    assert event.view["resources"] == event.fields["resources"] == ["a\ufffd"]
