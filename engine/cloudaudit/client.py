"""
The CloudAudit client: one typed method per action.

Parameters are checked against the documented limits before anything is sent, and give the documented errors. Every
method raises CloudAuditError (see `errors`), which is a SourceError.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import msgspec
import structlog

from engine.cloudaudit import coverage as tracking
from engine.cloudaudit import endpoint as endpoints
from engine.cloudaudit import parameters as limits
from engine.cloudaudit.answers import (
    Answer,
    EventsAnswer,
    Storage,
    SuccessAnswer,
    Track,
    TrackAnswer,
    TrackCreatedAnswer,
    TracksAnswer,
)
from engine.cloudaudit.api import Api
from engine.cloudaudit.clock import Clock
from engine.cloudaudit.credentials import Chain, CredentialsFile, Environment, Provider
from engine.cloudaudit.errors import BrokenAnswerError, CloudAuditError, PagingError, Retry
from engine.cloudaudit.pace import Pace
from engine.cloudaudit.roles import CvmRole
from engine.cloudaudit.transport import DEADLINE, LARGEST_ANSWER, Signature, Transport
from engine.coverage import Coverage
from engine.event import Record

log = structlog.get_logger(__name__)

VERSION = "2019-03-19"
MOST_PAGES = 100_000  # of one scan: a day at 58 events a second; more is a server that does not come to an end
MOST_EMPTY_PAGES = 50  # one after the other
TRACKS_PER_PAGE = 50
MOST_TRACK_PAGES = 100

ActionType = Literal["Read", "Write", "*"]

A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, slots=True)
class LookupAttribute:
    """One filter of DescribeEvents; *key* is one of `parameters.ATTRIBUTE_KEYS`. Different keys are ANDed."""

    key: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class EventsPage:
    """
    One page of DescribeEvents: the bytes of each event, in the server's order.

    *next_token* is there on the last page too; only *list_over* says that it is the last. *max_results* is what was
    asked for in the end, if the server found more too large.
    """

    records: tuple[Record, ...]
    next_token: int | None
    list_over: bool
    max_results: int
    request_id: str = ""


def default_credentials(*, profile: str = "default", clock: Clock | None = None) -> Provider:
    """The environment, the official credentials file, the machine's role: the first that has a key."""
    return Chain([Environment(), CredentialsFile(profile=profile), CvmRole(clock=clock)])


