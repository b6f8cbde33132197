"""
The law of rules with memory: the alerts are those of the events in order of time, however the events arrive.

Random streams over every kind of memory, in any order within the lateness, cut into pages, with repetitions and
restarts, against a reference that sorts everything and looks at all of it again for every event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.alert import Match
from engine.correlate import Arrival, Hit, Key, decode, encode
from engine.errors import Place
from engine.event import Event, Identity
from engine.expression import parse, parse_template
from engine.rule import Count, FirstSeen, Memory, Rule, RuleSet, Severity, Silent, Status, Step
from engine.rule import Sequence as StepSequence
from engine.stream import Stream

HERE = Place("laws")


@dataclass(frozen=True, order=True)
class Happened:
    """An event as the reference sees it."""

    time: int
    id: str
    group: str = "g"
    value: str = "v"
    kinds: str = "x"  # which steps it satisfies: some of "a", "b", "c"


@dataclass
class Story:
    told: int
    group: str
    ids: list[str]
    last: int


def expression(text: str) -> Any:
    return parse(text, lists={}, place=HERE)


def a_rule(memory: Memory, *, quiet: int = 0, grouped: bool = True) -> Rule:
    return Rule(
        id="law.rule",
        title=parse_template("t", lists={}),
        severity=Severity.HIGH,
        status=Status.STABLE,
        kind="tencent.cloudaudit",
        description="d",
        match=expression("`true`"),
        place=HERE,
        version="v",
        group_by=(expression("group"),) if grouped else (),
        quiet=timedelta(seconds=quiet),
        memory=memory,
    )


def a_match(rule: Rule, happened: Happened) -> Match:
    fields = {"group": happened.group, "value": happened.value, "kinds": happened.kinds}
    identity = Identity(rule.kind, "100000000001", happened.id)
    return Match(rule, Event(identity, time=happened.time, name="E", raw=b"{}", decode=lambda _: fields))


# --- the reference: slow and obvious


def by_group(events: Sequence[Happened]) -> Iterator[list[Happened]]:
    for group in sorted({e.group for e in events}):
        yield sorted(e for e in events if e.group == group)


def bursts(events: list[Happened], within: int, quiet: int, complete: Any) -> list[Story]:
    """Stories of one group: *complete* says which events of a window make one, or None."""
    stories: list[Story] = []
    used: set[str] = set()
    for index, event in enumerate(events):
        now = event.time
        if stories:
            story = stories[-1]
            if now - story.last < within and (not quiet or now - story.told < quiet):
                story.ids.append(event.id)
                story.last = now
                used.add(event.id)
                continue
        window = [e for e in events[: index + 1] if e.id not in used and e.time > now - within]
        found = complete(window)
        if found is None:
            continue
        used |= {e.id for e in found}
        if stories and quiet and now - stories[-1].told < quiet:
            stories[-1].ids += [e.id for e in found]
            stories[-1].last = now
        else:
            stories.append(Story(now, event.group, [e.id for e in found], now))
    return stories


def counted(memory: Count, quiet: int, events: list[Happened]) -> list[Story]:
    def complete(window: list[Happened]) -> list[Happened] | None:
        number = len({e.value for e in window}) if memory.distinct else len(window)
        return window if number >= memory.at_least else None

    return bursts(events, int(memory.within.total_seconds()), quiet, complete)


def wants(memory: StepSequence) -> list[str]:
    """The steps written out: "a", "a", "b" for two of a and one of b."""
    names = "abc"
    return [names[i] for i, step in enumerate(memory.steps) if not step.absent for _ in range(step.at_least)]


def in_order(window: list[Happened], wanted: list[str]) -> int | None:
    """The index of the first event of a way through *wanted* that ends with the newest event, tried in every way."""
    if not wanted:
        return None

    def ways(start: int, left: list[str]) -> Iterator[list[int]]:
        if not left:
            yield []
            return
        for index in range(start, len(window)):
            if left[0] in window[index].kinds:
                for rest in ways(index + 1, left[1:]):
                    yield [index, *rest]

    found = list(ways(0, wanted))
    return min(way[0] for way in found) if found else None


def in_any_order(window: list[Happened], wanted: list[str]) -> bool:
    """Whether the wanted steps can be given different events, tried in every way."""

    def assign(left: list[str], free: frozenset[int]) -> bool:
        if not left:
            return True
        return any(left[0] in window[i].kinds and assign(left[1:], free - {i}) for i in sorted(free))

    return assign(wanted, frozenset(range(len(window))))


def sequenced(memory: StepSequence, quiet: int, events: list[Happened]) -> list[Story]:
    wanted = wants(memory)

    def complete(window: list[Happened]) -> list[Happened] | None:
        if memory.ordered:
            begin = in_order(window, wanted)
            return None if begin is None else window[begin:]
        return window if in_any_order(window, wanted) else None

    return bursts(events, int(memory.within.total_seconds()), quiet, complete)


def absences(memory: StepSequence, quiet: int, events: list[Happened], end: int) -> list[Story]:
    """Two steps in order of which the last must not come: "a" and then no "b"."""
    within = int(memory.within.total_seconds())
    stories: list[Story] = []
    used: set[str] = set()
    for event in events:
        if event.id in used or "a" not in event.kinds:
            continue
        deadline = event.time + within
        fillers = [e.time for e in events if "b" in e.kinds and event.time <= e.time < deadline]
        # (time, id) decides what was before what within a second
        stop = min(
            (e for e in events if "b" in e.kinds and event.time <= e.time < deadline and e > event), default=None
        )
        held = [
            e
            for e in events
            if e >= event and e.id not in used and "a" in e.kinds and e.time < deadline and (stop is None or e < stop)
        ]
        if fillers and min(fillers) == event.time and (stop is None or stop.time > event.time):
            held = [event]  # filled in the very second that it began
        used |= {e.id for e in held}
        if fillers or deadline > end:
            continue
        if stories and quiet and deadline - stories[-1].told < quiet:
            stories[-1].ids += [e.id for e in held]
        else:
            stories.append(Story(deadline, event.group, [e.id for e in held], deadline))
    return stories


def firsts(memory: FirstSeen, quiet: int, events: Sequence[Happened]) -> list[Story]:
    ordered = sorted(events)
    over, learn = int(memory.over.total_seconds()), int(memory.learn.total_seconds())
    stories: list[Story] = []
    last: dict[str, Story] = {}
    part: dict[tuple[str, str], tuple[int, Story]] = {}  # (group, value) -> its newest first sighting, and the alert
    for index, event in enumerate(ordered):
        before = [e for e in ordered[:index] if e.value == event.value and e.group == event.group]
        told = last.get(event.group)
        if before and event.time - before[-1].time < over:
            first = part.get((event.group, event.value))
            if first and quiet and event.time - first[0] < quiet:
                first[1].ids.append(event.id)
            continue
        if event.time < ordered[0].time + learn:
            continue
        if told and quiet and event.time - told.told < quiet:
            told.ids.append(event.id)
            part[event.group, event.value] = event.time, told
            continue
        stories.append(Story(event.time, event.group, [event.id], event.time))
        last[event.group] = stories[-1]
        part[event.group, event.value] = event.time, stories[-1]
    return stories


def silences(memory: Silent, events: list[Happened], end: int) -> list[Story]:
    span = int(memory.span.total_seconds())
    times = [e.time for e in events]
    gaps = zip(times, [*times[1:], end + span * 10], strict=True)
    return [Story(begin + span, events[0].group, [], begin) for begin, next_ in gaps if next_ > begin + span <= end]


# --- arrival


@dataclass(frozen=True)
class Delivery:
    """One way for events to arrive: how late each one comes, where pages are cut, what comes twice, when it restarts."""

    delays: list[int]
    pages: list[int]
    twice: list[int]
    restarts: list[bool]


deliveries = st.builds(
    Delivery,
    st.lists(st.integers(0, 20), min_size=1, max_size=40),
    st.lists(st.integers(1, 5), min_size=1, max_size=10),
    st.lists(st.integers(0, 60), max_size=10),
    st.lists(st.booleans(), min_size=1, max_size=10),
)
LATENESS = 20


def restarted(stream: Stream) -> Stream:
    """The stream as another process finds it: everything through bytes and back."""
    windows: dict[Key, Any] = {key: decode(encode(window)) for key, window in stream.windows.items()}
    pack = msgspec.msgpack
    buffer = [Arrival(one.key, pack.decode(pack.encode(one.hit), type=Hit)) for one in stream.buffer]
    return replace(stream, windows=windows, buffer=buffer)


def arriving(rule: Rule, events: Sequence[Happened], way: Delivery, end: int) -> Stream:
    """The stream after *events* came by *way* and time passed to *end*; each within LATENESS of its time."""
    stream = Stream(RuleSet((rule,)))
    coming = sorted(
        ((e.time + way.delays[i % len(way.delays)], i, e) for i, e in enumerate(events)), key=lambda c: c[:2]
    )
    coming += [(coming[i][0], i, coming[i][2]) for i in way.twice if i < len(coming)]
    coming.sort(key=lambda c: c[0])
    seen: set[str] = set()
    page = 0
    while coming:
        size = way.pages[page % len(way.pages)]
        now = coming[0][0]
        for _, _, event in coming[:size]:
            if event.id not in seen:
                seen.add(event.id)
                assert stream.take(a_match(rule, event)) == []
        coming = coming[size:]
        # What comes later happened, at the earliest, LATENESS before the next arrival.
        reached = min([now, *(c[0] for c in coming[:1])]) - LATENESS - 1
        if page % 2:
            stream.advance(max(reached, stream.watermark if stream.watermark is not None else reached))
        if way.restarts[page % len(way.restarts)]:
            stream = restarted(stream)
        page += 1
    stream.advance(end)
    assert stream.late == 0
    return stream


def said(stream: Stream) -> list[tuple[int, str, tuple[str, ...], int]]:
    return sorted(
        (stream.moments[a.id], a.group["group"], tuple(sorted(a.event_ids)), a.count) for a in stream.alerts.values()
    )


def due(stories: Sequence[Story]) -> list[tuple[int, str, tuple[str, ...], int]]:
    return sorted((s.told, s.group, tuple(sorted(s.ids)), len(s.ids)) for s in stories)


def streams(kinds: str = "x") -> st.SearchStrategy[list[Happened]]:
    some = st.sets(st.sampled_from(kinds), min_size=1).map(lambda found: "".join(sorted(found)))
    one = st.tuples(st.integers(0, 120), st.sampled_from("gh"), st.sampled_from("vwxy"), some)
    return st.lists(one, min_size=1, max_size=25).map(
        lambda found: [Happened(t, f"e{i:02}", g, v, k) for i, (t, g, v, k) in enumerate(found)]
    )


quiets = st.sampled_from([0, 5, 15, 40])
withins = st.sampled_from([1, 7, 20, 50]).map(lambda s: timedelta(seconds=s))
END = 500


@settings(max_examples=150)
@given(streams(), deliveries, st.integers(1, 5), withins, st.booleans(), quiets)
def test_counts_do_not_depend_on_arrival(
    events: list[Happened], way: Delivery, at_least: int, within: timedelta, distinct: bool, quiet: int
) -> None:
    memory = Count(at_least, within, expression("value") if distinct else None)

    stream = arriving(a_rule(memory, quiet=quiet), events, way, END)

    assert said(stream) == due([s for group in by_group(events) for s in counted(memory, quiet, group)])


def steps(at_least: Sequence[int], *, absent: bool = False) -> tuple[Step, ...]:
    made = tuple(Step(expression(f"contains(kinds, '{name}')"), n) for name, n in zip("abc", at_least, strict=False))
    return (*made[:-1], Step(made[-1].match, 1, absent=True)) if absent else made


@given(
    streams("abc"),
    deliveries,
    st.lists(st.integers(1, 2), min_size=2, max_size=3),
    withins,
    st.booleans(),
    quiets,
)
def test_sequences_do_not_depend_on_arrival(
    events: list[Happened], way: Delivery, at_least: list[int], within: timedelta, ordered: bool, quiet: int
) -> None:
    memory = StepSequence(within, steps(at_least), ordered)
    known = "abc"[: len(at_least)]
    events = [e for e in events if set(e.kinds) & set(known)]
    if not events:
        return

    stream = arriving(a_rule(memory, quiet=quiet), events, way, END)

    assert said(stream) == due([s for group in by_group(events) for s in sequenced(memory, quiet, group)])


@settings(max_examples=150)
@given(streams("ab"), deliveries, withins, quiets)
def test_absences_do_not_depend_on_arrival(
    events: list[Happened], way: Delivery, within: timedelta, quiet: int
) -> None:
    memory = StepSequence(within, steps([1, 1], absent=True))

    stream = arriving(a_rule(memory, quiet=quiet), events, way, END)

    assert said(stream) == due([s for group in by_group(events) for s in absences(memory, quiet, group, END)])


@settings(max_examples=150)
@given(streams(), deliveries, withins, st.integers(0, 60), quiets)
def test_first_sightings_do_not_depend_on_arrival(
    events: list[Happened], way: Delivery, over: timedelta, learn: int, quiet: int
) -> None:
    memory = FirstSeen((expression("value"),), over, timedelta(seconds=learn))

    stream = arriving(a_rule(memory, quiet=quiet), events, way, END)

    assert said(stream) == due(firsts(memory, quiet, events))


@settings(max_examples=150)
@given(streams(), deliveries, withins)
def test_silences_do_not_depend_on_arrival(events: list[Happened], way: Delivery, span: timedelta) -> None:
    memory = Silent(span)

    stream = arriving(a_rule(memory), events, way, END)

    assert sorted((moment, group) for moment, group, _, _ in said(stream)) == sorted(
        (s.told, s.group) for group in by_group(events) for s in silences(memory, group, END)
    )


MEMORIES: list[Memory] = [
    Count(3, timedelta(seconds=20)),
    Count(2, timedelta(seconds=20), expression("value")),
    StepSequence(timedelta(seconds=20), steps([2, 1])),
    StepSequence(timedelta(seconds=20), steps([1, 1], absent=True)),
    FirstSeen((expression("value"),), timedelta(seconds=50), timedelta(0)),
    Silent(timedelta(seconds=30)),
]


@settings(max_examples=150)
@given(streams("ab"), deliveries, deliveries, st.sampled_from(MEMORIES), quiets)
def test_two_ways_of_arriving_leave_the_same_alerts_to_the_letter(
    events: list[Happened], one: Delivery, other: Delivery, memory: Memory, quiet: int
) -> None:
    rule = a_rule(memory, quiet=quiet)

    first, second = arriving(rule, events, one, END), arriving(rule, events, other, END)

    assert list(first.alerts.values()) == list(second.alerts.values())


def test_the_reference_tries_every_way() -> None:
    window = [Happened(i, str(i), kinds=k) for i, k in enumerate(["ab", "a"])]

    assert in_any_order(window, ["a", "b"])
    assert not in_any_order(window[1:], ["a", "b"])
    assert [in_order(window, list(w)) for w in map("".join, product("ab", repeat=2))] == [0, None, 0, None]
