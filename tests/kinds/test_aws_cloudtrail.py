from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.event import Fields, Record
from engine.kinds import kind
from engine.kinds.aws_cloudtrail import NORM_READS
from tests.kinds.samples import AWS

RECORD: dict[str, Any] = {
    "eventVersion": "1.08",
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:session",
        "arn": "arn:aws:sts::123456789012:assumed-role/deployer/session",
        "accountId": "123456789012",
        "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "userName": "deployer"},
            "attributes": {"mfaAuthenticated": "false", "creationDate": "2026-01-01T00:00:00Z"},
        },
    },
    "eventTime": "2026-01-01T00:00:05Z",
    "eventSource": "iam.amazonaws.com",
    "eventName": "CreateUser",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "203.0.113.7",
    "requestParameters": {"userName": "eve", "policyDocument": '{"Statement": [{"Effect":  "Allow"}]}'},
    "responseElements": None,
    "eventID": "c0ffee00-1111-4222-8333-444455556666",
    "readOnly": False,
    "managementEvent": True,
    "recipientAccountId": "123456789012",
}


def view(**sample: Any) -> Fields:
    return AWS.view(sample)


def test_a_record_keeps_its_names_and_types() -> None:
    event = AWS.decode(Record(json.dumps(RECORD).encode())).event

    assert event is not None
    assert event.identity == ("aws.cloudtrail", "123456789012", "c0ffee00-1111-4222-8333-444455556666")
    assert event.time == 1767225605
    assert {name: value for name, value in event.fields.items() if name != "norm"} == {
        name: value for name, value in RECORD.items() if value is not None
    }
    assert event.fields["norm"] == {
        "action": "CreateUser",
        "service": "iam",
        "outcome": "ok",
        "actor": "deployer",
        "actor_type": "role",
        "account": "123456789012",
        "region": "us-east-1",
        "ip": "203.0.113.7",
        "time": 1767225605,
        "mfa": False,
    }


def test_each_field_can_be_read_by_itself() -> None:
    sample = {**RECORD, "newToken": "x" * 9, "additionalEventData": {"MFAUsed": "Yes"}}
    whole = AWS.view(sample)

    assert all(AWS.field(name, value) == whole.get(name) for name, value in sample.items())
    assert AWS.norm({name: whole[name] for name in NORM_READS if name in whole}) == whole["norm"]


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, "ok"),
        ({"errorCode": "AccessDenied"}, "denied"),
        ({"errorCode": "AccessDeniedException"}, "denied"),
        ({"errorCode": "Client.UnauthorizedOperation"}, "denied"),
        ({"errorCode": "UnauthorizedAccess"}, "denied"),
        ({"errorCode": "NoSuchBucket"}, "failed"),
        ({"errorCode": "Client.DryRunOperation"}, "failed"),
        ({"errorMessage": "Failed authentication"}, "denied"),
        ({"eventSource": "signin.amazonaws.com", "responseElements": {"ConsoleLogin": "Failure"}}, "denied"),
        ({"eventSource": "signin.amazonaws.com", "responseElements": {"ConsoleLogin": "Success"}}, "ok"),
    ],
)
def test_the_outcome(fields: dict[str, Any], outcome: str) -> None:
    assert view(**fields)["norm"]["outcome"] == outcome