class CloudAudit:
    """
    A client for one account. Safe to share between threads; they share one pace of 20 requests a second per action.

    *endpoint* is a host or URL in place of the site's own. *ca_file* is a PEM bundle in place of the public one,
    *proxy* an http:// or https:// URL; the environment's proxies are not used. *deadline* is seconds for one exchange.
    *pace* may be shared with other clients of the same account. Raises ValueError for an endpoint that is none.
    """

    def __init__(
        self,
        credentials: Provider | None = None,
        *,
        region: str = "ap-guangzhou",
        site: endpoints.Site = "cn",
        endpoint: str | None = None,
        signature: Signature = "TC3-HMAC-SHA256",
        proxy: str | None = None,
        ca_file: str | None = None,
        deadline: float = DEADLINE,
        largest_answer: int = LARGEST_ANSWER,
        clock: Clock | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.endpoint = endpoints.url("cloudaudit", site=site, endpoint=endpoint)
        if endpoints.is_clear_text(self.endpoint):
            log.warning(
                "events and temporary keys can be read on the way: the endpoint is not https", url=self.endpoint
            )
        self._api = Api(
            Transport(
                self.endpoint,
                service="cloudaudit",
                clock=self.clock,
                signature=signature,
                proxy=proxy,
                ca_file=ca_file,
                deadline=deadline,
                largest=largest_answer,
            ),
            credentials or default_credentials(clock=self.clock),
            version=VERSION,
            region=region,
            clock=self.clock,
            pace=pace or Pace(),
        )

    def close(self) -> None:
        """Close the connection; calls under way end with an error and are not repeated."""
        self._api.close()

    # Events

    def describe_events(
        self,
        *,
        start_time: int,
        end_time: int,
        next_token: int | None = None,
        max_results: int = limits.MAX_RESULTS,
        lookup_attributes: Iterable[LookupAttribute] = (),
        is_return_location: bool = False,
    ) -> EventsPage:
        """
        One page of the events from *start_time* to *end_time* (epoch seconds, both inclusive), newest first as a rule.

        The span is below 30 days and begins at most 90 days ago; at most 50 events are on a page. If the server finds
        the page too large, half of it is asked for, down to one event. *is_return_location* fills `Location`.
        """
        attributes = [_attribute(attribute) for attribute in lookup_attributes]
        parameters = {
            "StartTime": start_time,
            "EndTime": end_time,
            "NextToken": next_token,
            "MaxResults": max_results,
            "LookupAttributes": attributes or None,
            "IsReturnLocation": int(is_return_location) or None,
        }
        while True:
            try:
                answer = self._ask("DescribeEvents", parameters | {"MaxResults": max_results}, EventsAnswer)
                return _events_page(answer, max_results)
            except CloudAuditError as error:
                if error.retry is not Retry.WITH_SMALLER_PAGE or max_results == 1:
                    raise
                max_results //= 2
                log.warning("a page is too large; asking for fewer events", max_results=max_results, reason=str(error))

    def events(
        self,
        *,
        start_time: int,
        end_time: int,
        max_results: int = limits.MAX_RESULTS,
        lookup_attributes: Iterable[LookupAttribute] = (),
        is_return_location: bool = False,
        most_pages: int = MOST_PAGES,
    ) -> Iterator[EventsPage]:
        """
        Every page of a window, until the server says ListOver; the window stays the same for all of them.

        Raises PagingError when the pages do not come to an end: the window has then not been read whole.
        """
        attributes = tuple(lookup_attributes)
        token: int | None = None
        seen: set[int] = set()
        empty = 0
        for _ in range(most_pages):
            page = self.describe_events(
                start_time=start_time,
                end_time=end_time,
                next_token=token,
                max_results=max_results,
                lookup_attributes=attributes,
                is_return_location=is_return_location,
            )
            yield page
            if page.list_over:
                return
            token, max_results = page.next_token, page.max_results
            empty = 0 if page.records else empty + 1
            if token is None:
                raise PagingError("DescribeEvents: the list is not over, but there is no NextToken to go on with")
            if token in seen:
                raise PagingError("DescribeEvents: a NextToken came twice; the pages go round in a circle")
            if empty > MOST_EMPTY_PAGES:
                raise PagingError(f"DescribeEvents: {empty} pages without an event, and the list is still not over")
            seen.add(token)
        raise PagingError(f"DescribeEvents: the list is not over after {most_pages} pages")

    # Tracking sets

    def create_audit_track(
        self,
        *,
        name: str,
        action_type: ActionType,
        resource_type: str,
        event_names: Sequence[str],
        status: bool,
        storage: Storage,
        track_for_all_members: bool | None = None,
        export_id: str | None = None,
    ) -> int:
        """
        Create a tracking set; its TrackId. It begins to deliver some ten minutes later.

        *resource_type* is one product or "*"; *event_names* is ["*"], or up to ten names of that product.
        """
        parameters = _track(
            name, action_type, resource_type, event_names, status, storage, track_for_all_members, export_id
        )
        answer = self._ask("CreateAuditTrack", parameters, TrackCreatedAnswer)
        if answer.track_id is None:
            raise BrokenAnswerError("CreateAuditTrack: the answer has no TrackId")
        return answer.track_id

    def modify_audit_track(
        self,
        track_id: int,
        *,
        name: str | None = None,
        action_type: ActionType | None = None,
        resource_type: str | None = None,
        event_names: Sequence[str] | None = None,
        status: bool | None = None,
        storage: Storage | None = None,
        track_for_all_members: bool | None = None,
        export_id: str | None = None,
    ) -> None:
        """Change what is given. The API documents *name*, but refuses another one (AuditTrackNameNotSupportModify)."""
        parameters = _track(
            name, action_type, resource_type, event_names, status, storage, track_for_all_members, export_id
        )
        self._ask("ModifyAuditTrack", {"TrackId": track_id} | parameters, Answer)

    def delete_audit_track(self, track_id: int) -> None:
        """Delete a tracking set; what it has delivered stays where it is."""
        self._ask("DeleteAuditTrack", {"TrackId": track_id}, Answer)

    def describe_audit_track(self, track_id: int) -> Track:
        """One tracking set, with its filters."""
        answer = self._ask("DescribeAuditTrack", {"TrackId": track_id}, TrackAnswer)
        fields = {name: getattr(answer, name) for name in TrackAnswer.__struct_fields__ if name in _TRACK_FIELDS}
        return Track(track_id=track_id, **fields)

    def describe_audit_tracks(self, *, page_number: int = 1, page_size: int = TRACKS_PER_PAGE) -> TracksAnswer:
        """One page of the tracking sets, the first being number 1; without filters."""
        return self._ask("DescribeAuditTracks", {"PageNumber": page_number, "PageSize": page_size}, TracksAnswer)

    def audit_tracks(self) -> list[Track]:
        """Every tracking set, without filters. Raises PagingError when the pages do not come to an end."""
        found: dict[int | None, Track] = {}
        for number in range(1, MOST_TRACK_PAGES + 1):
            answer = self.describe_audit_tracks(page_number=number)
            tracks = answer.tracks or ()
            new = [track for track in tracks if track.track_id not in found]
            found |= {track.track_id: track for track in new}
            # A short page is not the end: the server may give fewer than were asked for. One without news is.
            if not new or (answer.total_count is not None and len(found) >= answer.total_count):
                return list(found.values())
        raise PagingError(f"DescribeAuditTracks: the list is not over after {MOST_TRACK_PAGES} pages")

    def coverage(self) -> Coverage:
        """Whether an enabled tracking set covers the account's write events, and why (not)."""
        return tracking.coverage(
            self.describe_audit_track(track.track_id)
            if track.track_id is not None and tracking.needs_filters(track)
            else track
            for track in self.audit_tracks()
        )

    # Legacy

    def create_audit(
        self,
        *,
        audit_name: str,
        cos_bucket_name: str,
        cos_region: str,
        is_create_new_bucket: bool,
        is_enable_cmq_notify: bool,
        read_write_attribute: Literal[1, 2, 3],
        log_file_prefix: str | None = None,
        is_create_new_queue: bool | None = None,
        cmq_queue_name: str | None = None,
        cmq_region: str | None = None,
        is_enable_kms_encry: bool | None = None,
        kms_region: str | None = None,
        key_id: str | None = None,
    ) -> bool:
        """
        The older kind of tracking set, delivered to a bucket; whether it was created.

        *read_write_attribute*: 1 read, 2 write, 3 both. A queue needs its three parameters, and without a queue none
        may be given; encryption needs the key and its region, which is the bucket's.
        """
        parameters = {
            "AuditName": audit_name,
            "CosBucketName": cos_bucket_name,
            "CosRegion": cos_region,
            "IsCreateNewBucket": int(is_create_new_bucket),
            "IsEnableCmqNotify": int(is_enable_cmq_notify),
            "ReadWriteAttribute": read_write_attribute,
            "LogFilePrefix": log_file_prefix,
            "IsCreateNewQueue": _flag(is_create_new_queue),
            "CmqQueueName": cmq_queue_name,
            "CmqRegion": cmq_region,
            "IsEnableKmsEncry": _flag(is_enable_kms_encry),
            "KmsRegion": kms_region,
            "KeyId": key_id,
        }
        return self._ask("CreateAudit", parameters, SuccessAnswer).is_success == 1

    def _ask(self, action: str, parameters: Mapping[str, Any], answer: type[A]) -> A:
        given = {name: value for name, value in parameters.items() if value is not None}
        limits.check(action, given, int(self.clock.now()))
        return self._api.ask(action, given, answer, writes=limits.ACTIONS[action].writes)


_TRACK_FIELDS = frozenset(Track.__struct_fields__)


def _track(
    name: str | None,
    action_type: str | None,
    resource_type: str | None,
    event_names: Sequence[str] | None,
    status: bool | None,
    storage: Storage | None,
    track_for_all_members: bool | None,
    export_id: str | None,
) -> dict[str, Any]:
    parameters = {
        "Name": name,
        "ActionType": action_type,
        "ResourceType": resource_type,
        "EventNames": None if event_names is None else list(event_names),
        "Status": _flag(status),
        "Storage": None if storage is None else msgspec.to_builtins(storage),
        "TrackForAllMembers": _flag(track_for_all_members),
        "ExportId": export_id,
    }
    return {key: value for key, value in parameters.items() if value is not None}


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def _attribute(attribute: LookupAttribute) -> dict[str, str]:
    given = {"AttributeKey": attribute.key}
    return given if attribute.value is None else given | {"AttributeValue": attribute.value}


def _events_page(answer: EventsAnswer, max_results: int) -> EventsPage:
    if answer.list_over is None:
        raise BrokenAnswerError("DescribeEvents: the answer does not say whether the list is over")
    if answer.next_token is not None and not 0 <= answer.next_token <= limits.LARGEST_UINT64:
        raise BrokenAnswerError("DescribeEvents: the answer's NextToken is not a 64-bit number")
    return EventsPage(
        records=tuple(Record(bytes(event)) for event in answer.events or ()),
        next_token=answer.next_token,
        list_over=answer.list_over,
        max_results=max_results,
        request_id=answer.request_id or "",
    )
