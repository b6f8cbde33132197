"""How fast the API may be asked: so many requests a second of each action."""

from __future__ import annotations

from threading import Lock

from pyrate_limiter import Duration, InMemoryBucket, Limiter, MonotonicClock, Rate, SingleBucketFactory

from engine.cloudaudit.parameters import REQUESTS_PER_SECOND


class Pace:
    """
    A bucket of tokens for each action; a token comes back one second after it was taken.

    So no second, wherever it begins, sees more than *per_second* requests. (A bucket that refills steadily would let
    twice as many through in the first second after a rest.) Safe to share: clients of one account should.
    """

    def __init__(self, per_second: int = REQUESTS_PER_SECOND) -> None:
        self._per_second = per_second
        self._lock = Lock()
        self._clock = MonotonicClock()  # the buckets' own default
        self._buckets: dict[str, tuple[InMemoryBucket, Limiter]] = {}

    def wait(self, action: str) -> None:
        """Returns when *action* may be sent."""
        with self._lock:
            if action not in self._buckets:
                bucket = InMemoryBucket([Rate(self._per_second, Duration.SECOND)])
                # schedule_leak would start a thread for each bucket; we empty ours as we go.
                limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False), buffer_ms=1)
                self._buckets[action] = bucket, limiter
            bucket, limiter = self._buckets[action]
        limiter.try_acquire(action)
        bucket.leak(self._clock.now())
