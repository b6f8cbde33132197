"""
`sequence`: steps that all happen within a span of event time, in order or in any, or whose last one does not happen.

All matches of a story lie in (t - within, t], where t is the match that completes it. In order: the first step, as
often as it asks, then the second, and so on. In any order: there is a way to give each step its matches, one match to
one step. The story is made of every match from the first that it used; they are used up, and while it lasts further
matches join it, as in `engine.correlate.counting`.

With an absence at the end the other steps are waited with until `within` after the first match used. Matches of the
steps that come meanwhile belong to what waits. What fills the absence ends the waiting: in order, it comes at or after
the match that completed the steps (times are whole seconds, so the same second counts as after); in any order, at or
after the first. A story that was told as an absence does not take further matches: each new run is awaited for itself,
and one that ends within `quiet` joins the story.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import structs

from engine.correlate.counting import AlertIdOf, lasts, tell
from engine.correlate.hits import Hit, Kept
from engine.correlate.windows import Joined, Noted, Outcome, Waiting, Window, after
from engine.rule import Sequence


def sequence(
    memory: Sequence,
    quiet: int,
    window: Window,
    ready: Iterable[Hit],
    watermark: int,
    alert_id_of: AlertIdOf,
) -> list[Outcome]:
    """What *ready* (in order) and the time up to *watermark* bring to *window*, which changes."""
    steps = memory.steps
    absent = 1 << (len(steps) - 1) if steps[-1].absent else 0
    wanted = [step.at_least for step in steps if not step.absent]
    within = int(memory.within.total_seconds())
    outcomes: list[Outcome] = []
    for hit in ready:
        kept, now = hit.kept, hit.kept.time
        _end(window, now, quiet, outcomes, alert_id_of)
        story = window.story()
        if not absent and story is not None and lasts(story, now, within, quiet):
            story.last = now
            outcomes.append(Joined(story.alert_id, window.group, now, kept))
            continue
        outcomes.append(Noted(kept, now, ""))
        waiting = window.waiting
        if kept.steps & absent and waiting is not None and now >= waiting.since:
            window.waiting = waiting = None
        if waiting is not None and kept.steps & ~absent:
            waiting.held.append(kept)
            waiting.by = hit
            continue
        window.free.append(kept)
        begin = _complete(window.free, now - within, wanted, kept, memory.ordered)
        if begin is None:
            continue
        # Fillers are no part of a story: one can fill several absences.
        hits = tuple(one for one in window.free[begin:] if one.steps & ~absent)
        fillers = [structs.replace(one, steps=absent) for one in window.free[begin:] if one.steps & absent]
        since = now if memory.ordered else hits[0].time
        filled = any(one.steps & absent and one.time >= since for one in window.free)
        del window.free[begin:]
        window.free += fillers
        if not absent:
            outcomes.pop()
            tell(window, hits, now, hit, quiet, outcomes, alert_id_of)
            continue
        if not filled:
            window.waiting = Waiting(list(hits), since, hits[0].time + within, hit)
    _end(window, watermark, quiet, outcomes, alert_id_of)
    return outcomes


def _end(window: Window, now: int, quiet: int, outcomes: list[Outcome], alert_id_of: AlertIdOf) -> None:
    """Tell the absence that has lasted until *now*, if one has."""
    waiting = window.waiting
    if waiting is None or waiting.deadline > now:
        return
    window.waiting = None
    held = tuple(waiting.held)
    before = window.story()
    tell(window, held, waiting.deadline, waiting.by, quiet, outcomes, alert_id_of)
    story = window.story()
    if story is not None and story is not before:
        story.gap, story.until = waiting.since, waiting.deadline


def _complete(free: list[Kept], horizon: int, wanted: list[int], newest: Kept, ordered: bool) -> int | None:
    """Where in *free* the story begins that *newest* completes; None if it completes none."""
    last = len(wanted) - 1
    if ordered and not newest.steps >> last & 1:
        return None
    begin = after(free, horizon)
    if not ordered:
        return begin if _assignable(free[begin:], wanted) else None
    first, step, had = None, 0, 0
    # Taking each match for the step that is due as early as possible finds a way if there is one.
    for index in range(begin, len(free)):
        if free[index].steps >> step & 1:
            first = index if first is None else first
            had += 1
            if had == wanted[step]:
                step, had = step + 1, 0
                if step > last:
                    return first
    return None


def _assignable(hits: list[Kept], wanted: list[int]) -> bool:
    """Whether each step can have as many matches as it wants, each match given to one step (Hall's condition)."""
    every = (1 << len(wanted)) - 1
    masks = Counter(kept.steps & every for kept in hits if kept.steps & every)
    if any(sum(n for mask, n in masks.items() if mask >> i & 1) < want for i, want in enumerate(wanted)):
        return False
    if all(not mask & (mask - 1) for mask in masks):  # no match fits two steps
        return True
    for some in range(1, every + 1):
        enough = sum(want for i, want in enumerate(wanted) if some >> i & 1)
        if sum(n for mask, n in masks.items() if mask & some) < enough:
            return False
    return True
