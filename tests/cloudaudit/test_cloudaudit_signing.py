"""Signatures: the documentation's vectors, and Tencent's own SDK as the second opinion."""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.common.sign import Sign

from engine.cloudaudit.credentials import Credentials
from engine.cloudaudit.signing import (
    UNSIGNED_PAYLOAD,
    V1Method,
    canonical_request,
    string_to_sign,
    tc3_authorization,
    tc3_signature,
    utc_date,
    v1_signature,
    v1_text,
)
from engine.cloudaudit.transport import Tc3Auth, V1Auth

ID = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE"
KEY = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"
WHEN = 1551113065
BODY = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "host": "cvm.tencentcloudapi.com",
    "x-tc-action": "DescribeInstances",
}
TWO = ("content-type", "host")
THREE = (*TWO, "x-tc-action")


@pytest.mark.parametrize(
    ("key", "signed", "canonical_hash", "signature"),
    [
        pytest.param(
            KEY,
            TWO,
            "5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031",
            "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168",
            id="A, the older pages",
        ),
        pytest.param(
            "Gu5t9xGARNpq86cd98joQYCN3*******",
            TWO,
            "5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031",
            "2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c",
            id="B, masked key taken literally",
        ),
        pytest.param(
            "Gu5t9xGARNpq86cd98joQYCN3*******",
            THREE,
            "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84",
            "be4f67d323c78ab9acb7395e43c0dbcf822a9cfac32fea2449a7bc7726b770a3",
            id="B, with the action signed",
        ),
        pytest.param(
            "*" * 32,
            THREE,
            "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84",
            "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f",
            id="C, the newest page",
        ),
    ],
)
def test_the_vectors_of_the_documentation_come_out(
    key: str, signed: tuple[str, ...], canonical_hash: str, signature: str
) -> None:
    canonical = canonical_request("POST", "", HEADERS, signed, BODY)

    assert hashlib.sha256(canonical.encode()).hexdigest() == canonical_hash
    assert tc3_signature(key, "2019-02-25", "cvm", string_to_sign(WHEN, "cvm", canonical)) == signature


def test_a_describe_events_request_is_authorized_as_computed_by_hand() -> None:
    headers = {"content-type": "application/json", "host": "cloudaudit.tencentcloudapi.com"}
    body = b'{"StartTime": 1610613170, "EndTime": 1610699570, "MaxResults": 50}'

    authorization = tc3_authorization(
        ID,
        KEY,
        service="cloudaudit",
        method="POST",
        query="",
        headers=headers,
        signed=TWO,
        payload=body,
        timestamp=1610699570,
    )

    assert authorization == (
        f"TC3-HMAC-SHA256 Credential={ID}/2021-01-15/cloudaudit/tc3_request, SignedHeaders=content-type;host, "
        "Signature=541e7f02a65a88b78ba661a04f55af61a0ebc62d2614fa7d7b72c69c81e27242"
    )


def test_the_date_of_the_scope_is_the_one_in_utc() -> None:
    assert utc_date(1551139199) == "2019-02-25"  # one second before midnight
    assert utc_date(1551139200) == "2019-02-26"


def test_an_unsigned_payload_is_hashed_as_the_words_that_say_so() -> None:
    canonical = canonical_request("POST", "", HEADERS, TWO, UNSIGNED_PAYLOAD)

    assert canonical.endswith(hashlib.sha256(b"UNSIGNED-PAYLOAD").hexdigest())


def test_the_v1_vector_of_the_documentation_comes_out() -> None:
    parameters = {
        "Version": "2017-03-12",
        "Action": "DescribeInstances",
        "InstanceIds.0": "ins-09dx96dg",
        "Limit": "20",
        "Nonce": "11886",
        "Offset": "0",
        "Region": "ap-guangzhou",
        "SecretId": ID,
        "Timestamp": "1465185768",
    }

    assert v1_signature(KEY, v1_text("GET", "cvm.tencentcloudapi.com", parameters)) == "EliP9YW3pW28FpsEdkXt/+WcGeI="


def test_v1_does_not_sign_the_signature() -> None:
    signed = v1_text("GET", "h", {"B": "2", "Signature": "x", "A": "1"})

    assert signed == "GETh/?A=1&B=2"


text = st.text(st.characters(codec="utf-8"), max_size=40)


@given(key=text, date=text, service=text, message=text)
def test_tc3_agrees_with_tencents_sdk(key: str, date: str, service: str, message: str) -> None:
    assert tc3_signature(key, date, service, message) == Sign.sign_tc3(key, date, service, message)


@given(key=text, message=text, method=st.sampled_from(["HmacSHA1", "HmacSHA256"]))
def test_v1_agrees_with_tencents_sdk(key: str, message: str, method: V1Method) -> None:
    assert v1_signature(key, message, method) == Sign.sign(key, message, method)


@given(body=st.binary(max_size=200), timestamp=st.integers(0, 4_000_000_000))
def test_a_request_is_signed_as_it_is_sent(body: bytes, timestamp: int) -> None:
    request = httpx.Request(
        "POST",
        "http://127.0.0.1:9999/",
        headers={"Content-Type": "application/json", "X-TC-Action": "DescribeEvents"},
        content=body,
    )
    credentials = Credentials(ID, KEY, "a-token")

    (sent,) = Tc3Auth(credentials, service="cloudaudit", now=lambda: timestamp + 0.9).auth_flow(request)

    canonical = canonical_request(
        "POST",
        "",
        {"content-type": "application/json", "host": "127.0.0.1:9999", "x-tc-action": "describeevents"},
        THREE,
        body,
    )
    date = utc_date(timestamp)
    signature = tc3_signature(KEY, date, "cloudaudit", string_to_sign(timestamp, "cloudaudit", canonical))
    assert sent.headers["X-TC-Timestamp"] == str(timestamp)
    assert sent.headers["X-TC-Token"] == "a-token"
    assert sent.headers["Authorization"] == (
        f"TC3-HMAC-SHA256 Credential={ID}/{date}/cloudaudit/tc3_request, "
        f"SignedHeaders=content-type;host;x-tc-action, Signature={signature}"
    )


@pytest.mark.parametrize("method", ["HmacSHA1", "HmacSHA256"])
def test_a_request_in_get_form_survives_the_way_through_the_url(method: V1Method) -> None:
    request = httpx.Request(
        "GET", "http://127.0.0.1:9999/", params={"Action": "CreateAudit", "AuditName": "a b+c/d=&é"}
    )

    (sent,) = V1Auth(Credentials(ID, KEY, "t/o+k="), method=method, now=lambda: WHEN).auth_flow(request)

    arrived = {name: values[0] for name, values in parse_qs(urlsplit(str(sent.url)).query).items()}
    assert arrived["AuditName"] == "a b+c/d=&é"
    assert arrived["Token"] == "t/o+k="
    assert arrived["SignatureMethod"] == method
    assert arrived["Signature"] == Sign.sign(KEY, v1_text("GET", "127.0.0.1:9999", arrived), method)
