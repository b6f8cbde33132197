"""How an emulator behaves: its key, its clock, and how badly it may treat its callers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Fault = Literal["limit", "5xx", "truncated", "slow", "reset", "null-events", "repeat-token", "html"]
"""
One way to misbehave, for one request:

- limit         the code RequestLimitExceeded inside HTTP 200; nothing is done
- 5xx           HTTP 500, 502 or 503 with an HTML body; nothing is done
- html          HTTP 200 with an HTML body, as a proxy's sign-in page; nothing is done
- reset         the connection is reset before an answer; nothing is done
- truncated     the right answer, cut short of its Content-Length
- slow          the right answer, in drips over `slow_for` seconds
- null-events   a page with `Events: null` that has not moved forward: the same events come with the next page
- repeat-token  a page that is not the last, whose NextToken leads nowhere: to the same page again
"""
FAULTS: tuple[Fault, ...] = get_args(Fault)


@dataclass(frozen=True, slots=True)
class Settings:
    """All times are seconds. *secret_key* and *token* are never shown."""

    secret_id: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)  # set: every request must carry it, as temporary keys do
    host: str = "127.0.0.1"
    port: int = 0  # 0 picks a free one
    account: str = "100000000001"  # uin of the main account
    caller: str = "100000000048"  # uin of the sub-user whose key this is
    now: Callable[[], float] = time.time  # epoch seconds: signatures, windows, visibility, the Date header
    monotonic: Callable[[], float] = time.monotonic  # the rate is counted by this one
    visibility_delay: float = 4.0  # an event is shown no earlier than this after it happened
    duplicate: float = 0.0  # share of events that are indexed twice, the second time up to 10 s later
    shuffle: bool = False  # events within a page in any order
    late: float | None = None  # share of events that are indexed late; None: 0.2 with shuffle, else 0
    lateness: float = 120.0  # how much later, at most
    faults: Mapping[Fault, float] = field(default_factory=dict)  # kind -> share of requests
    slow_for: float = 30.0
    rate: int = 20  # requests a second for each action, as documented; 0 is no limit
    seed: int = 0
    audit_own_calls: bool = True  # a changed tracking set leaves an audit event, as in the real service

    def __post_init__(self) -> None:
        """Raises ValueError for a share outside 0..1, an unknown fault, shares above 1 together, negative times."""
        for kind, share in self.faults.items():
            if kind not in FAULTS:
                raise ValueError(f"no fault is called {kind!r}; there are {', '.join(FAULTS)}")
            _share(f"the rate of {kind}", share)
        if sum(self.faults.values()) > 1 + 1e-9:
            raise ValueError("the rates of all faults together are above 1: one request fails in one way")
        _share("the rate of duplicates", self.duplicate)
        _share("the rate of late events", self.late_share)
        for name, value in (
            ("visibility delay", self.visibility_delay),
            ("lateness", self.lateness),
            ("slow_for", self.slow_for),
            ("rate", self.rate),
        ):
            if value < 0:
                raise ValueError(f"the {name} is negative")

    @property
    def late_share(self) -> float:
        if self.late is not None:
            return self.late
        return 0.2 if self.shuffle else 0.0


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}, not between 0 and 1")
