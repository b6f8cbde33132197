"""When is the next attempt? One policy for every destination."""

from __future__ import annotations

from datetime import timedelta

# Dense while somebody may be waiting, then every five minutes, then given up (and said so): an alert that arrives a day
# late helps nobody. Standard Webhooks' own schedule (5 s, 5 min, 30 min, 2 h …) is far too slow for on-call.
DELAYS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
STEADY = 300.0
GIVE_UP_AFTER = timedelta(hours=24)
FEWEST = 50  # attempts: what waited for a day because nobody ran gets its fair share of them first
LONGEST_WISH = timedelta(minutes=10)  # a destination may ask for patience, not for silence


def next_attempt(*, attempt: int, now: float, created: float, after: timedelta | None, chance: float) -> float | None:
    """
    When to try again (epoch seconds) after attempt number *attempt* failed at *now*; None when it is time to give up.

    *after* is what the destination asked for (Retry-After), at most ten minutes of it are granted. *chance* in [0, 1)
    spreads the rest between half and all of the delay, so that many rows do not come back at once.
    """
    if now - created >= GIVE_UP_AFTER.total_seconds() and attempt >= FEWEST:
        return None
    delay = DELAYS[attempt - 1] if attempt <= len(DELAYS) else STEADY
    delay *= 0.5 + chance / 2
    if after is not None:
        delay = max(delay, min(after, LONGEST_WISH).total_seconds())
    return now + delay
