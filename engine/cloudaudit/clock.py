"""
What time it is for Tencent Cloud: a request whose time is more than five minutes off is refused.

The difference is measured from the Date header of every answer. It is not used until the API refuses a signature for
its time; then it is, and a person is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

TOLERANCE = 30.0  # seconds: a correction smaller than this would not turn a refused signature into a good one


class Clock:
    """This machine's wall clock, corrected by what was measured once that is needed. Safe to share between threads."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._offset = 0.0
        self.skew: float | None = None  # seconds that Tencent's clock is ahead of this machine's; None: not known

    def now(self) -> float:
        """Epoch seconds, as corrected so far."""
        return self._wall() + self._offset

    def wall(self) -> float:
        """Epoch seconds by this machine's own clock."""
        return self._wall()

    @property
    def offset(self) -> float:
        """Seconds by which `now` is ahead of `wall`: 0 until the first correction."""
        return self._offset

    def measure(self, date: str | None, *, sent: float, received: float) -> None:
        """Learn from the Date header of an answer; *sent* and *received* are `wall` before and after."""
        moment = http_date(date)
        if moment is not None:
            # Date has whole seconds and was written somewhere between the two.
            self.skew = moment + 0.5 - (sent + received) / 2

    def correct(self) -> bool:
        """Use the measured difference from now on; False if there is none, or if it would change nothing."""
        if self.skew is None or abs(self.skew - self._offset) < TOLERANCE:
            return False
        self._offset = self.skew
        return True

    def describe(self) -> str:
        """The difference for a person: "this machine's clock is 7 min 3 s behind Tencent's"."""
        if self.skew is None:
            return "how far this machine's clock is off is not known: the answer has no Date"
        seconds = round(abs(self.skew))
        if seconds < 2:
            return "this machine's clock agrees with Tencent's"
        return f"this machine's clock is {_span(seconds)} {'behind' if self.skew > 0 else 'ahead of'} Tencent's"


def http_date(text: str | None) -> float | None:
    """Epoch seconds of an HTTP date (RFC 9110, 5.6.7), None if it is none."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _span(seconds: int) -> str:
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
