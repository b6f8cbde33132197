"""How these tests ask: requests signed here, from the documentation, and by nothing of the project."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx

from engine.emulator import Emulator, Settings

ID, KEY = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"
NOW = 1_700_000_000  # 2023-11-14T22:13:20Z
HOUR = 3600


def an_emulator(**settings: Any) -> Emulator:
    """At NOW, without a limit on the rate and without a delay, but for *settings*."""
    return Emulator(Settings(ID, KEY, **{"now": lambda: float(NOW), "rate": 0, "visibility_delay": 0.0, **settings}))


def an_event(event_id: str = "e-1", at: int = NOW - 60, **fields: Any) -> dict[str, Any]:
    """An inner event that happened *at*."""
    return {
        "eventID": event_id,
        "requestID": event_id,
        "eventTime": at,
        "eventName": "DescribeInstances",
        "resourceType": "cvm",
        "actionType": "Read",
        "userIdentity": {"type": "CAMUser", "principalId": "100000000048", "accountId": "100000000001"},
        **fields,
    }


def tc3_headers(
    url: str,
    action: str,
    body: bytes,
    *,
    at: int = NOW,
    method: str = "POST",
    query: str = "",
    content_type: str = "application/json",
    signed: Sequence[str] = ("content-type", "host"),
    key: tuple[str, str] = (ID, KEY),
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers of a call signed as "Signature v3" says: names and values in lower case, sorted."""
    headers = {
        "Host": httpx.URL(url).netloc.decode(),
        "Content-Type": content_type,
        "X-TC-Action": action,
        "X-TC-Version": "2019-03-19",
        "X-TC-Region": "ap-guangzhou",
        "X-TC-Timestamp": str(at),
        **(more or {}),
    }
    lower = {name.lower(): value.strip().lower() for name, value in headers.items()}
    names = sorted(signed)
    block = "".join(f"{name}:{lower[name]}\n" for name in names)
    payload = b"UNSIGNED-PAYLOAD" if lower.get("x-tc-content-sha256") == "unsigned-payload" else body
    canonical = "\n".join([method, "/", query, block, ";".join(names), hashlib.sha256(payload).hexdigest()])
    date = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    scope = f"{date}/cloudaudit/tc3_request"
    secret = ("TC3" + key[1]).encode()
    for step in scope.split("/"):
        secret = hmac.digest(secret, step.encode(), "sha256")
    message = f"TC3-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret, message.encode(), "sha256").hexdigest()
    headers["Authorization"] = (
        f"TC3-HMAC-SHA256 Credential={key[0]}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return headers


def v1_form(url: str, action: str, parameters: Mapping[str, Any], *, method: str = "GET", **more: Any) -> str:
    """The query or form of a call signed as "Signature" says; *more* replaces common parameters, None takes one out."""
    common = {
        "Action": action,
        "Version": "2019-03-19",
        "Region": "ap-guangzhou",
        "Timestamp": NOW,
        "Nonce": 11886,
        "SecretId": ID,
        **more,
    }
    form = {name: str(value) for name, value in {**common, **parameters}.items() if value is not None}
    message = f"{method}{httpx.URL(url).netloc.decode()}/?" + "&".join(f"{name}={form[name]}" for name in sorted(form))
    digest = "sha256" if form.get("SignatureMethod") == "HmacSHA256" else "sha1"
    form.setdefault("Signature", base64.b64encode(hmac.digest(KEY.encode(), message.encode(), digest)).decode())
    return urlencode(form)


def post(emulator: Emulator, action: str, parameters: Mapping[str, Any], **options: Any) -> httpx.Response:
    body = json.dumps(parameters).encode()
    headers = tc3_headers(emulator.endpoint, action, body, **options)
    # No TLS here: without verify=False httpx would load the certificates of the world for each call.
    return httpx.post(emulator.endpoint, content=body, headers=headers, trust_env=False, verify=False)


def ask(emulator: Emulator, action: str, **parameters: Any) -> dict[str, Any]:
    """What is inside `Response`."""
    answer: dict[str, Any] = post(emulator, action, parameters).json()["Response"]
    return answer


def refusal(answer: httpx.Response) -> str:
    """The error code of an answer that must have one."""
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    response = answer.json()["Response"]
    assert set(response) == {"Error", "RequestId"}
    assert response["Error"]["Message"]
    code: str = response["Error"]["Code"]
    return code


def refused(emulator: Emulator, action: str, **parameters: Any) -> str:
    return refusal(post(emulator, action, parameters))


def pages(emulator: Emulator, **parameters: Any) -> Iterator[dict[str, Any]]:
    """All pages of the last hour, but for *parameters*; None leaves one out."""
    asked = {"StartTime": NOW - HOUR, "EndTime": NOW, **parameters}
    asked = {name: value for name, value in asked.items() if value is not None}
    while True:
        page = ask(emulator, "DescribeEvents", **asked)
        yield page
        if page["ListOver"]:
            return
        asked["NextToken"] = page["NextToken"]


def event_ids(emulator: Emulator, **parameters: Any) -> list[str]:
    """The ids of all events, page after page."""
    return [event["EventId"] for page in pages(emulator, **parameters) for event in page["Events"] or ()]
