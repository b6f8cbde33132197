"""
How late events come, and what follows: how far the watermark stays behind, and how far back each look reaches again.

Two measures, in seconds, for each new event: how long after it happened it was first seen, and how far it lay *behind*
the cursor of its source at that moment: 0 for one that happened after everything that had been read. The second is
what decides: a watermark that stays behind the cursor by at least so much passes no event before it arrives. Events of
a first look or of a catch-up after an outage lie ahead of the cursor, so they count as what they are: not late.

Kept as counts in buckets whose bounds grow by a tenth (DDSketch's idea, Masson et al., VLDB 2019): a quantile is right
to 5 %, and two distributions are added by adding counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

GROWTH: Final = 1.1
ENOUGH: Final = 1_000  # events, before a tail is believed
OVERLAP_UNTIL_ENOUGH: Final = timedelta(minutes=15)


def bucket(seconds: float) -> int:
    """The bucket of a value: 0 holds everything up to a second."""
    return 0 if seconds <= 1 else math.ceil(math.log(seconds) / math.log(GROWTH))


@dataclass(slots=True)
class Lags:
    """A distribution of seconds."""

    counts: dict[int, int] = field(default_factory=dict)
    most: float = 0.0

    def add(self, seconds: float, number: int = 1) -> None:
        at = bucket(seconds)
        self.counts[at] = self.counts.get(at, 0) + number
        self.most = max(self.most, seconds)

    def join(self, counts: Mapping[int, int], most: float) -> None:
        """Add another distribution to this one."""
        for at, number in counts.items():
            self.counts[at] = self.counts.get(at, 0) + number
        self.most = max(self.most, most)

    @property
    def number(self) -> int:
        return sum(self.counts.values())

    def quantile(self, share: float) -> float:
        """The value that *share* of all are at most, to 5 %; 0.0 when there are none."""
        wanted = share * self.number
        had = 0
        for at in sorted(self.counts):
            had += self.counts[at]
            if had >= wanted:
                middle = 0.0 if at == 0 else GROWTH**at * 2 / (1 + GROWTH)
                return min(middle, self.most)
        return 0.0


@dataclass(frozen=True, slots=True)
class Between:
    """What a person allows: at least and at most."""

    least: timedelta
    most: timedelta

    def __call__(self, value: timedelta) -> timedelta:
        return min(max(value, self.least), self.most)


LATENESS: Final = Between(timedelta(seconds=30), timedelta(minutes=15))


def lateness(behind: Iterable[Lags], limits: Between) -> timedelta:
    """How far the watermark stays behind the cursor: what 99.9 % of the events of the latest service need."""
    return limits(timedelta(seconds=math.ceil(max((lags.quantile(0.999) * 1.05 for lags in behind), default=0.0))))


def overlap(behind: Iterable[Lags], limits: Between) -> timedelta:
    """How far before the cursor a poll begins: twice what 99.9 % need, and 15 minutes until enough were measured."""
    all_ = list(behind)
    measured = timedelta(seconds=2 * max((lags.quantile(0.999) for lags in all_), default=0.0))
    if sum(lags.number for lags in all_) < ENOUGH:
        measured = max(measured, OVERLAP_UNTIL_ENOUGH)
    return limits(measured)
