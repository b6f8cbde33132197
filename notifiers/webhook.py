"""
Any HTTP receiver: the alert as JSON, signed by Standard Webhooks 1.0.0, under an id that stays the same over attempts.

The receiver verifies the signature and drops an id that it has seen; docs/notifiers.md shows how.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from engine.alert import Alert
from engine.delivery import Delivered, Delivery, Finding, NotifierPlugin, Outcome, Refused, TryLater
from notifiers.outbound import Answer, Deadline, Outbound, OutboundSettings, checked_url, reachable, retry_after
from notifiers.settings import one_line
from notifiers.text import CUT, inert_json, plain_json

TYPE = "alert.created"
BODY = 20_000  # bytes; Standard Webhooks asks senders to stay below 20 kB
PREFIX = "whsec_"
RESERVED_HEADERS = re.compile(r"(?i)webhook-.*|content-.*|host|connection|transfer-encoding|te|trailer|upgrade|expect")
ABOUT_US = frozenset({401, 403, 404, 405})  # the key, the URL or the method is wrong, not this message
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2 token


class Settings(OutboundSettings):
    """Where to post, and what to sign with: `secret`, or `unsigned: true`."""

    url: SecretStr
    secret: SecretStr | list[SecretStr] | None = None
    """`whsec_` and the base64 of 24 to 64 random bytes; several (a list, or separated by spaces) while rotating."""
    unsigned: bool = False
    """Send without a signature: the receiver cannot tell our alerts from anybody's."""
    include: list[Literal["evidence"]] = Field(default_factory=list)
    """`[evidence]` adds the event's redacted raw record."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """More request headers, such as Authorization."""

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if not HEADER_NAME.fullmatch(name) or RESERVED_HEADERS.fullmatch(name):
                raise ValueError(f"{name!r} is not a header that can be set here")
            text = value.get_secret_value()
            if not (text.isascii() and text.isprintable()):
                raise ValueError(f"the value of {name} holds control or non-ASCII characters")
        return headers

    @model_validator(mode="after")
    def _complete(self) -> Self:
        try:
            checked_url(self.url.get_secret_value(), allow_http=self.allow_http)
        except ValueError as fault:
            raise ValueError(f"url {fault}") from None
        if self.unsigned and self.secret is not None:
            raise ValueError("unsigned: true and a secret contradict each other")
        if not self.unsigned and not self.keys:
            raise ValueError("needs a secret to sign with (or unsigned: true)")
        return self

    @property
    def keys(self) -> list[bytes]:
        """The signing keys, newest first. Raises ValueError when a secret is none."""
        given = self.secret if isinstance(self.secret, list) else [self.secret]
        texts = [text for secret in given if secret is not None for text in secret.get_secret_value().split()]
        return [signing_key(text) for text in texts]


def signing_key(secret: str) -> bytes:
    """
    The bytes of a `whsec_…` secret (the prefix may be missing).

    Raises ValueError, without the secret, when it is not base64 of 24 to 64 bytes.
    """
    text = one_line(SecretStr(secret)).get_secret_value().removeprefix(PREFIX)
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError("secret is not whsec_ and the base64 of 24 to 64 bytes: openssl rand -base64 32 makes one")
    return key


def signature(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """`webhook-signature`: a `v1,` HMAC-SHA256 per key over `id.timestamp.body`, separated by spaces."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    macs = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)


