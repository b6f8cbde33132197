"""
The index of events, and its pages.

DescribeEvents pages like a search over `updateEsTime`, newest first, with an exclusive cursor: NextToken is the index
time of the last event on the page, an integer above 2^53, given also at the end (derived from the examples of
629/54488 and of the international site: 16106961641644206 is the `updateEsTime` of the event that it follows).
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass

from engine.emulator.events import TICKS, Entry
from engine.emulator.lookup import Filter

FEW = 32  # up to so many new entries are inserted one by one; more are sorted in at once


@dataclass(frozen=True, slots=True)
class Query:
    start: int  # epoch seconds, inclusive
    end: int  # epoch seconds, inclusive
    token: int | None
    most: int
    wanted: Filter | None
    with_location: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of DescribeEvents. *events* None is written as null."""

    events: Sequence[Entry] | None
    next_token: int
    list_over: bool
    with_location: bool = False

    def fields(self) -> bytes:
        """The members of the answer, in the order of the documentation's example."""
        over = b"true" if self.list_over else b"false"
        if self.events is None:
            events, count = b"null", b"null"
        else:
            events = b"[" + b",".join([e.written(with_location=self.with_location) for e in self.events]) + b"]"
            count = b"%d" % len(self.events)
        return b'"ListOver":%b,"Events":%b,"TotalCount":%b,"NextToken":%d' % (over, events, count, self.next_token)


class Index:
    """Entries by index time. Safe to add to from any thread while pages are read."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []  # by index time, oldest first; index times are all different
        self._times: list[int] = []
        self._taken: set[int] = set()
        # How far index times lie from event times, in ticks: bounds the search for a window of event time.
        self._least_lag = 0
        self._greatest_lag = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def reserve(self, wanted: int) -> int:
        """
        An index time for one new entry: *wanted*, or the next one before it that is free.

        The cursor is exclusive, so two events with one index time could not both be paged to. Earlier, not later: an
        event must be visible once its delay is over.
        """
        with self._lock:
            while wanted in self._taken:
                wanted -= 1
            self._taken.add(wanted)
            return wanted

    def add(self, entries: Sequence[Entry]) -> None:
        with self._lock:
            for entry in entries:
                lag = entry.index_time - entry.event_time * TICKS
                self._least_lag = min(self._least_lag, lag)
                self._greatest_lag = max(self._greatest_lag, lag)
            if len(entries) <= FEW:
                for entry in entries:
                    insort(self._entries, entry, key=lambda e: e.index_time)
                    insort(self._times, entry.index_time)
            else:
                self._entries = sorted([*self._entries, *entries], key=lambda e: e.index_time)
                self._times = [entry.index_time for entry in self._entries]

    def page(self, query: Query, now: int) -> Page:
        """The newest entries below the token that are indexed by *now* (ticks), match, and happened in the window."""
        found: list[Entry] = []
        over = True
        with self._lock:
            first = bisect_left(self._times, query.start * TICKS + self._least_lag)
            last = bisect_right(self._times, min(now, (query.end + 1) * TICKS + self._greatest_lag))
            if query.token is not None:
                last = min(last, bisect_left(self._times, query.token))
            for place in range(last - 1, first - 1, -1):
                entry = self._entries[place]
                if not query.start <= entry.event_time <= query.end:
                    continue
                if query.wanted is not None and not query.wanted(entry.facets):
                    continue
                if len(found) == query.most:
                    over = False
                    break
                found.append(entry)
        token = found[-1].index_time if found else query.token or 0
        return Page(found, token, over, query.with_location)


def ticks(at: float) -> int:
    """Epoch seconds as index time, without losing the fraction to a float of 17 digits."""
    whole = int(at // 1)
    return whole * TICKS + int((at - whole) * TICKS)
