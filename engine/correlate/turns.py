"""
One turn of the windows: matches whose time has come, matches that came too late, and the watermark.

    (matches, windows, watermark) -> (what is to be told, changed windows)

Pure: given the same windows and the same matches, it answers the same, and a window changes only here. A match is
applied when the watermark has passed its time, in order of (time, event id), whatever the order in which it arrived.
Times are epoch seconds of events.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from engine.alert import alert_id, fingerprint
from engine.correlate import novelty, silence
from engine.correlate.alerts import group_of, group_text
from engine.correlate.counting import AlertIdOf, count, tell
from engine.correlate.hits import Hit, Kept, Key, origin_of, story_digest
from engine.correlate.sequences import sequence
from engine.correlate.windows import (
    NEVER,
    Joined,
    Limits,
    Noted,
    Outcome,
    Raised,
    Retracted,
    Window,
    after,
)
from engine.event import Identity
from engine.rule import Count, FirstSeen, Rule, Silent
from engine.rule import Sequence as StepSequence

ORIGIN: Final = bytes(16)  # the story of the window that remembers when a memory began
SILENT_GROUP_KEPT = 30 * 86_400  # a group that stays silent is remembered so long


@dataclass(frozen=True, slots=True)
class Arrival:
    """A match with the window it belongs to."""

    key: Key
    hit: Hit


@dataclass(slots=True)
class Turn:
    """What came of one turn: outcomes in the order of their moments, and the windows as they are now."""

    outcomes: list[tuple[Rule, Key, Outcome]] = field(default_factory=list)
    windows: dict[Key, Window | None] = field(default_factory=dict)  # None: nothing is left to remember
    due: dict[Key, int] = field(default_factory=dict)
    given_up: dict[str, int] = field(default_factory=dict)  # rule id -> matches that the limit made us forget


def turn(
    rules: Mapping[tuple[str, str], Rule],
    windows: Mapping[Key, Window],
    ready: Iterable[Arrival],
    late: Iterable[Arrival],
    *,
    before: int | None,
    watermark: int | None,
    limits: Limits,
) -> Turn:
    """
    Apply *late* matches (at or behind *before*, the watermark so far), then *ready* ones (at or behind *watermark*).

    *rules* are those with memory, by (id, meaning); *windows* holds every window that a match belongs to or whose time
    has come, and the origins of the rules that learn. Windows of rules that are not there are given up.
    """
    done = Turn()
    waiting = _by_key(ready)
    too_late = _by_key(late)
    origins = _origins(rules, windows, (waiting, too_late), done)
    for key in dict.fromkeys((*windows, *waiting, *too_late)):
        rule = rules.get((key.rule_id, key.meaning))
        if rule is None:
            done.windows[key] = None
            continue
        if key == origin_of(rule, key.meaning):
            continue
        window = windows.get(key) or Window()
        outcomes: list[Outcome] = []
        ids = _ids(rule)
        origin = origins.get(key[:2], 0)
        for arrival in sorted(too_late.get(key, ()), key=lambda one: one.hit.kept):
            window.group = arrival.hit.group
            window.busy += 1
            outcomes += _late(rule, window, arrival.hit, before or 0, origin, ids)
        hits = [arrival.hit for arrival in sorted(waiting.get(key, ()), key=lambda one: one.hit.kept)]
        if hits:
            window.group = hits[0].group
            window.busy += len(hits)
        if watermark is not None:
            outcomes += _apply(rule, window, hits, watermark, origin, ids)
            _forget(rule, window, watermark, limits, done)
        due = _due(rule, window, limits)
        empty = due is None or (watermark is not None and due <= watermark)
        done.windows[key] = None if empty else window
        done.due[key] = NEVER if due is None else due
        done.outcomes += [(rule, key, outcome) for outcome in outcomes]
    done.outcomes.sort(key=lambda one: (one[2].moment, one[0].id, one[1].story))
    return done


def begun(rule: Rule, means: str, at: int) -> tuple[Key, Window]:
    """The window of a silence without groups: it is watched from *at* on, before anything has matched."""
    group = group_text(rule)
    return Key(rule.id, means, story_digest(group)), Window(group=group, last=at)


def _by_key(arrivals: Iterable[Arrival]) -> dict[Key, list[Arrival]]:
    found: dict[Key, list[Arrival]] = {}
    for arrival in arrivals:
        found.setdefault(arrival.key, []).append(arrival)
    return found


def _origins(
    rules: Mapping[tuple[str, str], Rule],
    windows: Mapping[Key, Window],
    arrived: Sequence[Mapping[Key, Sequence[Arrival]]],
    done: Turn,
) -> dict[tuple[str, str], int]:
    """When the memory of each rule that learns began: at its first match, in order of time."""
    origins: dict[tuple[str, str], int] = {}
    for arrivals in arrived:
        for key, some in arrivals.items():
            rule = rules.get(key[:2])
            if rule is None or not isinstance(rule.memory, FirstSeen):
                continue
            known = windows.get(origin_of(rule, key.meaning))
            if known is not None:
                origins[key[:2]] = known.last
            else:
                first = min(arrival.hit.kept.time for arrival in some)
                origins[key[:2]] = min(first, origins.get(key[:2], first))
    for (rule_id, means), first in origins.items():
        key = origin_of(rules[rule_id, means], means)
        if key not in windows:
            done.windows[key] = Window(last=first)
            done.due[key] = NEVER
    return origins


def _ids(rule: Rule) -> AlertIdOf:
    def alert_id_of(group: str, first: Kept | None, moment: int) -> str:
        mark = fingerprint(rule.id, rule.kind, group_of(group))
        if first is None or isinstance(rule.memory, Silent):  # a silence is what did not happen, at that moment
            return alert_id(mark, Identity(rule.kind, "", f"silent until {moment}"))
        return alert_id(mark, Identity(rule.kind, first.account, first.event_id))

    return alert_id_of


def _seconds(rule: Rule) -> int:
    """The span over which the rule's memory reaches."""
    match rule.memory:
        case Count(within=span) | StepSequence(within=span) | Silent(span):
            return int(span.total_seconds())
        case FirstSeen(over=span):
            return int(span.total_seconds())
    return 0


