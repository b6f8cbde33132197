"""
How a request to Tencent Cloud is signed: TC3-HMAC-SHA256, and the older "V1" of requests in GET form.

Pure: time and keys come in as arguments. Sources: API 3.0 documentation, "Signature v3" (TC3) and "Signature" (V1);
the tests hold the vectors of those pages.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

TC3 = "TC3-HMAC-SHA256"
UNSIGNED_PAYLOAD = b"UNSIGNED-PAYLOAD"  # stands for the body when X-TC-Content-SHA256 says so

V1Method = Literal["HmacSHA1", "HmacSHA256"]


def utc_date(timestamp: int) -> str:
    """The UTC date of *timestamp* (epoch seconds) as it stands in the credential scope: "2019-02-25"."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")


def canonical_request(
    method: str, query: str, headers: Mapping[str, str], signed: Sequence[str], payload: bytes
) -> str:
    """
    The request as both sides write it down before hashing.

    *headers* are by lower-case name and hold at least those of *signed*, which are lower-case and in the order of
    SignedHeaders. *query* is the encoded query string without "?", empty for POST; *payload* the body, empty for GET.
    """
    lines = "".join(f"{name}:{headers[name].strip().lower()}\n" for name in signed)
    return "\n".join((method, "/", query, lines, ";".join(signed), hashlib.sha256(payload).hexdigest()))


def credential_scope(date: str, service: str) -> str:
    """What the signature is good for: "2019-02-25/cloudaudit/tc3_request"."""
    return f"{date}/{service}/tc3_request"


def string_to_sign(timestamp: int, service: str, canonical: str) -> str:
    """The text whose HMAC is the signature; *canonical* is the canonical request, *timestamp* epoch seconds."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return "\n".join((TC3, str(timestamp), credential_scope(utc_date(timestamp), service), digest))


def tc3_signature(secret_key: str, date: str, service: str, string_to_sign: str) -> str:
    """The signature in hexadecimal: the key is narrowed to the *date* and the *service* before it signs."""
    key = f"TC3{secret_key}".encode()
    for narrower in (date, service, "tc3_request"):
        key = hmac.digest(key, narrower.encode(), "sha256")
    return hmac.digest(key, string_to_sign.encode(), "sha256").hex()


def tc3_authorization(
    secret_id: str,
    secret_key: str,
    *,
    service: str,
    method: str,
    query: str,
    headers: Mapping[str, str],
    signed: Sequence[str],
    payload: bytes,
    timestamp: int,
) -> str:
    """The value of the Authorization header for one request; see `canonical_request` for the arguments."""
    canonical = canonical_request(method, query, headers, signed, payload)
    date = utc_date(timestamp)
    signature = tc3_signature(secret_key, date, service, string_to_sign(timestamp, service, canonical))
    scope = credential_scope(date, service)
    return f"{TC3} Credential={secret_id}/{scope}, SignedHeaders={';'.join(signed)}, Signature={signature}"


def v1_text(method: str, host: str, parameters: Mapping[str, str]) -> str:
    """The text that V1 signs: parameters sorted by name, values as they are (not URL-encoded), without Signature."""
    pairs = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters) if name != "Signature")
    return f"{method}{host}/?{pairs}"


def v1_signature(secret_key: str, text: str, method: V1Method = "HmacSHA1") -> str:
    """The V1 signature in base64, not yet URL-encoded. Without a SignatureMethod parameter it is HmacSHA1."""
    digest = {"HmacSHA1": "sha1", "HmacSHA256": "sha256"}[method]
    return base64.b64encode(hmac.digest(secret_key.encode(), text.encode(), digest)).decode()
