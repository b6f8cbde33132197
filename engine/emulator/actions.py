"""
The actions: what each takes, what it checks, what it answers.

Sources: the page of each action (629/54488 DescribeEvents, 629/35352 CreateAuditTrack …), Tencent's SDK 3.1.39.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.emulator import legacy, tracks
from engine.emulator.answers import RefusalError, wrong
from engine.emulator.events import TICKS
from engine.emulator.index import Index, Page, Query, ticks
from engine.emulator.legacy import LegacySets
from engine.emulator.lookup import compiled
from engine.emulator.parameters import Schema, integer, string, structure
from engine.emulator.tracks import TrackingSets

VERSION = "2019-03-19"
# tencentcloud.com/document/product/362/32163; the China page lists ap-guangzhou alone.
REGIONS = frozenset(("ap-guangzhou", "ap-hongkong", "ap-seoul", "ap-singapore", "ap-tokyo", "eu-frankfurt"))

DAY = 86_400
LONGEST_SPAN = 30 * DAY  # must stay below it
OLDEST_START = 90 * DAY
DEFAULT_RESULTS = 10  # not documented; the 2017 API's
MOST_RESULTS = 50

NO_TIME = "InvalidParameter.Time"  # "start and end must both be there and be integer seconds"
DESCRIBE_EVENTS: Schema = {
    "StartTime": integer(required=True, absent=NO_TIME, mistyped=NO_TIME),
    "EndTime": integer(required=True, absent=NO_TIME, mistyped=NO_TIME),
    "NextToken": integer(),
    "MaxResults": integer(),
    "LookupAttributes": structure({"AttributeKey": string(required=True), "AttributeValue": string()}, many=True),
    "IsReturnLocation": integer(),
}


class Cloud:
    """Everything the API answers from: one account."""

    def __init__(self, index: Index, now: Callable[[], float]) -> None:
        self.index = index
        self.now = now
        self.tracks = TrackingSets()
        self.legacy = LegacySets()

    @property
    def credit(self) -> int:
        """How many more tracking sets there may be, of either kind."""
        return max(0, tracks.MOST_SETS - len(self.tracks) - len(self.legacy))


Answer = Mapping[str, Any] | Page
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Action:
    takes: Schema
    does: Callable[[Cloud, Parameters], Answer]
    writes: bool = False


def describe_events(cloud: Cloud, given: Parameters) -> Page:
    start, end, now = given["StartTime"], given["EndTime"], cloud.now()
    if start > end:
        raise wrong("StartTime is later than EndTime.", "InvalidParameterValue.Time")
    if end - start >= LONGEST_SPAN:
        raise RefusalError("LimitExceeded.OverTime", "The time between StartTime and EndTime must be below 30 days.")
    if start < now - OLDEST_START:
        raise RefusalError("LimitExceeded.OverTime", "StartTime is more than 90 days ago.")
    most = given.get("MaxResults", DEFAULT_RESULTS)
    if not 1 <= most <= MOST_RESULTS:
        raise wrong(f"MaxResults must be 1 to {MOST_RESULTS}.", "InvalidParameterValue.MaxResult")
    located = given.get("IsReturnLocation", 0)
    if located not in (0, 1):
        raise wrong("IsReturnLocation is neither 0 nor 1.")
    wanted = compiled(given.get("LookupAttributes", ()))
    # An EndTime of the year 10000 is allowed; it must only not outgrow the index.
    end = min(end, int(now) + TICKS)
    return cloud.index.page(Query(start, end, given.get("NextToken"), most, wanted, bool(located)), ticks(now))


def _create_track(cloud: Cloud, given: Parameters) -> Answer:
    return {"TrackId": cloud.tracks.create(given, cloud.now(), credit=cloud.credit)}


def _modify_track(cloud: Cloud, given: Parameters) -> Answer:
    cloud.tracks.modify(given)
    return {}


def _delete_track(cloud: Cloud, given: Parameters) -> Answer:
    cloud.tracks.delete(given["TrackId"])
    return {}


def _create_audit(cloud: Cloud, given: Parameters) -> Answer:
    cloud.legacy.create(given, credit=cloud.credit)
    return {"IsSuccess": 1}


def _switch(status: int) -> Callable[[Cloud, Parameters], Answer]:
    def does(cloud: Cloud, given: Parameters) -> Answer:
        cloud.legacy.switch(given["AuditName"], status)
        return {"IsSuccess": 1}

    return does


def _delete_audit(cloud: Cloud, given: Parameters) -> Answer:
    cloud.legacy.delete(given["AuditName"])
    return {"IsSuccess": 1}


ACTIONS: Mapping[str, Action] = {
    "DescribeEvents": Action(DESCRIBE_EVENTS, describe_events),
    "CreateAuditTrack": Action(tracks.CREATE, _create_track, writes=True),
    "ModifyAuditTrack": Action(tracks.MODIFY, _modify_track, writes=True),
    "CreateEventsAuditTrack": Action(tracks.CREATE_EVENTS, _create_track, writes=True),
    "ModifyEventsAuditTrack": Action(tracks.MODIFY_EVENTS, _modify_track, writes=True),
    "DeleteAuditTrack": Action(tracks.BY_ID, _delete_track, writes=True),
    "DescribeAuditTrack": Action(tracks.BY_ID, lambda cloud, given: cloud.tracks.details(given["TrackId"])),
    "DescribeAuditTracks": Action(
        tracks.PAGE, lambda cloud, given: cloud.tracks.listed(given["PageNumber"], given["PageSize"])
    ),
    "CreateAudit": Action(legacy.CREATE, _create_audit, writes=True),
    "DeleteAudit": Action(legacy.BY_NAME, _delete_audit, writes=True),
    "DescribeAudit": Action(legacy.BY_NAME, lambda cloud, given: cloud.legacy.details(given["AuditName"])),
    "ListAudits": Action({}, lambda cloud, _: cloud.legacy.listed()),
    "StartLogging": Action(legacy.BY_NAME, _switch(1), writes=True),
    "StopLogging": Action(legacy.BY_NAME, _switch(0), writes=True),
    "InquireAuditCredit": Action({}, lambda cloud, _: {"AuditAmount": cloud.credit}),
}
# Real, but not acted here.
ELSEWHERE = frozenset(
    (
        "LookUpEvents",
        "GetAttributeKey",
        "UpdateAudit",
        "ListCosEnableRegion",
        "ListCmqEnableRegion",
        "ListKeyAliasByRegion",
    )
)


def action(name: str) -> Action:
    """Raises RefusalError InvalidAction, or UnsupportedOperation for what only the real service does."""
    if name in ELSEWHERE:
        raise RefusalError("UnsupportedOperation", f"The emulator does not act {name}.")
    if name not in ACTIONS:
        raise RefusalError("InvalidAction", "The request with this action is invalid or not found.")
    return ACTIONS[name]
