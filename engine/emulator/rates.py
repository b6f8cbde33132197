"""How often an action may be called: at most so many requests in any second (20 for each action, API 629/54488)."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

SECOND = 1.0


class Rates:
    """Counts the accepted requests of the last second for each key; a refused request does not count."""

    def __init__(self, limit: int, monotonic: Callable[[], float]) -> None:
        self.limit = limit  # 0: none
        self._monotonic = monotonic
        self._accepted: defaultdict[str, deque[float]] = defaultdict(deque)

    def accept(self, key: str) -> bool:
        """Whether one more request under *key* is within the limit now; if so it is counted."""
        if not self.limit:
            return True
        now = self._monotonic()
        accepted = self._accepted[key]
        while accepted and accepted[0] <= now - SECOND:
            accepted.popleft()
        if len(accepted) >= self.limit:
            return False
        accepted.append(now)
        return True
