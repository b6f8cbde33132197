"""
Do the tracking sets cover the account's write events?

A tracking set keeps a copy of events beyond the 90 days that the API gives, and it is what a thief switches off first.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.cloudaudit.answers import Track
from engine.coverage import Coverage


def coverage(tracks: Iterable[Track]) -> Coverage:
    """What *tracks* (with filters, where they have some) cover together; a set that is switched off covers nothing."""
    tracks = tuple(tracks)
    whole = tuple(_name(track) for track in tracks if track.enabled and _covers_all_writes(track))
    if whole:
        return Coverage(True, f"tracking set {', '.join(whole)} delivers every write event", whole)
    if not tracks:
        return Coverage(False, "there is no tracking set: events are kept nowhere but in CloudAudit, for 90 days")
    off = [_name(track) for track in tracks if not track.enabled and _covers_all_writes(track)]
    if off:
        return Coverage(False, f"tracking set {', '.join(off)} would deliver every write event, but is switched off")
    on = [_name(track) for track in tracks if track.enabled]
    if on:
        return Coverage(False, f"no tracking set delivers every write event; {', '.join(on)} deliver some")
    return Coverage(False, f"every tracking set is switched off: {', '.join(_name(track) for track in tracks)}")


def needs_filters(track: Track) -> bool:
    """Whether *track* says what it takes only in its filters, which DescribeAuditTracks leaves out."""
    return not track.resource_type and track.filters is None


def _covers_all_writes(track: Track) -> bool:
    fields = (track.filters.resource_fields or ()) if track.filters else ()
    taken = [(track.resource_type, track.action_type, track.event_names)]
    taken += [(field.resource_type, field.action_type, field.event_names) for field in fields]
    return any(
        product == "*" and action in ("*", "Write") and "*" in (events or ()) for product, action, events in taken
    )


def _name(track: Track) -> str:
    return track.name or f"number {track.track_id}"
