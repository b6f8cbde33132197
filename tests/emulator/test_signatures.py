"""Who is let in: signatures of both kinds, times, tokens, and what the documentation calls each refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from engine.emulator import Emulator, calls, signatures
from engine.emulator.calls import HttpRequest
from tests.emulator.calling import ID, KEY, NOW, an_emulator, post, refusal, tc3_headers, v1_form

WINDOW = {"StartTime": NOW - 60, "EndTime": NOW}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with an_emulator() as running:
        yield running


def get(emulator: Emulator, query: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.get(f"{emulator.endpoint}/?{query}", headers=headers, trust_env=False)


def is_fine(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and "Error" not in answer.json()["Response"]


def test_the_documented_signature_of_describe_events_is_accepted() -> None:
    # Computed from the documentation's key for POST with the Host of the real service, and recomputed independently.
    body = b'{"StartTime": 1610613170, "EndTime": 1610699570, "MaxResults": 50}'
    headers = {
        "Host": "cloudaudit.tencentcloudapi.com",
        "Content-Type": "application/json",
        "X-TC-Action": "DescribeEvents",
        "X-TC-Version": "2019-03-19",
        "X-TC-Region": "ap-guangzhou",
        "X-TC-Timestamp": "1610699570",
        "Authorization": (
            f"TC3-HMAC-SHA256 Credential={ID}/2021-01-15/cloudaudit/tc3_request, SignedHeaders=content-type;host, "
            "Signature=541e7f02a65a88b78ba661a04f55af61a0ebc62d2614fa7d7b72c69c81e27242"
        ),
    }
    with an_emulator(now=lambda: 1610699570.0) as emulator:
        assert is_fine(httpx.post(emulator.endpoint, content=body, headers=headers, trust_env=False))


def test_the_documented_v1_signature_is_computed() -> None:
    # API 3.0 documentation, "Signature": the GET example of cvm DescribeInstances.
    query = (
        "Action=DescribeInstances&InstanceIds.0=ins-09dx96dg&Limit=20&Nonce=11886&Offset=0&Region=ap-guangzhou"
        f"&SecretId={ID}&Timestamp=1465185768&Version=2017-03-12&Signature=EliP9YW3pW28FpsEdkXt%2F%2BWcGeI%3D"
    )
    request = HttpRequest("GET", "/", query, {"host": "cvm.tencentcloudapi.com"}, b"")

    call = calls.read(request)

    assert signatures.v1_signature(request, call, KEY, "sha1") == call.form["Signature"]
    assert call.parameters["InstanceIds"] == ["ins-09dx96dg"]


@pytest.mark.parametrize(
    "signed",
    [
        ("content-type", "host"),
        ("content-type", "host", "x-tc-action"),
        ("content-type", "host", "x-tc-action", "x-tc-region", "x-tc-timestamp", "x-tc-version"),
    ],
)
def test_any_set_of_signed_headers_with_content_type_and_host_is_accepted(
    emulator: Emulator, signed: tuple[str, ...]
) -> None:
    assert is_fine(post(emulator, "DescribeEvents", WINDOW, signed=signed))


@pytest.mark.parametrize("signed", [("host",), ("content-type",), ("content-type", "x-tc-action")])
def test_signed_headers_without_content_type_or_host_are_refused(emulator: Emulator, signed: tuple[str, ...]) -> None:
    assert refusal(post(emulator, "DescribeEvents", WINDOW, signed=signed)) == "AuthFailure.SignatureFailure"


def test_a_charset_in_the_content_type_is_signed_with_it(emulator: Emulator) -> None:
    assert is_fine(post(emulator, "DescribeEvents", WINDOW, content_type="application/json; charset=utf-8"))


def test_an_unsigned_payload_may_be_anything_while_a_signed_one_may_not(emulator: Emulator) -> None:
    def answered(more: dict[str, str]) -> httpx.Response:
        headers = tc3_headers(emulator.endpoint, "DescribeEvents", b"{}", more=more)
        return httpx.post(emulator.endpoint, json=WINDOW, headers=headers, trust_env=False)

    assert is_fine(answered({"X-TC-Content-SHA256": "UNSIGNED-PAYLOAD"}))
    assert refusal(answered({})) == "AuthFailure.SignatureFailure"


def test_get_is_signed_over_its_query(emulator: Emulator) -> None:
    query = f"EndTime={NOW}&StartTime={NOW - 60}"
    headers = tc3_headers(
        emulator.endpoint,
        "DescribeEvents",
        b"",
        method="GET",
        query=query,
        content_type="application/x-www-form-urlencoded",
    )

    assert is_fine(get(emulator, query, headers))
    assert refusal(get(emulator, query + "&MaxResults=1", headers)) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize("method", [None, "HmacSHA1", "HmacSHA256"])
def test_v1_is_accepted_by_query_and_by_form(emulator: Emulator, method: str | None) -> None:
    query = v1_form(emulator.endpoint, "DescribeEvents", WINDOW, SignatureMethod=method)
    form = v1_form(emulator.endpoint, "DescribeEvents", WINDOW, method="POST", SignatureMethod=method)

    posted = httpx.post(
        emulator.endpoint,
        content=form,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        trust_env=False,
    )

    assert is_fine(get(emulator, query))
    assert is_fine(posted)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Signature": "AAAA"}, "AuthFailure.SignatureFailure"),
        ({"Signature": ""}, "MissingParameter"),
        ({"Nonce": None}, "MissingParameter"),
        ({"SecretId": None}, "MissingParameter"),
        ({"Timestamp": None}, "MissingParameter"),
        ({"Version": None}, "MissingParameter"),
        ({"Region": None}, "MissingParameter"),
        ({"Action": None}, "MissingParameter"),
        ({"Nonce": "many"}, "InvalidParameter"),
        ({"SecretId": "AKIDsomebody"}, "AuthFailure.SecretIdNotFound"),
        ({"Timestamp": NOW - 301}, "AuthFailure.SignatureExpire"),
        ({"SignatureMethod": "HmacMD5"}, "InvalidParameter"),
        ({"Token": "none is due"}, "AuthFailure.TokenFailure"),
        ({"Version": "2017-03-12"}, "NoSuchVersion"),
        ({"Region": "ap-nowhere"}, "UnsupportedRegion"),
    ],
)
def test_v1_refusals_have_their_documented_codes(emulator: Emulator, change: dict[str, Any], code: str) -> None:
    assert refusal(get(emulator, v1_form(emulator.endpoint, "DescribeEvents", WINDOW, **change))) == code


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"key": ("AKIDsomebody", KEY)}, "AuthFailure.SecretIdNotFound"),
        ({"key": (ID, "wrong")}, "AuthFailure.SignatureFailure"),
        ({"at": NOW - 301}, "AuthFailure.SignatureExpire"),
        ({"at": NOW + 301}, "AuthFailure.SignatureExpire"),
        ({"more": {"X-TC-Token": "none is due"}}, "AuthFailure.TokenFailure"),
        ({"more": {"X-TC-Version": ""}}, "MissingParameter"),
        ({"more": {"X-TC-Version": "2017-03-12"}}, "NoSuchVersion"),
        ({"more": {"X-TC-Region": ""}}, "MissingParameter"),
        ({"more": {"X-TC-Region": "ap-nowhere"}}, "UnsupportedRegion"),
        ({"more": {"X-TC-Timestamp": ""}}, "MissingParameter"),
        ({"more": {"X-TC-Timestamp": "now"}}, "InvalidParameter"),
    ],
)
def test_tc3_refusals_have_their_documented_codes(emulator: Emulator, options: dict[str, Any], code: str) -> None:
    assert refusal(post(emulator, "DescribeEvents", WINDOW, **options)) == code


@pytest.mark.parametrize("skew", [-300, 300])
def test_five_minutes_of_skew_are_allowed(emulator: Emulator, skew: int) -> None:
    assert is_fine(post(emulator, "DescribeEvents", WINDOW, at=NOW + skew))


TC3 = f"TC3-HMAC-SHA256 Credential={ID}"


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "MissingParameter"),
        ("Bearer xyz", "AuthFailure.InvalidAuthorization"),
        (f"{TC3}/2023-11-14", "AuthFailure.InvalidAuthorization"),
        (
            f"{TC3}/2023-11-13/cloudaudit/tc3_request, SignedHeaders=content-type;host, Signature=0",
            "AuthFailure.SignatureFailure",
        ),
        (
            f"{TC3}/2023-11-14/cvm/tc3_request, SignedHeaders=content-type;host, Signature=0",
            "AuthFailure.SignatureFailure",
        ),
        (
            f"{TC3}/2023-11-14/cloudaudit/tc3_request, SignedHeaders=content-type;host;x-absent, Signature=0",
            "AuthFailure.SignatureFailure",
        ),
    ],
)
def test_a_broken_authorization_is_refused(emulator: Emulator, authorization: str, code: str) -> None:
    body = json.dumps(WINDOW).encode()
    headers = {**tc3_headers(emulator.endpoint, "DescribeEvents", body), "Authorization": authorization}

    assert refusal(httpx.post(emulator.endpoint, content=body, headers=headers, trust_env=False)) == code


@pytest.mark.parametrize(
    ("action", "code"),
    [("", "MissingParameter"), ("DescribeNothing", "InvalidAction"), ("LookUpEvents", "UnsupportedOperation")],
)
def test_what_is_no_action_is_refused(emulator: Emulator, action: str, code: str) -> None:
    assert refusal(post(emulator, action, {})) == code


def test_neither_another_method_nor_another_path_is_answered(emulator: Emulator) -> None:
    assert refusal(httpx.put(emulator.endpoint, trust_env=False)) == "UnsupportedProtocol"
    assert refusal(httpx.get(f"{emulator.endpoint}/v2/index.php", trust_env=False)) == "InvalidRequest"


def test_requests_above_the_documented_sizes_are_refused(emulator: Emulator) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    large = "a=" + "x" * (1 << 20)

    assert refusal(get(emulator, "a=" + "x" * (32 << 10))) == "RequestSizeLimitExceeded"
    assert (
        refusal(httpx.post(emulator.endpoint, content=large, headers=form, trust_env=False))
        == "RequestSizeLimitExceeded"
    )
    assert refusal(post(emulator, "DescribeEvents", {"a": "x" * (10 << 20)})) == "RequestSizeLimitExceeded"


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"StartTime": NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(emulator: Emulator, body: bytes) -> None:
    headers = tc3_headers(emulator.endpoint, "DescribeEvents", body)

    answer = httpx.post(emulator.endpoint, content=body, headers=headers, trust_env=False)

    assert refusal(answer) == "InvalidParameter"


def test_the_date_of_an_answer_follows_the_emulators_clock(emulator: Emulator) -> None:
    assert post(emulator, "DescribeEvents", WINDOW).headers["date"] == "Tue, 14 Nov 2023 22:13:20 GMT"


def test_settings_do_not_show_their_secrets() -> None:
    shown = repr(an_emulator(token="session-token").settings)

    assert KEY not in shown
    assert "session-token" not in shown
