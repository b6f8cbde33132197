"""
`first_seen`: values, together, that were not seen for a span of event time.

One window per group and values: when they were last seen. While the rule learns (the first `learn` of event time since
its memory began) what is new is remembered and not told. Within `quiet` of the first sighting, further ones of the same
values join its alert.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from engine.correlate.counting import AlertIdOf
from engine.correlate.hits import Hit, Kept
from engine.correlate.windows import Joined, Noted, Outcome, Raised, Story, Window


def first_seen(
    over: int, learned: int, quiet: int, window: Window, ready: Iterable[Hit], alert_id_of: AlertIdOf
) -> list[Outcome]:
    """What *ready* (in order) brings to *window*, which changes. What is seen before *learned* is only learned."""
    outcomes: list[Outcome] = []
    for hit in ready:
        kept, now = hit.kept, hit.kept.time
        known = window.last >= 0 and now - window.last < over
        if not known:
            window.first = now
        window.last = now
        if known:
            story = window.story()
            if story is not None and quiet and now - story.told < quiet:
                story.last = now
                outcomes.append(Joined(story.alert_id, window.group, now, kept))
            else:
                outcomes.append(Noted(kept, now, "its values are known"))
        elif now < learned:
            outcomes.append(Noted(kept, now, learning(learned)))
        else:
            outcomes.append(raised(window, hit, alert_id_of))
    return outcomes


def raised(window: Window, hit: Hit, alert_id_of: AlertIdOf) -> Raised:
    kept = hit.kept
    alert_id = alert_id_of(window.group, kept, kept.time)
    window.add_story(Story(alert_id, kept.time, kept.time, kept.time))
    return Raised(alert_id, window.group, kept.time, (kept,), hit, kept.time, kept.time)


LEARNING = "the rule is learning until"


def learning(until: int) -> str:
    """What is said of a match while the rule learns."""
    return f"{LEARNING} {datetime.fromtimestamp(min(until, _LAST_SECOND), UTC):%Y-%m-%d %H:%M:%S} UTC"


def late(over: int, learned: int, window: Window, hit: Hit, alert_id_of: AlertIdOf) -> Outcome:
    """What one late match brings: only what the window still remembers can be asked."""
    kept: Kept = hit.kept
    now = kept.time
    if window.last >= 0 and window.first <= now and now - window.last < over:
        window.last = max(window.last, now)
        return Noted(kept, now, "its values are known")
    story = window.story()
    if window.last >= 0 and now < window.first and window.first - now < over:
        window.first = now
        if story is None:
            return Noted(kept, now, "its values are known")
        story.first = min(story.first, now)
        return Joined(story.alert_id, window.group, now, kept, hit)
    if window.last < now:
        window.first = window.last = now
    if now < learned:
        return Noted(kept, now, learning(learned))
    found = raised(window, hit, alert_id_of)
    return Raised(found.alert_id, window.group, now, found.hits, hit, now, now, hit)


_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z: no calendar goes further