@pytest.mark.parametrize(
    ("identity", "actor_type", "actor"),
    [
        ({"type": "Root", "arn": "arn:aws:iam::1:root"}, "root", "root"),
        ({"type": "IAMUser", "userName": "ann"}, "user", "ann"),
        ({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/deployer/i-1"}, "role", "deployer"),
        ({"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}, "service", "cloudtrail.amazonaws.com"),
        ({"type": "FederatedUser", "principalId": "1:ann"}, "user", "1:ann"),
        ({"type": "AWSAccount", "accountId": "210987654321"}, "unknown", "210987654321"),
        ({}, "unknown", None),
    ],
)
def test_who_it_was(identity: dict[str, Any], actor_type: str, actor: str | None) -> None:
    norm = view(userIdentity=identity)["norm"]

    assert (norm["actor_type"], norm.get("actor")) == (actor_type, actor)


@pytest.mark.parametrize(
    ("fields", "mfa"),
    [
        ({"additionalEventData": {"MFAUsed": "Yes"}}, True),
        ({"additionalEventData": {"MFAUsed": "No"}}, False),
        ({"userIdentity": {"sessionContext": {"attributes": {"mfaAuthenticated": "true"}}}}, True),
        ({}, None),
    ],
)
def test_the_second_factor(fields: dict[str, Any], mfa: bool | None) -> None:
    assert view(**fields)["norm"].get("mfa") is mfa


@pytest.mark.parametrize("name", ["AWS Internal", "ec2.amazonaws.com", "", None])
def test_the_name_of_a_service_is_no_address(name: str | None) -> None:
    assert "ip" not in view(sourceIPAddress=name)["norm"]


def test_a_record_without_an_id_is_known_by_its_content() -> None:
    one = AWS.decode(Record(json.dumps({**RECORD, "eventID": None}).encode())).event
    two = AWS.decode(Record(json.dumps(dict(reversed({**RECORD, "eventID": None}.items())), indent=1).encode())).event

    assert one is not None
    assert two is not None
    assert one.identity == two.identity
    assert one.event_id.startswith("body-")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"a": 1}', b'{"eventName": "X"', b"\xff"])
def test_what_is_no_record_is_quarantined(raw: bytes) -> None:
    result = AWS.decode(Record(raw, "x:1"))

    assert result.event is None
    assert result.quarantined is not None
    assert result.quarantined.kind == "aws.cloudtrail"


@given(
    st.dictionaries(
        st.sampled_from([field.path for field in AWS.fields if "." not in field.path]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda children: st.lists(children) | st.dictionaries(st.text(), children),
            max_leaves=5,
        ),
    )
)
def test_decoding_any_values_never_raises_and_the_fast_way_agrees_with_the_careful_one(value: dict[str, Any]) -> None:
    raw = json.dumps(value).encode()
    result = AWS.decode(Record(raw))

    assert result.event is not None or result.quarantined is not None
    if result.event is not None:
        careful = AWS._slow(raw, Record(raw)).event
        assert careful is not None
        assert result.event.identity == careful.identity
        assert result.event.time == careful.time
        json.dumps(result.event.fields, ensure_ascii=False).encode()


# Real records, where they are at hand

SHARED = Path(os.environ.get("TOCSIN_SHARED") or Path(__file__).resolve().parents[2].parent / "shared") / "data"


def real_records() -> Iterator[dict[str, Any]]:
    for name in ("misc-real-events", "panther-tests", "stratus", "traildiscover"):
        for line in (SHARED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            value = json.loads(line)
            yield value.get("event", value)
    with gzip.open(SHARED / "benign-aws-service-events.jsonl.gz") as lines:
        for line_bytes in lines:
            yield json.loads(line_bytes)


def differences(one: Any, two: Any, path: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(two, dict):
        for name, value in one.items():
            yield from differences(value, two.get(name), f"{path}.{name}")
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for left, right in zip(one, two, strict=True):
            yield from differences(left, right, path)
    elif one != two:
        yield path


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real events are not at hand")
def test_of_real_records_nothing_changes_but_session_tokens() -> None:
    changed: set[str] = set()
    outcomes: set[tuple[str, bool]] = set()
    for record in real_records():
        event = AWS.decode(Record(json.dumps(record).encode())).event
        assert event is not None
        changed.update(differences(record, event.fields, ""))
        outcomes.add((event.fields["norm"]["outcome"], "errorCode" in record))

    assert changed == {".responseElements.credentials.sessionToken"}
    assert ("ok", True) not in outcomes


def test_a_number_out_of_range_where_the_account_should_be_does_not_end_the_decoding() -> None:
    raw = (
        b'{"eventName": "A", "eventID": "1", "eventTime": "2023-01-01T00:00:00Z",'
        b' "userIdentity": {"accountId": "1", "n": 1e999}}'
    )

    event = kind("aws.cloudtrail", redaction_key=b"k" * 32).decode(Record(raw)).event

    assert event is not None
    assert event.account == "1"
    assert event.fields["userIdentity"] == {"accountId": "1", "n": None}
