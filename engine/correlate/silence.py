"""
`silent`: no event matches for so long. One alert per silence; it ends when events return.

A silence that begins after a match at t is told when the watermark reaches t + span and nothing matched in
(t, t + span].
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.correlate.counting import AlertIdOf
from engine.correlate.hits import Hit
from engine.correlate.windows import Noted, Outcome, Raised, Retracted, Story, Window


def silent(span: int, window: Window, ready: Iterable[Hit], watermark: int, alert_id_of: AlertIdOf) -> list[Outcome]:
    """What *ready* (in order) and the time up to *watermark* bring to *window*, which changes."""
    outcomes: list[Outcome] = []
    for hit in ready:
        now = hit.kept.time
        _fall(span, window, now - 1, outcomes, alert_id_of)
        window.last = now
        window.silenced = False
        window.by = hit
        outcomes.append(Noted(hit.kept, now, ""))
    _fall(span, window, watermark, outcomes, alert_id_of)
    return outcomes


def _fall(span: int, window: Window, now: int, outcomes: list[Outcome], alert_id_of: AlertIdOf) -> None:
    """Tell the silence that has lasted until *now*, if one has and was not told."""
    moment = window.last + span
    if window.silenced or window.last < 0 or moment > now:
        return
    window.silenced = True
    alert_id = alert_id_of(window.group, window.by.kept if window.by else None, moment)
    window.add_story(Story(alert_id, moment, window.last, window.last, gap=window.last + 1, until=moment))
    outcomes.append(Raised(alert_id, window.group, moment, (), window.by, window.last, window.last))


def late(span: int, window: Window, hit: Hit, watermark: int, alert_id_of: AlertIdOf) -> list[Outcome]:
    """What one late match brings: it may fill a silence that was told, and another may follow it."""
    now = hit.kept.time
    outcomes: list[Outcome] = [Noted(hit.kept, now, "")]
    for story in window.stories:
        if not story.retracted and story.gap <= now <= story.until:
            story.retracted = True
            outcomes = [Retracted(story.alert_id, now, hit, story.gap, story.until)]
    if now > window.last:
        window.last, window.silenced, window.by = now, False, hit
        _fall(span, window, watermark, outcomes, alert_id_of)
    return outcomes
