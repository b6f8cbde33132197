"""
What was asked: an HTTP request read as one call of the API, whichever of the two protocols it came by.

TC3 carries the common parameters in X-TC-… headers, V1 among the others in the query (GET) or the form (POST).
Sources: API 3.0 documentation, "Common Params", "Signature v3", "Signature".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn
from urllib.parse import parse_qsl

from engine.emulator.answers import RefusalError, invalid, missing

KIB, MIB = 1 << 10, 1 << 20
# API 3.0 documentation, "Request structure".
GET_LIMIT, V1_POST_LIMIT, TC3_POST_LIMIT = 32 * KIB, 1 * MIB, 10 * MIB

FORM = "application/x-www-form-urlencoded"
# V1 puts these among the action's own parameters.
V1_COMMON = frozenset(
    (
        "Action",
        "Version",
        "Region",
        "Timestamp",
        "Nonce",
        "SecretId",
        "Signature",
        "SignatureMethod",
        "Token",
        "Language",
        "RequestClient",
    )
)
DEEPEST = 8  # levels of `A.0.B` keys; no parameter of this API has more than four


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as received: header names in lower case, the query string still encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)  # they hold the signature and the token
    body: bytes = field(repr=False)
    client: str = ""  # its IP address

    @property
    def host(self) -> str:
        return self.headers.get("host", "")

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Call:
    """The common parameters, as text, and the action's own, not yet checked."""

    protocol: Literal["TC3", "V1"]
    action: str
    version: str
    region: str
    timestamp: str
    token: str = field(repr=False)
    parameters: Mapping[str, Any]
    as_text: bool  # every value is a string: they came by a query or a form
    form: Mapping[str, str] = field(default_factory=dict, repr=False)  # V1: all of it, as signed


def read(request: HttpRequest) -> Call:
    """Raises RefusalError for a request that is no call."""
    if request.method not in ("GET", "POST"):
        raise RefusalError("UnsupportedProtocol", "Only GET and POST requests are supported.")
    if request.path != "/":
        raise RefusalError("InvalidRequest", "The API answers only at the path `/`.")
    if request.method == "GET" and len(request.query) > GET_LIMIT:
        raise RefusalError("RequestSizeLimitExceeded", "A GET request is larger than 32 KB.")
    if "authorization" in request.headers or "x-tc-action" in request.headers:
        return _tc3(request)
    return _v1(request)


def _tc3(request: HttpRequest) -> Call:
    if len(request.body) > TC3_POST_LIMIT:
        raise RefusalError("RequestSizeLimitExceeded", "A POST request is larger than 10 MB.")
    header = request.headers.get
    as_text = request.method == "GET"
    return Call(
        protocol="TC3",
        action=header("x-tc-action", ""),
        version=header("x-tc-version", ""),
        region=header("x-tc-region", ""),
        timestamp=header("x-tc-timestamp", ""),
        token=header("x-tc-token", ""),
        parameters=nested(pairs(request.query)) if as_text else _json_object(request),
        as_text=as_text,
    )


def _v1(request: HttpRequest) -> Call:
    if len(request.body) > V1_POST_LIMIT:
        raise RefusalError(
            "RequestSizeLimitExceeded", "A POST request signed by HmacSHA1 or HmacSHA256 is larger than 1 MB."
        )
    if request.method == "POST" and request.media_type != FORM:
        raise missing("Action")  # a JSON body without X-TC-Action names no action either way
    try:
        form = pairs(request.query if request.method == "GET" else request.body.decode())
    except UnicodeDecodeError:
        raise invalid("The form is not UTF-8.") from None
    return Call(
        protocol="V1",
        action=form.get("Action", ""),
        version=form.get("Version", ""),
        region=form.get("Region", ""),
        timestamp=form.get("Timestamp", ""),
        token=form.get("Token", ""),
        parameters=nested({name: value for name, value in form.items() if name not in V1_COMMON}),
        as_text=True,
        form=form,
    )


def pairs(encoded: str) -> dict[str, str]:
    """The names and values of a query string or form. Raises RefusalError where it is none, or names one twice."""
    try:
        listed = parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded), errors="strict")
    except ValueError:
        raise invalid("Url key and value should be splited by `=`.") from None
    found: dict[str, str] = {}
    for name, value in listed:
        if name in found:
            raise invalid(f"The parameter `{name}` is given twice.")
        found[name] = value
    return found


def nested(flat: Mapping[str, str]) -> dict[str, Any]:
    """`{"A.0.B": "x"}` as `{"A": [{"B": "x"}]}`; list positions may have gaps, their order counts."""
    root: dict[str, Any] = {}
    for name, value in flat.items():
        steps = name.split(".")
        if len(steps) > DEEPEST or "" in steps:
            raise RefusalError("UnknownParameter", f"The parameter `{name}` is not recognized.")
        place = root
        for step in steps[:-1]:
            below = place.setdefault(step, {})
            if not isinstance(below, dict):
                raise invalid(f"The parameter `{name}` is both a value and a structure.")
            place = below
        if steps[-1] in place:
            raise invalid(f"The parameter `{name}` is both a value and a structure.")
        place[steps[-1]] = value
    return {name: _lists(value) for name, value in root.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isascii() and key.isdigit() for key in value):
        return [_lists(value[key]) for key in sorted(value, key=lambda key: (len(key), key))]
    return {name: _lists(below) for name, below in value.items()}


def _json_object(request: HttpRequest) -> dict[str, Any]:
    if request.media_type == "multipart/form-data":
        raise RefusalError("InvalidRequest", "No action of this service takes multipart/form-data.")
    if request.media_type != "application/json":
        raise invalid("The Content-Type of a POST request signed by TC3-HMAC-SHA256 must be application/json.")
    if not request.body:
        return {}
    try:
        body = json.loads(request.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise invalid("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise invalid("The body is not a JSON object.")
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
