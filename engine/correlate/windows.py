"""What a rule remembers of one group, and what comes out when matches or time pass through it."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass

import msgspec

from engine.correlate.hits import Hit, Kept

NEVER = 1 << 62  # a time that does not come


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How much is remembered.

    *matches*: of one group that are not part of an alert. *grace*: seconds for which what is over is kept, so that a
    late event can still complete or retract it. *groups*: windows of one rule; *windows*: of all rules of a source.
    """

    matches: int = 10_000
    grace: int = 86_400
    groups: int = 100_000
    windows: int = 1_000_000


class Story(msgspec.Struct, array_like=True):
    """One alert that a window has raised. Times of events."""

    alert_id: str
    told: int  # the moment that made it true
    first: int
    last: int
    gap: int = -1  # an absence: nothing came from here …
    until: int = -1  # … to here
    retracted: bool = False


class Waiting(msgspec.Struct, array_like=True):
    """A sequence whose last step is that something does not come."""

    held: list[Kept]
    since: int  # what fills the absence comes at or after this
    deadline: int  # and before this
    by: Hit


class Window(msgspec.Struct, array_like=True):
    """The state of one group of one rule; which parts are used depends on the kind of memory."""

    group: str = "{}"
    free: list[Kept] = msgspec.field(default_factory=list)  # in order; not part of any alert
    stories: list[Story] = msgspec.field(default_factory=list)  # by the moment they were told
    waiting: Waiting | None = None
    first: int = -1  # first_seen: the first sighting that is remembered
    last: int = -1  # first_seen, silent: the newest match
    silenced: bool = False  # silent: the silence has been told and lasts
    by: Hit | None = None  # silent: what the alert shows
    busy: int = 0  # matches so far
    given_up: int = 0  # matches that the limit made us forget

    @property
    def told(self) -> bool:
        return bool(self.stories) or self.waiting is not None

    @property
    def newest(self) -> int:
        times = [self.last, *(kept.time for kept in self.free[-1:]), *(story.last for story in self.stories)]
        return max(times)

    def story(self) -> Story | None:
        return self.stories[-1] if self.stories else None

    def add_story(self, story: Story) -> None:
        insort(self.stories, story, key=lambda one: one.told)


def encode(window: Window) -> bytes:
    """The window as bytes, to be read back by `decode`."""
    return msgspec.msgpack.encode(window)


def decode(body: bytes) -> Window:
    """The window that `encode` wrote. Raises msgspec.DecodeError when it is something else."""
    return msgspec.msgpack.decode(body, type=Window)


# --- what comes out


@dataclass(frozen=True, slots=True)
class Raised:
    """A new story: *hits* are the matches it is made of, *by* the one whose event is shown (None: there is none)."""

    alert_id: str
    group: str
    moment: int
    hits: tuple[Kept, ...]
    by: Hit | None
    first: int
    last: int
    late: Hit | None = None  # the event that came behind the watermark and completed it


@dataclass(frozen=True, slots=True)
class Joined:
    """A match that belongs to a story already raised."""

    alert_id: str
    group: str
    moment: int
    kept: Kept
    late: Hit | None = None


@dataclass(frozen=True, slots=True)
class Retracted:
    """What was told to be absent was there after all."""

    alert_id: str
    moment: int
    by: Hit
    gap: int
    until: int


@dataclass(frozen=True, slots=True)
class Noted:
    """A match that counts, without an alert so far, and what there is to say of it."""

    kept: Kept
    moment: int
    why: str


Outcome = Raised | Joined | Retracted | Noted


def after(free: list[Kept], time: int) -> int:
    """The index of the first match later than *time*."""
    return bisect_right(free, time, key=lambda kept: kept.time)
