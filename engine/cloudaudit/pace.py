"""How fast the API may be asked: so many requests a second of each action."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Lock

from engine.cloudaudit.parameters import REQUESTS_PER_SECOND


class Pace:
    """
    A bucket of tokens for each action; a token comes back one second after the answer that it was taken for.

    So no second, wherever it begins, sees more than *per_second* requests, at the server too. Limiters that count from
    the moment of sending let one too many through: the first request of a burst arrives late, since its connection is
    made first, and the burst of the next second does not (the emulator answers RequestLimitExceeded to it). One that
    refills steadily would let twice as many through in the first second after a rest. Safe to share: clients of one
    account should.
    """

    def __init__(self, per_second: int = REQUESTS_PER_SECOND) -> None:
        self._per_second = per_second
        self._lock = Lock()
        self._buckets: dict[str, SimpleQueue[float]] = {}

    @contextmanager
    def turn(self, action: str) -> Iterator[None]:
        """The block may send *action* once; it begins when there is a token."""
        bucket = self._bucket(action)
        back = bucket.get()  # the token that comes back first, and time.monotonic() when it does
        time.sleep(max(0.0, back - time.monotonic()))
        try:
            yield
        finally:
            bucket.put(time.monotonic() + 1.0)

    def _bucket(self, action: str) -> SimpleQueue[float]:
        with self._lock:
            if action not in self._buckets:
                self._buckets[action] = SimpleQueue()
                for _ in range(self._per_second):
                    self._buckets[action].put(0.0)
            return self._buckets[action]