def _apply(
    rule: Rule, window: Window, hits: Sequence[Hit], watermark: int, origin: int, ids: AlertIdOf
) -> list[Outcome]:
    quiet, span = int(rule.quiet.total_seconds()), _seconds(rule)
    match rule.memory:
        case Count(at_least, _, distinct):
            return count(at_least, span, distinct is not None, quiet, window, hits, ids)
        case StepSequence() as memory:
            return sequence(memory, quiet, window, hits, watermark, ids)
        case FirstSeen(learn=learn):
            learned = origin + int(learn.total_seconds())
            return novelty.first_seen(span, learned, quiet, window, hits, ids)
        case Silent():
            return silence.silent(span, window, hits, watermark, ids)
    return []


def missing(rule: Rule, window: Window) -> tuple[str, str]:
    """What the window of a count or a sequence has counted up to its newest match, and what it still lacks."""
    span = _seconds(rule)
    free = window.free[after(window.free, window.free[-1].time - span) :] if window.free else []
    match rule.memory:
        case Count(at_least, _, distinct):
            number = len({kept.value for kept in free}) if distinct is not None else len(free)
            what = "distinct values" if distinct is not None else "matches"
            return f"{number} of {at_least} {what}", f"{max(0, at_least - number)} more {what}"
        case StepSequence(steps=steps):
            if window.waiting is not None:
                return f"{len(window.waiting.held)} matches, all steps", "nothing: what must not come is awaited"
            had = [sum(kept.steps >> i & 1 for kept in free) for i in range(len(steps))]
            wanted = [(i, step) for i, step in enumerate(steps) if not step.absent]
            counted = ", ".join(f"step {i + 1}: {had[i]} of {step.at_least}" for i, step in wanted)
            lacking = ", ".join(
                f"step {i + 1}: {step.at_least - had[i]} more" for i, step in wanted if had[i] < step.at_least
            )
            return counted, lacking or "the order"
    return "", ""


# --- late


def _late(rule: Rule, window: Window, hit: Hit, watermark: int, origin: int, ids: AlertIdOf) -> list[Outcome]:
    """
    One match behind the watermark. It joins the story it falls into, fills the absence it falls into, or completes,
    with what is remembered and in no alert, the story that it was missing from. Else it counts from now on.
    """
    span = _seconds(rule)
    match rule.memory:
        case FirstSeen(learn=learn):
            return [novelty.late(span, origin + int(learn.total_seconds()), window, hit, ids)]
        case Silent():
            return silence.late(span, window, hit, watermark, ids)
        case StepSequence(steps=steps) if steps[-1].absent and hit.kept.steps >> (len(steps) - 1) & 1:
            filled = _fill(window, hit)
            if filled:
                return filled
    return _late_to_story(rule, window, hit, watermark, span, ids)


def _fill(window: Window, hit: Hit) -> list[Outcome]:
    now = hit.kept.time
    waiting = window.waiting
    if waiting is not None and waiting.since <= now < waiting.deadline:
        window.waiting = None
        insort(window.free, hit.kept)
        return [Noted(hit.kept, now, "what was awaited came, late")]
    outcomes: list[Outcome] = []
    for story in window.stories:
        if not story.retracted and story.gap <= now < story.until:
            story.retracted = True
            outcomes.append(Retracted(story.alert_id, now, hit, story.gap, story.until))
    if outcomes:
        insort(window.free, hit.kept)
    return outcomes


