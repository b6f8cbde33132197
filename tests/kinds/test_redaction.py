from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.event import Record
from engine.kinds import kind
from engine.kinds.nested import Nested
from engine.kinds.redaction import TENCENT_ACCESS_KEY_IDS, TOKEN, Redactor
from tests.kinds.samples import AWS, TENCENT, decoded, inner, outer

KEY = b"0123456789abcdef"
REDACTOR = Redactor(KEY, access_key_ids=TENCENT_ACCESS_KEY_IDS)
SECRET_ID = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE"
SECRET_KEY = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"
CANARY = "canary7f3a9b2c4d"

SECRET_NAMES = (
    "Password", "password", "PASSWD", "pwd", "MYSQL_ROOT_PASSWORD", "NewPassword", "password2", "LoginPassword",
    "Token", "token", "sessionToken", "x-tc-token", "X-TC-Token", "GITHUB_TOKEN", "LoginToken", "securityToken",
    "SecretKey", "secretAccessKey", "TmpSecretKey", "privateKey", "PRIVATE_KEY", "clientSecret", "apiSecret",
    "Authorization", "Cookie", "Signature", "VerifyCode", "TokenCode", "SmsCode", "kubeconfig", "UserData",
    "SecretString", "Plaintext", "Ｐａｓｓｗｏｒｄ", "secret", "Credential", "ApiKey",
)  # fmt: skip
PLAIN_NAMES = (
    "NextToken", "ClientToken", "PageToken", "clientRequestToken", "ContinuationToken", "TokenId", "SecretName",
    "PasswordLength", "PasswordPolicy", "KeyId", "SignatureMethod", "InstanceId", "passwordResetRequired", "author",
    "UserName", "Region", "tokenization", "secretArn", "cookieName", "Nonce",
)  # fmt: skip


def fields(**parameters: Any) -> Any:
    return TENCENT.view({"requestParameters": parameters})["requestParameters"]


# By name


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_what_stands_under_a_secrets_name_is_replaced(name: str) -> None:
    assert TOKEN.fullmatch(fields(**{name: CANARY})[name])


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_what_only_sounds_like_a_secret_stays(name: str) -> None:
    assert fields(**{name: CANARY}) == {name: CANARY}


@pytest.mark.parametrize("flag", [True, False, None, "", 0, 1, "0", "1"])
def test_flags_are_no_secrets(flag: Any) -> None:
    assert fields(LoginFlag={"Stoken": flag})["LoginFlag"] == {"Stoken": flag}


def test_numbers_lists_and_objects_under_a_secrets_name_are_replaced() -> None:
    result = fields(Password=[123456789, {"a": "b" * 9, "b": None}], pwd=12.5)

    assert TOKEN.fullmatch(result["Password"][0])
    assert TOKEN.fullmatch(result["Password"][1]["a"])
    assert result["Password"][1]["b"] is None
    assert TOKEN.fullmatch(result["pwd"])


def test_a_number_and_its_text_are_one_secret() -> None:
    assert fields(Password=123456789) == fields(Password="123456789")


def test_credentials_are_read_by_the_names_in_them() -> None:
    result = fields(
        Credentials={"TmpSecretId": SECRET_ID, "Token": CANARY, "Expiration": "2026"}, AccessKey={"Status": "Active"}
    )

    assert result["Credentials"]["TmpSecretId"].startswith("AKIDz8kr[secret:")
    assert TOKEN.fullmatch(result["Credentials"]["Token"])
    assert result["Credentials"]["Expiration"] == "2026"
    assert result["AccessKey"] == {"Status": "Active"}


def test_a_name_and_its_value_may_be_two_members() -> None:
    result = fields(Environment={"Variables": [{"Key": "DB_PASSWORD", "Value": CANARY}, {"Key": "MODE", "Value": "x"}]})

    assert TOKEN.fullmatch(result["Environment"]["Variables"][0]["Value"])
    assert result["Environment"]["Variables"][1] == {"Key": "MODE", "Value": "x"}


