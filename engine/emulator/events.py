"""
Audit events as the API shows them: an inner CloudAuditEvent, as JSON in a string, inside an outer Event.

Shapes and types are those of the documentation's examples (cloud.tencent.com/document/api/629/54488 and its older
vintages): inside the inner event requestParameters, responseElements, resources and sessionContext are JSON in strings
again. String times are UTC+8, integers are epoch seconds, `updateEsTime` is the index time in ticks of 100 ns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

from engine.emulator.answers import text

TICKS = 10_000_000  # of updateEsTime in a second
CHINA = timezone(timedelta(hours=8))
TEXT_TIME = "%Y-%m-%d %H:%M:%S"
NESTED = ("requestParameters", "responseElements", "resources")

# Only labels; the service has one for every product and action.
PRODUCTS_CN = {
    "account": "账号中心",
    "cam": "访问管理",
    "cbs": "云硬盘",
    "cdb": "云数据库 MySQL",
    "clb": "负载均衡",
    "cloudaudit": "操作审计",
    "cos": "对象存储",
    "cvm": "云服务器",
    "monitor": "云监控",
    "sts": "安全凭证服务",
    "tke": "容器服务",
    "vpc": "私有网络",
}
# Places for the documentation's networks (RFC 5737): where the emulator's people and thieves sit.
PLACES = {
    "192.0.2.": "中国 北京市 北京市 中国联通",
    "198.51.100.": "荷兰 北荷兰省 阿姆斯特丹",
    "203.0.113.": "中国 江苏省 南京市 中国联通",
}
UNKNOWN_PLACE = "未知"

Outer = dict[str, Any]
Inner = dict[str, Any]


class Facets(NamedTuple):
    """What LookupAttributes can ask of an event, as text; no error is "0"."""

    request_id: str
    event_id: str
    event_name: str
    action_type: str
    principal_id: str
    user_name: str
    resource_type: str
    resource_name: str
    resources: str
    access_key_id: str
    sensitive_action: str
    api_error_code: str
    cam_error_code: str
    source_ip: str
    tags: str
    event_platform: str
    only_record_not_seen: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One event in the index, written once as bytes."""

    index_time: int  # ticks: the cursor, and when it is shown
    event_time: int  # epoch seconds
    body: bytes  # the outer event without Location and without its last brace
    location: bytes  # the JSON text of Location
    facets: Facets

    def written(self, *, with_location: bool) -> bytes:
        if with_location:
            return self.body + b',"Location":' + self.location + b"}"
        return self.body + b"}"


def is_outer(event: Mapping[str, Any]) -> bool:
    return "CloudAuditEvent" in event or ("EventName" in event and "eventName" not in event)


def is_event(value: object) -> bool:
    return isinstance(value, Mapping) and any(key in value for key in ("CloudAuditEvent", "EventName", "eventName"))


def inner_of(outer: Mapping[str, Any]) -> Inner | None:
    """The decoded CloudAuditEvent; None where it is absent or broken, as it may be on purpose."""
    packed = outer.get("CloudAuditEvent")
    if not isinstance(packed, str):
        return None
    try:
        inner = json.loads(packed)
    except (ValueError, RecursionError):
        return None
    return inner if isinstance(inner, dict) else None