def webhook_id(delivery_id: str) -> str:
    """*delivery_id* as `webhook-id`: the same at every attempt, and without the "." that separates what is signed."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", delivery_id) or "-"


# --- the body --------------------------------------------------------------------------------------------------------


def body(alert: Alert, *, evidence: bool = False) -> bytes:
    """
    The message, byte for byte the same at every attempt: `type`, `timestamp` (of the alert's last event), `data`.

    Values of events are in it as they are: untrusted. What is too long for BODY is cut and named in `data.cut`.
    """
    data = _data(alert)
    if evidence:
        data["evidence"] = plain_json(alert.evidence)
    sizes: Mapping[str, tuple[int, ...]] = {  # what goes first, and how far
        "evidence": (8_000, 2_000, 0),
        "description": (1_000, 200),
        "runbook": (2_000, 400),
        "matched": (1_000, 200),
        "reasons": (3, 0),
        "notes": (3, 0),
        "references": (3,),
        "event_ids": (20, 1),
        "techniques": (10,),
        "group": (300, 30, 0),
        "norm": (300, 30, 0),
        "title": (300, 100),
        "account": (100,),
        "rule_id": (100,),
        "kind": (100,),
        "rule_version": (100,),
        "fingerprint": (100,),
        "id": (100,),
    }
    cut = [name for name in sizes if name in data and len(str(data[name])) > BODY]
    for name in cut:  # cannot fit; cut at once, so that the steps below handle little
        data[name] = _shorter(data[name], sizes[name][0])
    steps = [(name, size) for name, several in sizes.items() for size in several]
    for name, size in steps:
        text = inert_json(_message(alert, data, cut))
        if len(text) <= BODY:
            return text.encode()
        if name in data and (shorter := _shorter(data[name], size)) != data[name]:
            data[name] = shorter
            cut = [*cut, name] if name not in cut else cut
    return inert_json(_message(alert, data, cut)).encode()


def _message(alert: Alert, data: Mapping[str, Any], cut: Sequence[str]) -> dict[str, Any]:
    return {"type": TYPE, "timestamp": iso(alert.last_seen), "data": {**data, "cut": list(cut)}}


def _data(alert: Alert) -> dict[str, Any]:
    norm = alert.fields.get("norm")
    return {
        "id": alert.id,
        "rule_id": alert.rule_id,
        "rule_version": alert.rule_version,
        "severity": alert.severity.word,
        "title": plain_json(alert.title),
        "kind": plain_json(alert.kind),
        "account": plain_json(alert.account),
        "group": plain_json(alert.group),
        "fingerprint": alert.fingerprint,
        "first_seen": iso(alert.first_seen),
        "last_seen": iso(alert.last_seen),
        "created": iso(alert.created),
        "first_seen_epoch": alert.first_seen,
        "last_seen_epoch": alert.last_seen,
        "created_epoch": alert.created,
        "count": alert.count,
        "event_ids": plain_json(alert.event_ids),
        "norm": plain_json(norm) if isinstance(norm, Mapping) else {},
        "matched": plain_json(alert.matched),
        "reasons": plain_json(alert.reasons),
        "notes": plain_json(alert.notes),
        "late_by": alert.late_by,
        "retracts": alert.retracts,
        "description": plain_json(alert.description),
        "runbook": plain_json(alert.runbook),
        "references": plain_json(alert.references),
        "techniques": plain_json(alert.techniques),
        "test": alert.test,
    }


def _shorter(value: Any, size: int) -> Any:
    """*value* with texts of at most *size* characters, lists and objects of at most *size* items."""
    if isinstance(value, str):
        return value if len(value) <= size else value[: max(size - 1, 0)] + CUT if size else ""
    if isinstance(value, Mapping):
        items = list(value.items())[:size]
        return {_shorter(str(name), size): _shorter(inner, size) for name, inner in items}
    if isinstance(value, list):
        return [_shorter(inner, max(size, 100)) for inner in value[:size]]
    if isinstance(value, int | float | None):
        return value if len(str(value)) <= 400 else CUT
    return value


def iso(seconds: int) -> str:
    """`2025-01-01T00:00:00Z`; a number that is no time is the number as text."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return str(seconds)


# --- the notifier ----------------------------------------------------------------------------------------------------


class Webhook:
    """Posts each alert to one URL. *clock* gives epoch seconds."""

    def __init__(self, name: str, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self._outbound = Outbound(settings)
        self._url = settings.url.get_secret_value().strip()
        self._keys = settings.keys
        self._headers = {header: value.get_secret_value() for header, value in settings.headers.items()}
        self._evidence = "evidence" in settings.include
        self._timeout = settings.timeout
        self._clock = clock

    @property
    def pace(self) -> timedelta:
        """No wait: a receiver that wants one answers 429."""
        return timedelta(0)

    def send(self, delivery: Delivery) -> Outcome:
        message = body(delivery.alert, evidence=self._evidence)
        headers = {"User-Agent": "tocsin", **self._headers, **self._standard(delivery, message)}
        answer = self._outbound.post(self._url, message, headers, Deadline(self._timeout))
        return judged(answer, datetime.fromtimestamp(self._clock(), UTC)) if isinstance(answer, Answer) else answer

    def preview(self, delivery: Delivery) -> str:
        headers = self._standard(delivery, b"") | dict.fromkeys(self._headers, "(secret)")
        if self._keys:
            headers["webhook-signature"] = " ".join(["v1,(made when it is sent)"] * len(self._keys))
        lines = ["POST to the configured URL", *(f"{name}: {value}" for name, value in headers.items()), ""]
        message = json.loads(body(delivery.alert, evidence=self._evidence))
        return "\n".join([*lines, inert_json(message, indent=2)])

    def check(self) -> Sequence[Finding]:
        unknown = f"whether it takes our alerts cannot be seen without sending: `tocsin notify {self.name}`"
        return [reachable(self._outbound.head(self._url, Deadline(self._timeout))), Finding(None, unknown)]

    def close(self) -> None:
        self._outbound.close()

    def _standard(self, delivery: Delivery, message: bytes) -> dict[str, str]:
        """The headers of Standard Webhooks for this attempt."""
        message_id, now = webhook_id(delivery.id), int(self._clock())
        headers = {"Content-Type": "application/json", "webhook-id": message_id, "webhook-timestamp": str(now)}
        if self._keys:
            headers["webhook-signature"] = signature(self._keys, message_id, now, message)
        return headers


def judged(answer: Answer, now: datetime) -> Outcome:
    """
    What the receiver's answer means.

    Any 2xx is success, unless it is broken off, is a web page (a login, a portal: no receiver of messages answers so),
    or says that it failed, as chat robots do under HTTP 200: `ok` or `success` false, `errcode` not 0.
    """
    status = answer.status
    if answer.success:
        if answer.is_page:
            return TryLater(f"HTTP {status} with a web page: a login or a proxy answers there", ambiguous=True)
        if not answer.whole and len(answer.body) < 1024:
            return TryLater(f"HTTP {status}, but the answer broke off", ambiguous=True)
        if failure := _failure(answer.body):
            return TryLater(f"HTTP {status}, but the answer says {failure}")
        return Delivered(f"HTTP {status}")
    wait = retry_after(answer.headers, now)
    if status in {502, 504}:  # a gateway speaks; what is behind it may have the message
        return TryLater(f"HTTP {status}", after=wait, ambiguous=True)
    if status in {408, 425, 429} or status >= 500:
        return TryLater(f"HTTP {status}", after=wait, limited=status == 429)
    if 300 <= status < 400:
        return Refused(f"HTTP {status}: redirects are not followed; configure the final URL", permanent=True)
    if status == 410:
        return Refused("HTTP 410: the receiver is gone and wants no more; remove the destination", permanent=True)
    return Refused(f"HTTP {status}", permanent=status in ABOUT_US)


def _failure(text: bytes) -> str:
    """How the body says that it failed, "" when it does not."""
    if not text.lstrip().startswith(b"{"):
        return ""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, dict):
        return ""
    for name in ("ok", "success"):
        if said.get(name) is False:
            return f"{name}: false"
    errcode = said.get("errcode", 0)
    if isinstance(errcode, int) and errcode != 0:
        return f"errcode: {errcode}"
    return ""


def build(name: str, settings: Settings) -> Webhook:
    return Webhook(name, settings)


PLUGIN = NotifierPlugin(Settings, build)
