"""`norm` of a CloudAudit event: what the fields of every vintage say of who did what, and whether it was allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.kinds.projection import At

NORM_READS: Final = (
    "eventName", "resourceType", "eventSource", "errorCode", "apiErrorCode", "userIdentity", "eventPlatform",
    "eventRegion", "sourceIPAddress", "cliIp", "eventTime",
)  # fmt: skip

NORM_FROM: Final[Mapping[str, tuple[str, ...]]] = {  # field of `norm` -> those of a record that it is made of
    "action": ("eventName",),
    "service": ("resourceType", "eventSource"),
    "outcome": ("errorCode", "apiErrorCode"),
    "actor": ("userIdentity.type", "userIdentity.userName", "userIdentity.principalId"),
    "actor_type": (
        "eventPlatform", "userIdentity.type", "userIdentity.principalId", "userIdentity.accountId",
        "userIdentity.userName",
    ),
    "account": ("AccountID", "userIdentity.accountId", "userIdentity.sessionContext.ownerUin"),
    "region": ("eventRegion",),
    "ip": ("sourceIPAddress", "cliIp", "userIdentity.sessionContext.userIp"),
    "time": ("eventTime",),
    "mfa": ("userIdentity.sessionContext.mfa",),
}  # fmt: skip

# Error codes of a service that mean "you may not": the common codes of API 3.0 (tencentcloud.com 213/33281) and
# their sub-codes. Compared in lower case.
_DENIED: Final = ("unauthorizedoperation", "authfailure", "accessdenied", "unauthorized", "forbidden", "nopermission")
_SERVICE_NETWORKS: Final = ("9.", "10.", "127.", "169.254.", "192.168.", *(f"172.{n}." for n in range(16, 32)))


def _service(fields: Members) -> str | None:
    service = fields.get("resourceType") or fields.get("eventSource", "").partition(".")[0]
    return service.lower() if service else None


def _outcome(fields: Members) -> str:
    if fields.get("errorCode", "0") != "0":
        return "denied"
    api_error = fields.get("apiErrorCode", "0")
    if api_error == "0":
        return "ok"
    lower = api_error.lower()
    return "denied" if any(mark in lower for mark in _DENIED) else "failed"


def _actor(identity: Members) -> str | None:
    if identity.get("type") == "Root":
        return "root"
    return identity.get("userName") or identity.get("principalId")


def _actor_type(fields: Members, identity: Members) -> str:
    if fields.get("eventPlatform"):
        return "service"
    kind = identity.get("type", "").lower()
    if kind == "root":
        return "root"
    if kind in ("assumedrole", "role"):
        return "role"
    principal = identity.get("principalId")
    if principal and principal == identity.get("accountId"):
        return "root"  # a sub-user or a role has an id of its own
    if kind in ("camuser", "user", "subuser", "collaborator"):
        return "user"
    # Only where no type contradicts it: nothing keeps a sub-user from being called root.
    return "root" if not kind and identity.get("userName") == "root" else "unknown"


def _ip(fields: Members, session: Members) -> str | None:
    """The caller's address: the first that is public, else the first that is an address at all."""
    first = None
    for text in (fields.get("sourceIPAddress"), fields.get("cliIp"), session.get("userIp")):
        if not text:
            continue
        address = text.partition(",")[0].strip()
        if not address or not _ADDRESS.issuperset(address):
            continue
        if not address.startswith(_SERVICE_NETWORKS):
            return str(address)
        first = first or address
    return first


_ADDRESS: Final = frozenset("0123456789abcdefABCDEF.:")


Members = Mapping[str, Any] | At
NORM: Final[Mapping[str, Callable[[Members, Members, Members], Any]]] = {
    "action": lambda fields, _identity, _session: fields.get("eventName"),
    "service": lambda fields, _identity, _session: _service(fields),
    "outcome": lambda fields, _identity, _session: _outcome(fields),
    "actor": lambda _fields, identity, _session: _actor(identity),
    "actor_type": lambda fields, identity, _session: _actor_type(fields, identity),
    "account": lambda _fields, identity, session: identity.get("accountId") or session.get("ownerUin"),
    "region": lambda fields, _identity, _session: fields.get("eventRegion"),
    "ip": lambda fields, _identity, session: _ip(fields, session),
    "time": lambda fields, _identity, _session: fields.get("eventTime"),
    "mfa": lambda _fields, _identity, session: session.get("mfa"),
}