def test_escaped_and_repeated_names_hide_nothing() -> None:
    raw = (
        b'{"eventName": "X", "eventID": "1", "requestParameters": "{\\"\\\\u0050assword\\": \\"'
        + CANARY.encode()
        + b'\\",'
        b' \\"Token\\": \\"' + CANARY.encode() + b'\\", \\"Token\\": true}"}'
    )

    event = decoded(raw).event

    assert event is not None
    assert TOKEN.fullmatch(event.fields["requestParameters"]["Password"])
    assert event.fields["requestParameters"]["Token"] is True
    assert CANARY not in TENCENT.evidence(raw)
    assert CANARY not in AWS.evidence(raw)
    assert CANARY not in json.dumps(AWS.view(json.loads(raw)))


def test_a_session_token_in_a_session_that_is_no_json_is_replaced() -> None:
    result = TENCENT.view({"userIdentity": {"sessionContext": '{"token": "' + CANARY}})

    assert CANARY not in json.dumps(result)


# SecretIds


def test_a_secret_id_keeps_its_first_eight_characters() -> None:
    result = TENCENT.view({"userIdentity": {"secretId": SECRET_ID}, "requestParameters": {"SecretId": SECRET_ID}})

    assert result["userIdentity"]["secretId"][:16] == "AKIDz8kr[secret:"
    assert result["userIdentity"]["secretId"] == result["requestParameters"]["SecretId"]
    assert SECRET_ID[8:] not in json.dumps(result)


def test_a_secret_id_inside_a_text_becomes_the_same_token() -> None:
    whole = REDACTOR.access_key_id(SECRET_ID)

    assert REDACTOR.text(f"key {SECRET_ID}, again") == f"key {whole}, again"
    assert REDACTOR.text(f"https://x.example/?SecretId={SECRET_ID}&a=b") == f"https://x.example/?SecretId={whole}&a=b"


def test_a_secret_id_in_an_answer_joins_with_the_one_that_signs_later() -> None:
    created = TENCENT.view(
        {"responseElements": {"AccessKey": {"AccessKeyId": SECRET_ID, "SecretAccessKey": SECRET_KEY}}}
    )
    used = TENCENT.view({"userIdentity": {"secretId": SECRET_ID}})

    assert created["responseElements"]["AccessKey"]["AccessKeyId"] == used["userIdentity"]["secretId"]
    assert SECRET_KEY not in json.dumps(created)


def test_the_name_of_a_managed_secret_in_cloudtrail_stays() -> None:
    assert AWS.view({"requestParameters": {"secretId": "prod/db"}})["requestParameters"] == {"secretId": "prod/db"}


def test_access_key_ids_of_cloudtrail_stay_and_what_they_open_goes() -> None:
    keys = {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": CANARY, "sessionToken": CANARY}
    result = AWS.view({"responseElements": {"credentials": keys, "accessKey": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}}})

    assert result["responseElements"]["credentials"]["accessKeyId"] == "AKIAIOSFODNN7EXAMPLE"
    assert result["responseElements"]["accessKey"]["accessKeyId"] == "AKIAIOSFODNN7EXAMPLE"
    assert CANARY not in json.dumps(result)


# By shape


@pytest.mark.parametrize(
    "text",
    [
        f"https://example.com/?a=1&token={CANARY}&b=2",
        f"https://example.com/?X-Amz-Security-Token={CANARY}",
        f"https://example.com/?a=%26token%3D{CANARY}",
        f"https://ann:{CANARY}@example.com/",
        f"mysql -u root password={CANARY}",
        f"Server=db;Password={CANARY};Timeout=5",
        f"curl -H 'Authorization: Bearer {CANARY}{CANARY}'",
        f"Cookie: a=b; skey={CANARY}",
        f'failed: {{"Password": "{CANARY}"}}',
        f"failed: {{'Password': '{CANARY}'}}",
        f'failed: {{\\"Password\\": \\"{CANARY}\\"}}',
        f'failed: {{"Password": {{"a": "{CANARY}"}}, "b": 1}}',
        f'failed: {{"token": ["x", "{CANARY}"]}}',
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\\n{CANARY}",
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{CANARY}",
        f"xoxb-123456789012-{CANARY}",
        f"https://hooks.slack.com/services/T000/B000/{CANARY}",
        f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={CANARY}",
        f"whsec_{CANARY}",
        f"ghp_{CANARY}{CANARY}",
    ],
)
def test_a_secret_in_a_text_is_known_by_its_shape(text: str) -> None:
    for place in ("userAgent", "errorMessage", "resourceName", "eventName", "newField"):
        assert CANARY not in json.dumps(TENCENT.view({place: text}))
    assert CANARY not in json.dumps(AWS.view({"userAgent": text, "requestParameters": {"x": [text]}}))
    assert CANARY not in json.dumps(fields(x=text))
    assert CANARY not in TENCENT.evidence(json.dumps(outer(inner(userAgent=text))).encode())