def _late_to_story(rule: Rule, window: Window, hit: Hit, watermark: int, span: int, ids: AlertIdOf) -> list[Outcome]:
    now, quiet = hit.kept.time, int(rule.quiet.total_seconds())
    absence = isinstance(rule.memory, StepSequence) and rule.memory.steps[-1].absent
    for story in window.stories:
        if absence or not story.first - span < now < story.last + span or (quiet and now - story.told >= quiet):
            continue
        story.first, story.last = min(story.first, now), max(story.last, now)
        return [Joined(story.alert_id, window.group, now, hit.kept, hit)]
    # The matches that are free, as they would have been counted had this one come in time.
    again = Window(group=window.group)
    stream = sorted((*window.free, hit.kept))
    found = _apply(rule, again, [Hit(kept, window.group) for kept in stream], watermark, 0, ids)
    used: set[Kept] = set()
    outcomes: list[Outcome] = []
    for raised in found:
        if isinstance(raised, Raised) and hit.kept in raised.hits:
            joined = [one for one in found if isinstance(one, Joined) and one.alert_id == raised.alert_id]
            used = {*raised.hits, *(one.kept for one in joined)}
            tell(window, raised.hits, raised.moment, hit, quiet, outcomes, ids)
            outcomes = [replace(one, late=hit) if isinstance(one, Raised | Joined) else one for one in outcomes]
            alert = next(one.alert_id for one in outcomes if isinstance(one, Raised | Joined))
            outcomes += [Joined(alert, window.group, one.moment, one.kept) for one in joined]
            for story, told in ((s, t) for s in window.stories for t in again.stories if s.alert_id == t.alert_id):
                story.last, story.gap, story.until = told.last, told.gap, told.until
            break
    if again.waiting is not None and hit.kept in again.waiting.held and window.waiting is None:
        window.waiting = again.waiting
        window.waiting.by = hit
        used = set(again.waiting.held)
    if not used:
        insort(window.free, hit.kept)
    else:
        window.free = [kept for kept in window.free if kept not in used]
    return outcomes or [Noted(hit.kept, now, "it came late")]


# --- forgetting


def _forget(rule: Rule, window: Window, watermark: int, limits: Limits, done: Turn) -> None:
    """Drop what no match, however late within the grace, could need any more, and what is over the limit."""
    span, quiet = _seconds(rule), int(rule.quiet.total_seconds())
    del window.free[: after(window.free, watermark - span - limits.grace)]
    horizon = watermark - max(span, quiet) - limits.grace
    window.stories = [s for s in window.stories if max(s.told, s.last) > horizon]
    over = len(window.free) - max(limits.matches, rule.memory.at_least if isinstance(rule.memory, Count) else 0)
    if over > 0:
        before = len(window.free)
        window.free = _squeezed(rule, window.free, over, watermark - span)
        lost = before - len(window.free)
        window.given_up += lost
        done.given_up[rule.id] = done.given_up.get(rule.id, 0) + lost


def _squeezed(rule: Rule, free: list[Kept], over: int, horizon: int) -> list[Kept]:
    """*free* with *over* matches fewer: first those out of the window, then those whose value came again, then old."""
    stale = min(over, after(free, horizon))
    free = free[stale:]
    over -= stale
    if over > 0 and isinstance(rule.memory, Count) and rule.memory.distinct is not None:
        newest = {kept.value: index for index, kept in enumerate(free)}
        kept_free = []
        for index, kept in enumerate(free):
            if over > 0 and newest[kept.value] != index:
                over -= 1
            else:
                kept_free.append(kept)
        free = kept_free
    return free[over:] if over > 0 else free


def _due(rule: Rule, window: Window, limits: Limits) -> int | None:
    """When the window must be looked at again though no match comes; None when nothing is left in it."""
    span, quiet = _seconds(rule), int(rule.quiet.total_seconds())
    times: list[int] = []
    if isinstance(rule.memory, Silent):
        if window.last < 0:
            return None
        return window.last + span if not window.silenced else window.last + span + SILENT_GROUP_KEPT
    if window.free:
        times.append(window.free[-1].time + span + limits.grace)
    if window.last >= 0:
        times.append(window.last + span)
    times += [max(story.told, story.last) + max(span, quiet) + limits.grace for story in window.stories]
    if window.waiting is not None:
        return window.waiting.deadline
    return max(times, default=None)


__all__ = ["Arrival", "Turn", "begun", "turn"]
