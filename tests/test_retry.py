"""When is the next attempt?"""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from engine.retry import next_attempt


def delay(attempt: int, *, after: timedelta | None = None, chance: float = 0.999999, age: float = 0.0) -> float | None:
    due = next_attempt(attempt=attempt, now=1000.0 + age, created=1000.0, after=after, chance=chance)
    return None if due is None else round(due - 1000.0 - age)


def test_the_first_minutes_are_dense_and_then_it_is_every_five_minutes() -> None:
    assert [delay(attempt) for attempt in range(1, 9)] == [1, 2, 5, 10, 30, 60, 300, 300]


def test_a_day_later_it_is_given_up() -> None:
    assert delay(300, age=86_399) == 300
    assert delay(300, age=86_400) is None


def test_what_waited_because_nobody_ran_is_tried_before_it_is_given_up() -> None:
    assert delay(1, age=200_000) == 1
    assert delay(49, age=200_000) == 300
    assert delay(50, age=200_000) is None


def test_a_destination_may_ask_for_patience_but_for_ten_minutes_at_most() -> None:
    assert delay(1, after=timedelta(seconds=30)) == 30
    assert delay(1, after=timedelta(hours=3)) == 600


@given(st.integers(1, 500), st.floats(0, 0.999999), st.floats(0, 80_000))
def test_chance_spreads_between_half_and_all_and_never_into_the_past(attempt: int, chance: float, age: float) -> None:
    due = next_attempt(attempt=attempt, now=age, created=0.0, after=None, chance=chance)
    full = next_attempt(attempt=attempt, now=age, created=0.0, after=None, chance=1.0)
    assert due is not None
    assert full is not None
    assert (full - age) / 2 - 1e-6 <= due - age <= full - age
