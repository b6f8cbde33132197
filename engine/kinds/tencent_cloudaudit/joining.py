"""The outer and the inner event of a record: taken apart, and joined to one."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from engine.errors import DecodeError
from engine.kinds.decoder import loads
from engine.kinds.nested import container
from engine.kinds.tencent_cloudaudit.fields import IDENTITY_TWINS, OUTER_MARKS, PLAIN_TWINS, TWINS

# What differs between two readings of one event that has no id: stages of CloudAudit's own pipeline.
_NOT_BODY: Final = ("@timestamp", "updateEsTime")


def apart(value: Any) -> tuple[dict[str, Any] | None, dict[str, Any] | None, str | None]:
    """The outer and the inner event of a record, and why there is no inner one where there should be."""
    if not isinstance(value, dict):
        raise DecodeError("not a JSON object")
    inner = value.get("CloudAuditEvent")
    if inner is None:
        if all(value.get(name) is None for name in OUTER_MARKS):
            return None, value, None
        return value, None, "it has no CloudAuditEvent; the outer fields are used"
    if isinstance(inner, str):
        if not inner.strip():
            return value, None, "CloudAuditEvent is empty; the outer fields are used"
        try:
            inner = loads(inner)
        except DecodeError as error:
            return value, None, f"CloudAuditEvent is {error}; the outer fields are used"
        if isinstance(inner, str):
            inner = container(inner)
    if not isinstance(inner, dict):
        return value, None, "CloudAuditEvent is not a JSON object; the outer fields are used"
    return value, inner, None


def joined(outer: dict[str, Any] | None, inner: dict[str, Any] | None) -> dict[str, Any]:
    """The inner event with what the outer one adds: fields without a twin, and twins that the inner one lacks."""
    if outer is None:
        return inner or {}
    joined = dict(inner or {})
    for name, value in outer.items():
        if name not in TWINS:
            joined.setdefault(name, value)
        elif name in PLAIN_TWINS and joined.get(PLAIN_TWINS[name]) in (None, ""):
            joined[PLAIN_TWINS[name]] = value
    resource = outer.get("Resources")
    if isinstance(resource, str):
        resource = container(resource)
    if isinstance(resource, list):
        resource = resource[0] if resource else None
    if isinstance(resource, dict):
        for outer_name, name in (("ResourceType", "resourceType"), ("ResourceName", "resourceName")):
            if joined.get(name) is None and outer_name in resource:
                joined[name] = resource[outer_name]
    identity = joined.get("userIdentity")
    if isinstance(identity, str):
        identity = container(identity)
    if identity is None or isinstance(identity, dict):
        missing = {
            name: outer[outer_name]
            for outer_name, name in IDENTITY_TWINS.items()
            if outer.get(outer_name) is not None and (identity is None or identity.get(name) in (None, ""))
        }
        if missing:
            joined["userIdentity"] = {**(identity or {}), **missing}
    return joined


def body_id(outer: dict[str, Any] | None, inner: dict[str, Any] | None) -> str:
    """A stand-in for a missing eventID: the digest of what happened, the same wherever the event was read."""
    body = inner if inner is not None else outer or {}
    body = {name: value for name, value in body.items() if name not in _NOT_BODY}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return "body-" + hashlib.sha256(text.encode()).hexdigest()[:32]
