"""
LookupAttributes: which events an answer holds.

Different keys are ANDed, several values of EventName ORed (SDK models.py, DescribeEventsRequest). How several values
are passed is not documented: both a comma list and a repeated attribute are taken. An absent or empty value does not
filter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.emulator.answers import RefusalError, wrong
from engine.emulator.events import Facets

Filter = Callable[[Facets], bool]


def _equal(facet: str) -> Callable[[str], Filter]:
    place = Facets._fields.index(facet)

    def made(wanted: str) -> Filter:
        return lambda facets: facets[place] == wanted

    return made


def _read_only(wanted: str) -> Filter:
    action = "Read" if wanted.lower() in ("1", "true") else "Write"
    return lambda facets: facets.action_type == action


def _resource(wanted: str) -> Filter:
    """The whole resourceName or one of its names ("ins-x" finds "instance/ins-x|volume/disk-y"), or in `resources`."""

    def found(facets: Facets) -> bool:
        pieces = facets.resource_name.split("|")
        if wanted == facets.resource_name or any(wanted in (piece, piece.rpartition("/")[2]) for piece in pieces):
            return True
        listed = facets.resources.replace("\\/", "/")
        return f'/{wanted}"' in listed or f'"{wanted}"' in listed

    return found


def _tags(wanted: str) -> Filter:
    """`[{"key":"*","value":"*"}]`: each must be among the event's tags; "*" stands for anything."""
    try:
        pairs = [(str(pair["key"]), str(pair["value"])) for pair in json.loads(wanted)]
    except (ValueError, TypeError, KeyError):
        raise wrong('The AttributeValue of Tags must have the form [{"key":"*","value":"*"}].') from None

    def found(facets: Facets) -> bool:
        try:
            tags = json.loads(facets.tags)
        except ValueError:
            return False
        listed = [tag for tag in (tags if isinstance(tags, list) else [tags]) if isinstance(tag, Mapping)]
        return all(
            any(key in ("*", str(tag.get("key"))) and value in ("*", str(tag.get("value"))) for tag in listed)
            for key, value in pairs
        )

    return found


# SDK models.py, LookupAttribute; ReadOnly, Username and EventId from the international page (1021/34209);
# OnlyRecordNotSeen and EventPlatform from terraform-provider-tencentcloud, data_source_tc_audit_events.
KEYS: Mapping[str, Callable[[str], Filter]] = {
    "RequestId": _equal("request_id"),
    "EventName": _equal("event_name"),
    "ActionType": _equal("action_type"),
    "PrincipalId": _equal("principal_id"),
    "ResourceType": _equal("resource_type"),
    "ResourceId": _resource,
    "ResourceName": _resource,
    "AccessKeyId": _equal("access_key_id"),
    "SensitiveAction": _equal("sensitive_action"),
    "ApiErrorCode": _equal("api_error_code"),
    "CamErrorCode": _equal("cam_error_code"),
    "SourceIPAddress": _equal("source_ip"),
    "Tags": _tags,
    "ReadOnly": _read_only,
    "Username": _equal("user_name"),
    "EventId": _equal("event_id"),
    "OnlyRecordNotSeen": _equal("only_record_not_seen"),
    "EventPlatform": _equal("event_platform"),
}


def compiled(attributes: Iterable[Mapping[str, Any]]) -> Filter | None:
    """One filter for all *attributes*; None lets everything through. Raises RefusalError for an unknown key."""
    names: set[str] = set()
    filters: list[Filter] = []
    for attribute in attributes:
        key, value = attribute["AttributeKey"], attribute.get("AttributeValue", "")
        make = KEYS.get(key)
        if make is None:
            raise RefusalError("InvalidParameterValue.attributeKey", f"AttributeKey is none of {', '.join(KEYS)}.")
        if key == "EventName":
            names.update(name for name in (part.strip() for part in value.split(",")) if name)
        elif value:
            filters.append(make(value))
    if names:
        filters.append(lambda facets: facets.event_name in names)
    if not filters:
        return None
    return lambda facets: all(wanted(facets) for wanted in filters)
