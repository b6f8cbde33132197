"""What a view reads of a record, path by path, is what the full decode has there, whatever types the record came in."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.event import SEPARATOR, Record, walked
from engine.kinds import NORM_FIELDS, kind
from engine.kinds.aws_cloudtrail import ROWS as AWS_ROWS
from engine.kinds.tencent_cloudaudit import ROWS as TENCENT_ROWS
from engine.kinds.tencent_cloudaudit import TWINS

KEY = b"k" * 32
MEMBERS = [
    "a",
    "Value",
    "Key",
    "password",
    "Token",
    "secretId",
    "text",
    "credentials",
    "Ingress",
    "policy document",
    "é",
    "a\x00",
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.integers(10**9, 10**19)
    | st.floats(-2, 2)
    | st.sampled_from(
        ["", "0", "null", "1", "false", "Root", "root", "2019-03-20 12:36:27", "1680513809", "10.1.2.3", "9.1.2.3, 8.8.8.8",
         "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0000", "password=hunter22222", "é漢", "UnauthorizedOperation.CamNoAuth",
         "{", "[", "%7B%22a%22%3A1%7D", '"{\\"a\\": 1}"', '{"\\u0061": 2}', "[1, 2", "a\x00b", "signin.amazonaws.com"]
    )
)  # fmt: skip


def as_text(values: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return values.map(json.dumps) | values.map(lambda value: json.dumps(value, ensure_ascii=False))


def nested(names: list[str]) -> st.SearchStrategy[Any]:
    def deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        objects = st.dictionaries(st.sampled_from(names), inner, max_size=4)
        return st.lists(inner, max_size=3) | objects | as_text(objects) | as_text(inner)

    return st.recursive(scalars, deeper, max_leaves=10)


def objects(names: list[str], below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    of = st.dictionaries(st.sampled_from(names), below, max_size=6)
    return of | as_text(of) | below


values = nested(MEMBERS)


def records(rows: Any, identity: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    tops = [row.path for row in rows if "." not in row.path]
    fields = dict.fromkeys(tops, values) | {"userIdentity": identity, "unknownField": values, "Value": values}
    fields["eventName"] = fields["eventID"] = st.sampled_from(["Aa", "ConsoleLogin"]) | values
    fields["eventTime"] = st.just(1_700_000_000) | st.just("2023-01-01T00:00:00Z") | values
    return st.lists(st.sampled_from(sorted(fields)), max_size=14, unique=True).flatmap(
        lambda names: st.fixed_dictionaries(
            {name: fields[name] for name in {*names, "eventName", "eventID", "eventTime", "userIdentity"}}
        )
    )


TENCENT = kind("tencent.cloudaudit", redaction_key=KEY)
AWS = kind("aws.cloudtrail", redaction_key=KEY)
SESSION = [row.path.split(".")[2] for row in TENCENT_ROWS if row.path.startswith("userIdentity.sessionContext.")]
IDENTITY = [row.path.split(".")[1] for row in TENCENT_ROWS if row.path.startswith("userIdentity.")]
tencent_identity = st.fixed_dictionaries(
    {"accountId": st.sampled_from(["100000000001", 100000000001, "", None])},
    optional={name: values for name in IDENTITY if name not in ("accountId", "sessionContext")}
    | {"sessionContext": objects([*SESSION, "other"], values), "other": values},
)
inner_events = records(TENCENT_ROWS, tencent_identity | as_text(tencent_identity) | values)
outer_fields = st.fixed_dictionaries(
    {"AccountID": st.sampled_from([100000000001, "100000000001", 0, None]) | values},
    optional={
        **{name: values for name in TWINS if name not in ("CloudAuditEvent", "AccountID")},
        "EventId": st.sampled_from(["id-1", ""]),
        "EventName": st.sampled_from(["Outer", ""]),
        "EventTime": st.just("1680513809"),
        "Resources": objects(["ResourceType", "ResourceName"], values),
        "Location": values,
        "userAgent": values,
    },
)
aws_identity = st.fixed_dictionaries(
    {"accountId": st.just("123456789012")},
    optional={
        "type": values, "userName": values, "arn": values, "principalId": values, "invokedBy": values, "secret": values,
        "sessionContext": st.fixed_dictionaries(
            {}, optional={"attributes": objects(["mfaAuthenticated"], values), "sessionIssuer": objects(["userName"], values)}
        ),
    },
)  # fmt: skip

OPEN = [["requestParameters", "a"], ["requestParameters", "Ingress", "a"], ["requestParameters", "password"],
        ["requestParameters", "credentials", "a"], ["requestParameters", "Value"], ["requestParameters", "policy document"],
        ["requestParameters", "é"], ["responseElements", "a", "a"], ["additionalEventData", "Key"], ["tags", "a"],
        ["resources"], ["unknownField"], ["unknownField", "a"], ["Value"], ["norm"], ["norm", "unknown"], ["norm", "ip", "a"],
        ["eventName", "a"], ["userIdentity", "text"], ["userIdentity", "other"], ["userIdentity", "other", "a"],
        ["userIdentity", "sessionContext", "other"], ["userIdentity", "sessionContext", "extraInfo", "dictId"], ["missing"]]  # fmt: skip


def paths(rows: Any) -> list[list[str]]:
    return [path.split(".") for path in [row.path for row in rows] + list(NORM_FIELDS)] + OPEN


def check(a_kind: Any, raw: bytes, all_paths: list[list[str]]) -> None:
    event = a_kind.decode(Record(raw)).event
    if event is None:
        return
    whole = a_kind.whole(raw)
    for names in all_paths:
        assert repr(event.view[SEPARATOR.join(names)]) == repr(walked(whole, names)), names
    assert event.fields == whole


@settings(max_examples=400, deadline=None)
@given(inner_events, st.none() | outer_fields, st.randoms())
def test_of_cloudaudit(inner: dict[str, Any], outer: dict[str, Any] | None, random: Any) -> None:
    record = inner if outer is None else {**outer, "CloudAuditEvent": json.dumps(inner, ensure_ascii=False)}
    order = paths(TENCENT_ROWS)
    random.shuffle(order)  # what is read first must not change what is read later

    check(TENCENT, json.dumps(record).encode(), order)


@settings(max_examples=300, deadline=None)
@given(records(AWS_ROWS, aws_identity | values), st.randoms())
def test_of_cloudtrail(record: dict[str, Any], random: Any) -> None:
    order = paths(AWS_ROWS)
    random.shuffle(order)

    check(AWS, json.dumps(record).encode(), order)