@pytest.mark.parametrize(
    "text",
    [
        "SDK_NODEJS_0.2.1",
        "permission verify",
        "qcs:id/1196468:cvm:ap-guangzhou:uin/100000000073:instance/ins-in511g92",
        "arn:aws:sts::123456789012:assumed-role/tester/session",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0",
        "https://console.cloud.tencent.com/cam?region=ap-guangzhou&page=2",
        "invalid token: it has expired",
        "100% of tokens=",
        "aws-cli/2.17.32 md/awscrt#0.20.11 cfg/retry-mode#standard",
        "eventName = 'ConsoleLogin'",
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert REDACTOR.text(text) == text
    assert Nested(REDACTOR).redacted(text) == text


@pytest.mark.parametrize("text", ['{ "a":1,  "b": [ 2 ] }', quote('{"a": "b"}'), '[" x "]', "{}", "[]"])
def test_evidence_keeps_json_texts_as_they_were_written(text: str) -> None:
    assert Nested(REDACTOR).redacted({"policyDocument": text}) == {"policyDocument": text}


# Tokens


def test_equal_secrets_are_equal_tokens_and_other_keys_give_others() -> None:
    assert REDACTOR.token("one") == Redactor(KEY).token("one")
    assert REDACTOR.token("one") != REDACTOR.token("two")
    assert REDACTOR.token("one") != Redactor(b"another key").token("one")
    assert TOKEN.fullmatch(REDACTOR.token("one"))


def test_keys_of_any_length_will_do() -> None:
    assert TOKEN.fullmatch(Redactor(b"").token("x"))
    assert Redactor(b"k" * 65).token("x") != Redactor(b"k" * 66).token("x")


def test_the_kinds_of_one_store_give_one_token() -> None:
    key = b"a store's key"
    tencent = kind("tencent.cloudaudit", redaction_key=key).view({"requestParameters": {"Password": CANARY}})
    aws = kind("aws.cloudtrail", redaction_key=key).view({"requestParameters": {"password": CANARY}})

    assert tencent["requestParameters"]["Password"] == aws["requestParameters"]["password"]


@pytest.mark.parametrize("hostile", ["\\" * 200_000, '"' * 200_000, "eyJ" * 70_000, '{"auth":' * 30_000, "a=" * 100_000,
                                     '{"token":' * 30_000, "'a':" * 50_000, "://a:" * 50_000, "AKID" * 50_000,
                                     "cookie:" * 30_000, "%7B" * 70_000, "-----BEGIN PRIVATE KEY-----" * 7_000,
                                     '"a' + " " * 200_000, "Bearer " * 30_000])  # fmt: skip
def test_no_text_makes_redaction_slow(hostile: str) -> None:
    # Quadratic work on these would take minutes and be stopped by the suite's timeout.
    TENCENT.evidence(hostile.encode())
    TENCENT.view({"requestParameters": {"x": hostile}, "userAgent": hostile})
    AWS.view({"requestParameters": {"x": hostile}})


# Laws

canaries = st.builds(
    lambda head, tail: head + CANARY + tail, st.text("ab\\\"'/ é=&", max_size=3), st.text("ab\\\"' }],", max_size=3)
)


def shaped(leaf: Any, wraps: list[str]) -> Any:
    """*leaf* inside objects, lists and JSON texts."""
    value = leaf
    for wrap in wraps:
        if wrap == "object":
            value = {"Inner": value, "Other": 1}
        elif wrap == "list":
            value = ["x", value]
        elif wrap == "json":
            value = json.dumps(value)
        elif wrap == "unicode json":
            value = json.dumps(value).replace("P", "\\u0050").replace("t", "\\u0074")
        elif wrap == "percent":
            value = quote(json.dumps(value))
        else:
            value = json.dumps(json.dumps(value))
    return value


wraps = st.lists(st.sampled_from(["object", "list", "json", "unicode json", "percent", "json twice"]), max_size=5)
places = st.sampled_from(
    ["requestParameters", "responseElements", "additionalEventData", "userIdentity", "sessionContext", "tags",
     "resourceSet", "newField", "outer", "eventName", "resources", "Location"]
)  # fmt: skip


def placed(place: str, value: Any) -> dict[str, Any]:
    if place == "sessionContext":
        return outer(inner(userIdentity={"sessionContext": value}))
    if place == "outer":
        return outer(inner(), NewOuterField=value)
    if place == "Location":
        return outer(inner(), Location=value, ResourceTypeCn=value)
    return outer(inner(**{place: value}))


def said(raw: bytes) -> str:
    """Everything that leaves the decoder, as one text."""
    texts = []
    for one in (TENCENT, AWS):
        result = one.decode(Record(raw))
        texts.append(one.evidence(raw))
        if result.event is not None:
            texts += [
                json.dumps(result.event.fields, ensure_ascii=False),
                repr(result.event),
                str(result.event.identity),
            ]
        if result.quarantined is not None:
            texts += [result.quarantined.raw.decode(), result.quarantined.reason]
    return "\n".join(texts)


@given(
    place=places,
    name=st.sampled_from(SECRET_NAMES),
    secret=canaries,
    wraps=wraps,
    many=st.sampled_from(["one", "list", "object"]),
)
@settings(max_examples=400)
def test_no_secret_under_a_secrets_name_ever_comes_out(
    place: str, name: str, secret: str, wraps: list[str], many: str
) -> None:
    under = (
        name if many == "object" and name != "ApiKey" else "Password"
    )  # the members of an ApiKey have their own names
    values: dict[str, Any] = {"one": secret, "list": ["a", [secret]], "object": {under: {"b": secret}}}
    event = placed(place, shaped({name: values[many]}, wraps))

    assert CANARY not in said(json.dumps(event).encode())
    assert CANARY not in said(json.dumps(event["CloudAuditEvent"]).encode())
    assert CANARY not in said(str(event["CloudAuditEvent"]).encode())


@given(place=places, name=st.sampled_from(SECRET_NAMES), digits=st.integers(10**15, 10**30), wraps=wraps)
def test_no_number_under_a_secrets_name_ever_comes_out(place: str, name: str, digits: int, wraps: list[str]) -> None:
    event = placed(place, shaped({name: digits}, wraps))

    assert str(digits) not in said(json.dumps(event).encode())


@given(
    place=places,
    name=st.sampled_from(SECRET_NAMES[:30]),
    wraps=st.lists(st.sampled_from(["object", "list", "json"]), max_size=3),
    data=st.data(),
)
@settings(max_examples=300)
def test_no_secret_comes_out_of_a_record_that_is_damaged(
    place: str, name: str, wraps: list[str], data: st.DataObject
) -> None:
    raw = json.dumps(placed(place, shaped({name: CANARY}, wraps))).encode()

    cut_off = data.draw(st.integers(0, len(raw)))
    assert CANARY not in said(raw[:cut_off])
    damage = data.draw(st.integers(0, raw.index(name.encode()) - 5))
    assert CANARY not in said(raw[:damage] + b"\x00\xff" + raw[damage:])


@given(place=places, name=st.sampled_from(SECRET_NAMES), secret=canaries, wraps=wraps)
@settings(max_examples=200)
def test_redacting_twice_changes_nothing(place: str, name: str, secret: str, wraps: list[str]) -> None:
    event = placed(place, shaped({name: secret, "SecretId": SECRET_ID, "text": f"password={secret}"}, wraps))

    for one, raw in ((TENCENT, json.dumps(event).encode()), (AWS, event["CloudAuditEvent"].encode())):
        once = one.evidence(raw).encode()
        first, second = one.decode(Record(raw)).event, one.decode(Record(once)).event
        assert one.evidence(once).encode() == once
        assert first is not None
        assert second is not None
        assert first.fields == second.fields


@given(st.text(max_size=60) | st.text("\"'{}[]:,=&%\\ apsworduten0:/@.", max_size=60))
@settings(max_examples=500)
def test_redacting_any_text_twice_changes_nothing(text: str) -> None:
    nested = Nested(REDACTOR)
    once = nested.redacted(text)

    assert nested.redacted(once) == once
    assert REDACTOR.broken(REDACTOR.broken(text)) == REDACTOR.broken(text)
