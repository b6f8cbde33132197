"""
Is a request signed by the key that it names, lately?

TC3-HMAC-SHA256 with any set of signed headers that holds content-type and host, and the older HmacSHA1 and HmacSHA256
("V1"). Both are computed from the request as received. Source: API 3.0 documentation, "Signature v3" and "Signature";
vectors in the tests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime

from engine.emulator.answers import RefusalError, invalid, missing
from engine.emulator.calls import Call, HttpRequest
from engine.emulator.settings import Settings

SERVICE = "cloudaudit"
SKEW = 300  # seconds that a timestamp may differ from the server's clock
UNSIGNED = "UNSIGNED-PAYLOAD"
V1_DIGESTS = {"": "sha1", "HmacSHA1": "sha1", "HmacSHA256": "sha256"}  # without SignatureMethod: HmacSHA1

AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256\s+Credential=(?P<secret_id>[^/,\s]+)/(?P<date>[^/,\s]+)/(?P<service>[^/,\s]+)/tc3_request\s*,"
    r"\s*SignedHeaders=(?P<signed>[^,\s]+)\s*,\s*Signature=(?P<signature>[^,\s]+)\s*"
)
WHOLE = re.compile(r"[0-9]{1,12}", re.ASCII)


def check(request: HttpRequest, call: Call, settings: Settings) -> None:
    """Raises RefusalError unless *call* is signed by the key of *settings* within five minutes of its clock."""
    if call.protocol == "TC3":
        _check_tc3(request, call, settings)
    else:
        _check_v1(request, call, settings)
    if not same(call.token, settings.token):
        raise RefusalError("AuthFailure.TokenFailure", "The token is wrong, or none belongs to this key.")


def _check_tc3(request: HttpRequest, call: Call, settings: Settings) -> None:
    authorization = request.headers.get("authorization")
    if not authorization:
        raise missing("Authorization")
    parts = AUTHORIZATION.fullmatch(authorization.strip())
    if parts is None:
        raise RefusalError(
            "AuthFailure.InvalidAuthorization",
            "The header Authorization does not have the form `TC3-HMAC-SHA256 Credential=…/…/…/tc3_request, "
            "SignedHeaders=…, Signature=…`.",
        )
    _check_key(parts["secret_id"], settings)
    timestamp = _check_time(call, settings)
    if parts["date"] != datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d"):
        raise _failure("The date in Credential is not the UTC date of X-TC-Timestamp.")
    if parts["service"] != SERVICE:
        raise _failure(f"The service in Credential is not {SERVICE}.")
    names = parts["signed"].split(";")
    if not {"content-type", "host"} <= set(names):
        raise _failure("SignedHeaders must hold content-type and host.")
    absent = [name for name in names if name not in request.headers]
    if absent:
        raise _failure(f"SignedHeaders names {', '.join(absent)}, which the request does not have.")
    # The documentation puts values in lower case before signing; Tencent's SDKs sign them as they are sent.
    expected = {tc3_signature(request, settings.secret_key, timestamp, names, lower=lower) for lower in (True, False)}
    if sum(same(parts["signature"], signature) for signature in expected) == 0:  # no short cut: constant time
        raise _failure()


def tc3_signature(request: HttpRequest, secret_key: str, timestamp: int, names: list[str], *, lower: bool) -> str:
    """The signature of *request* with the headers *names* signed; their values in *lower* case or as they came."""
    block = ""
    for name in names:
        value = request.headers[name].strip()
        block += f"{name}:{value.lower() if lower else value}\n"
    unsigned = request.headers.get("x-tc-content-sha256") == UNSIGNED
    payload = UNSIGNED.encode() if unsigned else request.body if request.method == "POST" else b""
    query = request.query if request.method == "GET" else ""
    canonical = "\n".join((request.method, "/", query, block, ";".join(names), hashlib.sha256(payload).hexdigest()))
    date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    scope = f"{date}/{SERVICE}/tc3_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"TC3{secret_key}".encode()
    for step in (date, SERVICE, "tc3_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.new(key, f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}".encode(), "sha256").hexdigest()


def _check_v1(request: HttpRequest, call: Call, settings: Settings) -> None:
    for name in ("SecretId", "Nonce", "Signature"):
        if not call.form.get(name):
            raise missing(name)
    if not WHOLE.fullmatch(call.form["Nonce"][:12]) or not call.form["Nonce"].isdigit():
        raise invalid("Nonce is not a positive integer.")
    _check_key(call.form["SecretId"], settings)
    _check_time(call, settings)
    digest = V1_DIGESTS.get(call.form.get("SignatureMethod", ""))
    if digest is None:
        raise invalid("SignatureMethod is neither HmacSHA1 nor HmacSHA256.")
    if not same(call.form["Signature"], v1_signature(request, call, settings.secret_key, digest)):
        raise _failure()


def v1_signature(request: HttpRequest, call: Call, secret_key: str, digest: str) -> str:
    signed = "&".join(f"{name}={call.form[name]}" for name in sorted(call.form) if name != "Signature")
    message = f"{request.method}{request.host}{request.path}?{signed}"
    return base64.b64encode(hmac.digest(secret_key.encode(), message.encode(), digest)).decode()


def _check_key(secret_id: str, settings: Settings) -> None:
    if not same(secret_id, settings.secret_id):
        raise RefusalError("AuthFailure.SecretIdNotFound", "The SecretId is not found, please ensure it is correct.")


def _check_time(call: Call, settings: Settings) -> int:
    if not call.timestamp:
        raise missing("Timestamp")
    if not WHOLE.fullmatch(call.timestamp):
        raise invalid("Timestamp is not an integer of epoch seconds.")
    timestamp = int(call.timestamp)
    if abs(settings.now() - timestamp) > SKEW:
        raise RefusalError(
            "AuthFailure.SignatureExpire",
            "Signature expired. Timestamp and server time cannot differ by more than five minutes.",
        )
    return timestamp


def _failure(reason: str = "Please check your signature is correct.") -> RefusalError:
    return RefusalError("AuthFailure.SignatureFailure", f"The provided credentials could not be validated. {reason}")


def same(one: str, other: str) -> bool:
    """Equality in constant time, for any text."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
