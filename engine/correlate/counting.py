"""
`count`: at least so many matches, or distinct values, of one group within a span of event time.

The window that ends at a match at t is (t - within, t]. The match that makes it reach the number raises the story with
all matches of the window; they are used up. While the story lasts, further matches join it: until none has come for
`within`, or until `quiet` after the story was told. Then counting begins anew, so no match is in two alerts. A story
that would be raised within the `quiet` of the last one joins it.

Distinct values are kept as 8-byte digests, exactly: a window cannot hold `at_least` of them without having raised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from engine.correlate.hits import Hit, Kept
from engine.correlate.windows import Joined, Noted, Outcome, Raised, Story, Window, after

AlertIdOf = Callable[[str, Kept | None, int], str]  # (group, first match, moment)


def count(
    at_least: int,
    within: int,
    distinct: bool,
    quiet: int,
    window: Window,
    ready: Iterable[Hit],
    alert_id_of: AlertIdOf,
) -> list[Outcome]:
    """What *ready* (in order) brings to *window*, which changes."""
    outcomes: list[Outcome] = []
    free = window.free
    left = after(free, free[-1].time - within) if free else 0  # where the window of the newest match begins
    values = Counter(kept.value for kept in free[left:]) if distinct else Counter()
    for hit in ready:
        kept, now = hit.kept, hit.kept.time
        story = window.story()
        if story is not None and lasts(story, now, within, quiet):
            story.last = now
            outcomes.append(Joined(story.alert_id, window.group, now, kept))
            continue
        free.append(kept)
        if distinct:
            values[kept.value] += 1
        while free[left].time <= now - within:
            if distinct:
                values[free[left].value] -= 1
                if not values[free[left].value]:
                    del values[free[left].value]
            left += 1
        if (len(values) if distinct else len(free) - left) < at_least:
            outcomes.append(Noted(kept, now, ""))
            continue
        hits = tuple(free[left:])
        del free[left:]
        values.clear()
        tell(window, hits, now, hit, quiet, outcomes, alert_id_of)
    return outcomes


def lasts(story: Story, now: int, within: int, quiet: int) -> bool:
    """Whether a match at *now* belongs to *story*."""
    return story.first <= now and now - story.last < within and (not quiet or now - story.told < quiet)


def tell(
    window: Window,
    hits: tuple[Kept, ...],
    moment: int,
    by: Hit,
    quiet: int,
    outcomes: list[Outcome],
    alert_id_of: AlertIdOf,
) -> None:
    """Raise a story of *hits* at *moment*, or let them join the last one when its quiet period is not over."""
    last = window.story()
    if last is not None and quiet and 0 <= moment - last.told < quiet:
        last.last = max(last.last, hits[-1].time)
        outcomes += [Joined(last.alert_id, window.group, moment, kept) for kept in hits]
        return
    alert_id = alert_id_of(window.group, hits[0], moment)
    window.add_story(Story(alert_id, moment, hits[0].time, hits[-1].time))
    outcomes.append(Raised(alert_id, window.group, moment, hits, by, hits[0].time, hits[-1].time))