def seconds(value: object) -> int | None:
    """Epoch seconds of any vintage's event time: 1680513809, "1680513809", "2019-03-20 12:36:27" (UTC+8)."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if isinstance(value, str):
        try:
            return int(datetime.strptime(value, TEXT_TIME).replace(tzinfo=CHINA).timestamp())
        except ValueError:
            return None
    return None


def event_time(outer: Mapping[str, Any], inner: Mapping[str, Any] | None) -> int | None:
    """When it happened; None if neither says so."""
    inside = seconds(inner.get("eventTime")) if inner else None
    return inside if inside is not None else seconds(outer.get("EventTime"))


def index_time(inner: Mapping[str, Any] | None) -> int | None:
    value = inner.get("updateEsTime") if inner else None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if type(value) is int else None


def packed(inner: Mapping[str, Any]) -> str:
    """*inner* as the text of CloudAuditEvent; its objects become JSON strings, but not in version 1.0 (2017)."""
    if inner.get("eventVersion") == "1.0":
        return text(inner).decode()
    written = dict(inner)
    for name in NESTED:
        if isinstance(written.get(name), Mapping | list):
            written[name] = text(written[name]).decode()
    identity = written.get("userIdentity")
    if isinstance(identity, Mapping) and isinstance(identity.get("sessionContext"), Mapping):
        session = dict(identity["sessionContext"])
        if isinstance(session.get("extraInfo"), Mapping):
            session["extraInfo"] = text(session["extraInfo"]).decode()
        written["userIdentity"] = {**identity, "sessionContext": text(session).decode()}
    return text(written).decode()


def wrapped(inner: Inner, account: str) -> Outer:
    """The outer event around *inner*, in the fields and types of the 2023 example; CloudAuditEvent is not yet in it."""
    identity = inner.get("userIdentity")
    who: Mapping[str, Any] = identity if isinstance(identity, Mapping) else {}
    owner = str(who.get("accountId") or account)
    code = inner.get("errorCode", 0)
    product = _string(inner.get("resourceType"))
    happened = inner.get("eventTime")
    return {
        "CloudAuditEvent": "",
        "EventName": inner.get("eventName", ""),
        "EventTime": str(happened) if happened is not None else "",
        "SecretId": who.get("secretId", ""),
        "EventId": inner.get("eventID", ""),
        "ErrorCode": int(code) if str(code).isascii() and str(code).isdigit() else code,
        "RequestID": inner.get("requestID", ""),
        "SourceIPAddress": inner.get("sourceIPAddress", ""),
        "EventSource": inner.get("eventSource", ""),
        "EventRegion": inner.get("eventRegion", ""),
        "Resources": {"ResourceName": inner.get("resourceName", ""), "ResourceType": product},
        "Username": who.get("userName", ""),
        "AccountID": int(owner) if owner.isascii() and owner.isdigit() else owner,
        "ResourceTypeCn": PRODUCTS_CN.get(product, ""),
        "EventNameCn": "",
        "ResourceRegion": "",
    }


def entry(outer: Mapping[str, Any], inner: Mapping[str, Any] | None, *, happened: int, indexed: int) -> Entry:
    """*outer* written down. Keys that begin with "_" are remarks of a fixture and are left out."""
    shown = {name: value for name, value in outer.items() if not name.startswith("_") and name != "Location"}
    place = outer.get("Location") or _place(_string(outer.get("SourceIPAddress")))
    return Entry(indexed, happened, text(shown)[:-1], text(place), _facets(outer, inner or {}))


def shifted(event: Mapping[str, Any], by: int) -> dict[str, Any]:
    """*event*, inner or outer, as if it had happened *by* seconds later: its own times move, each in its own form."""
    if not is_outer(event):
        return _shifted_inner(event, by)
    moved = dict(event)
    if "EventTime" in moved:
        moved["EventTime"] = _shifted_time(moved["EventTime"], by)
    inner = inner_of(event)
    if inner is not None:
        moved["CloudAuditEvent"] = text(_shifted_inner(inner, by)).decode()
    return moved


def _shifted_inner(inner: Mapping[str, Any], by: int) -> Inner:
    moved = dict(inner)
    if "eventTime" in moved:
        moved["eventTime"] = _shifted_time(moved["eventTime"], by)
    indexed = index_time(inner)
    if indexed is not None:
        moved["updateEsTime"] = indexed + by * TICKS
    stamp = moved.get("@timestamp")
    if isinstance(stamp, str):
        try:
            moved["@timestamp"] = (datetime.fromisoformat(stamp) + timedelta(seconds=by)).isoformat()
        except ValueError:
            moved["@timestamp"] = stamp
    return moved


def _shifted_time(value: object, by: int) -> object:
    at = seconds(value)
    if at is None:
        return value
    if not isinstance(value, str):
        return at + by
    return str(at + by) if value.isdigit() else datetime.fromtimestamp(at + by, CHINA).strftime(TEXT_TIME)


def stamp(at: float) -> str:
    """`@timestamp` of a moment: UTC, without a zone, with microseconds."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _facets(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> Facets:
    identity = inner.get("userIdentity")
    who: Mapping[str, Any] = identity if isinstance(identity, Mapping) else {}
    about = outer.get("Resources")
    resources: Mapping[str, Any] = about if isinstance(about, Mapping) else {}

    def either(inside: str, outside: str) -> str:
        return _string(inner.get(inside) or outer.get(outside))

    return Facets(
        request_id=either("requestID", "RequestID"),
        event_id=either("eventID", "EventId"),
        event_name=either("eventName", "EventName"),
        action_type=_string(inner.get("actionType")),
        principal_id=_string(who.get("principalId")),
        user_name=_string(outer.get("Username")),
        resource_type=_string(inner.get("resourceType") or resources.get("ResourceType")),
        resource_name=_string(inner.get("resourceName") or resources.get("ResourceName")),
        resources=_string(inner.get("resources")),
        access_key_id=_string(who.get("secretId") or outer.get("SecretId")),
        sensitive_action="1" if _string(inner.get("sensitiveAction")) == "1" else "0",
        api_error_code=_string(inner.get("apiErrorCode")) or "0",
        cam_error_code=either("errorCode", "ErrorCode") or "0",
        source_ip=either("sourceIPAddress", "SourceIPAddress"),
        tags=_string(inner.get("tags")),
        event_platform=_string(inner.get("eventPlatform")) or "0",
        only_record_not_seen=_string(inner.get("onlyRecordNotSeen")) or "0",
    )


def _string(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else text(value).decode()


def _place(address: str) -> str:
    network = address[: address.rfind(".") + 1]
    return PLACES.get(network, UNKNOWN_PLACE)
