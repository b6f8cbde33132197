"""
When the wall clock was set: nothing waits longer for it, nothing is forgotten for it, nothing stays unread.

Two defences. A guard sees a step as it happens, and what waits is moved with it. And whoever reads a source looks first
whether the cursor lies in the future, which heals what happened while nobody watched.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from engine.event import Cursor
from engine.store import Store

STEP: Final = 30.0  # seconds between two looks that are no drift any more
LONG: Final = 3600.0  # a step after which nothing is forgotten for a day: the clock may be set back
FUTURE: Final = 60.0  # a cursor so far ahead of the clock was written under a wrong one
MARK: Final = "clock before it was set forward"


class ClockGuard:
    """Tells a wall clock that was set from one that runs, by comparing it with one that cannot be set."""

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._last = wall(), monotonic()

    def step(self) -> float:
        """By how many seconds the wall clock was set since the last look; 0 for less than STEP."""
        wall, monotonic = self._wall(), self._monotonic()
        step = (wall - self._last[0]) - (monotonic - self._last[1])
        self._last = wall, monotonic
        return step if abs(step) > STEP else 0.0


def shifted(store: Store, step: float, now: float, *, seen: timedelta) -> None:
    """
    The clock was set by *step* seconds to *now*: the store's waiting times move with it. Raises StoreError.

    Before a long step forward the right time is kept, should it turn out to have been the right one (*seen* is how
    long ids of events are kept).
    """
    before = now - step
    if step >= LONG and (store.mark(MARK) or 0.0) < before - seen.total_seconds():
        store.mark(MARK, before)
    store.shift_clock(step, now)


def back_from_the_future(store: Store, source: str, now: float, *, span: timedelta, seen: timedelta) -> float:
    """
    Seconds that *source* is read back because its cursor, or its last second look, was written under a clock that was
    ahead; 0 when it was not. Without this, nothing would be read until the clock has come there.

    Reading begins where the clock was last right, as far as that is known, and at least *span* ago; never before what
    was told could be told again (*seen*, less a day). Raises StoreError.
    """
    state = store.source_state(source)
    cursor = state.cursor.until.timestamp() if state.cursor else 0.0
    if max(cursor, state.last_second_look or 0.0) <= now + FUTURE:
        return 0.0
    known = now - seen.total_seconds() + 86400.0
    since = min(now - span.total_seconds(), max(store.mark(MARK) or now, known))
    store.rewind(source, Cursor(datetime.fromtimestamp(since, UTC)))
    return now - since
