"""
Tracking sets: what is delivered where. Kept in memory.

Rules and codes: CreateAuditTrack (629/35352), ModifyAuditTrack (629/70381), SDK errorcodes.py. Where the documentation
gives no code of its own for a wrong value, it is the common InvalidParameterValue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.emulator.answers import RefusalError, wrong
from engine.emulator.events import CHINA, TEXT_TIME
from engine.emulator.parameters import Schema, integer, string, structure

MOST_SETS = 5
MOST_EVENT_NAMES = 10

# Regions with public COS buckets (COS documentation, "Regions and access endpoints").
COS_REGIONS = frozenset(
    {"ap-beijing", "ap-beijing-1", "ap-beijing-fsi", "ap-shanghai", "ap-shanghai-fsi", "ap-guangzhou"}
    | {"ap-shenzhen-fsi", "ap-nanjing", "ap-chengdu", "ap-chongqing", "ap-hongkong", "ap-taipei", "ap-singapore"}
    | {"ap-mumbai", "ap-jakarta", "ap-bangkok", "ap-seoul", "ap-tokyo", "na-siliconvalley", "na-ashburn"}
    | {"na-toronto", "sa-saopaulo", "eu-frankfurt", "eu-moscow", "me-saudi-arabia"}
)
NAME = re.compile(r"[A-Za-z0-9_-]{3,48}", re.ASCII)
PRODUCT = re.compile(r"\*|[A-Za-z0-9_-]{1,64}", re.ASCII)
EVENT_NAME = re.compile(r"[A-Za-z0-9_]{1,128}", re.ASCII)
BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?", re.ASCII)
PREFIX = re.compile(r"[A-Za-z0-9]{3,40}", re.ASCII)
CKAFKA = re.compile(r"ckafka-[A-Za-z0-9]+/[A-Za-z0-9._-]+", re.ASCII)

STORAGE: Schema = {
    "StorageType": string(required=True),
    "StorageRegion": string(required=True),
    "StorageName": string(required=True),
    "StoragePrefix": string(required=True),
    "StorageAccountId": string(),
    "StorageAppId": string(),
    "Compress": integer(),
}
FILTERS: Schema = {
    "ResourceFields": structure(
        {
            "ResourceType": string(required=True),
            "ActionType": string(required=True),
            "EventNames": string(required=True, many=True),
        },
        required=True,
        many=True,
    )
}
CREATE: Schema = {
    "Name": string(required=True),
    "ActionType": string(required=True),
    "ResourceType": string(required=True),
    "Status": integer(required=True),
    "EventNames": string(required=True, many=True),
    "Storage": structure(STORAGE, required=True),
    "TrackForAllMembers": integer(),
    "ExportId": string(),
}
MODIFY: Schema = {
    "TrackId": integer(required=True),
    "Name": string(),
    "ActionType": string(),
    "ResourceType": string(),
    "Status": integer(),
    "EventNames": string(many=True),
    "Storage": structure(STORAGE),
    "TrackForAllMembers": integer(),
}
CREATE_EVENTS: Schema = {
    "Name": string(required=True),
    "Status": integer(required=True),
    "Storage": structure(STORAGE, required=True),
    "Filters": structure(FILTERS, required=True),
    "TrackForAllMembers": integer(),
}
MODIFY_EVENTS: Schema = {
    "TrackId": integer(required=True),
    "Name": string(),
    "Status": integer(),
    "Storage": structure(STORAGE),
    "Filters": structure(FILTERS),
    "TrackForAllMembers": integer(),
}
BY_ID: Schema = {"TrackId": integer(required=True)}
PAGE: Schema = {"PageNumber": integer(required=True), "PageSize": integer(required=True)}

SUMMARY = ("TrackId", "Name", "ActionType", "ResourceType", "Status", "EventNames", "Storage", "CreateTime")
Track = dict[str, Any]


def checked(track: Mapping[str, Any]) -> None:
    """Raises RefusalError where a value, or values together, break a documented rule."""
    if "Name" in track and not NAME.fullmatch(track["Name"]):
        raise wrong("Name must have 3 to 48 letters, digits, hyphens and underscores.")
    _flag(track, "Status")
    _flag(track, "TrackForAllMembers")
    if "Storage" in track:
        _check_storage(track["Storage"])
    _check_selection(track)
    fields = track.get("Filters", {}).get("ResourceFields")
    if fields is not None:
        if not fields:
            raise wrong("Filters.ResourceFields is empty.")
        for one in fields:
            _check_selection(one)


def _check_selection(selection: Mapping[str, Any]) -> None:
    if selection.get("ActionType", "*") not in ("Read", "Write", "*"):
        raise wrong("ActionType is none of Read, Write and *.")
    product, names = selection.get("ResourceType"), selection.get("EventNames")
    if product is not None and not PRODUCT.fullmatch(product):
        raise wrong("ResourceType is neither the short name of one product nor *.")
    if names is None:
        return
    if names != ["*"]:
        if product == "*":
            raise wrong('With the ResourceType * EventNames must be ["*"].')
        if not 1 <= len(names) <= MOST_EVENT_NAMES:
            raise wrong(f'EventNames must be ["*"] or 1 to {MOST_EVENT_NAMES} names.')
        if not all(EVENT_NAME.fullmatch(name) for name in names):
            raise wrong("EventNames holds what is no name of an API.")


def _check_storage(storage: Mapping[str, Any]) -> None:
    kind, name = storage["StorageType"], storage["StorageName"]
    if kind == "cos":
        if storage["StorageRegion"] not in COS_REGIONS:
            raise RefusalError("InvalidParameterValue.CosRegionError", "COS has no such region.")
        if not BUCKET.fullmatch(name):
            raise wrong(
                "StorageName must have up to 50 lower-case letters, digits and hyphens, no hyphen first or last."
            )
        if not PREFIX.fullmatch(storage["StoragePrefix"]):
            raise wrong("StoragePrefix must have 3 to 40 letters and digits.")
    elif kind == "cls":
        if not 1 <= len(name) <= 50:
            raise wrong("StorageName must be the id of a CLS topic, 1 to 50 characters.")
    elif kind == "ckafka":
        if not CKAFKA.fullmatch(name):
            raise wrong("StorageName must have the form ckafka-xxxxxx/topic.")
    else:
        raise wrong("StorageType is none of cos, cls and ckafka.")
    if not storage["StorageRegion"]:
        raise wrong("StorageRegion is empty.")
    if storage.get("Compress", 1) not in (1, 2):
        raise wrong("Compress is neither 1 (yes) nor 2 (no).")


def _flag(track: Mapping[str, Any], name: str) -> None:
    if track.get(name, 0) not in (0, 1):
        raise wrong(f"{name} is neither 0 nor 1.")


def check_credit(credit: int) -> None:
    if credit < 1:
        raise RefusalError("LimitExceeded.OverAmount", f"There may be at most {MOST_SETS} tracking sets.")


class TrackingSets:
    """The account's tracking sets, by id, oldest first."""

    def __init__(self) -> None:
        self._sets: dict[int, Track] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._sets)

    def create(self, wanted: Mapping[str, Any], now: float, *, credit: int) -> int:
        """The id of a new set; *credit* more are allowed. Raises RefusalError."""
        checked(wanted)
        if any(track["Name"] == wanted["Name"] for track in self._sets.values()):
            raise RefusalError("InvalidParameterValue.AliasAlreadyExists", "A tracking set has this name already.")
        check_credit(credit)
        self._last_id += 1
        self._sets[self._last_id] = {
            "TrackForAllMembers": 0,
            **wanted,
            "TrackId": self._last_id,
            "CreateTime": datetime.fromtimestamp(now, CHINA).strftime(TEXT_TIME),
        }
        return self._last_id

    def modify(self, changes: Mapping[str, Any]) -> None:
        """Raises RefusalError, with nothing changed, where the set as it would be breaks a rule."""
        track = self.one(changes["TrackId"])
        if changes.get("Name", track["Name"]) != track["Name"]:
            raise RefusalError(
                "InvalidParameterValue.AuditTrackNameNotSupportModify", "The name of a tracking set cannot be changed."
            )
        changed = {**track, **changes}
        checked(changed)
        self._sets[track["TrackId"]] = changed

    def delete(self, track_id: int) -> None:
        self.one(track_id)
        del self._sets[track_id]

    def one(self, track_id: int) -> Track:
        """Raises RefusalError ResourceNotFound.AuditNotExist."""
        if track_id not in self._sets:
            raise RefusalError("ResourceNotFound.AuditNotExist", f"There is no tracking set {track_id}.")
        return self._sets[track_id]

    def details(self, track_id: int) -> dict[str, Any]:
        """The answer of DescribeAuditTrack; a set by Filters has no single product, and the reverse."""
        track = self.one(track_id)
        names = (*SUMMARY[1:], "TrackForAllMembers", "Filters")
        return {name: track.get(name) for name in names}

    def listed(self, number: int, size: int) -> dict[str, Any]:
        """The answer of DescribeAuditTracks; pages count from 1."""
        if number < 1 or size < 1:
            raise wrong("PageNumber and PageSize count from 1.")
        tracks = list(self._sets.values())[(number - 1) * size : number * size]
        return {
            "Tracks": [{name: track.get(name) for name in SUMMARY} for track in tracks],
            "TotalCount": len(self._sets),
        }
