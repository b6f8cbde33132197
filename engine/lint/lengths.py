"""What lengths can be: whole numbers from nought on."""

from __future__ import annotations

import math
from collections.abc import Iterable

Bound = tuple[str, float]  # "lt", "lte", "gt", "gte" or "eq", and the number


def lengths_within(bounds: Iterable[Bound], *, least: int = 0) -> range | None:
    """The lengths, from *least* on, that are within all *bounds*; None where there is no end to them."""
    low, high = least, math.inf
    for operator, number in bounds:
        if operator in {"gt", "gte", "eq"}:
            low = max(low, math.floor(number) + 1 if operator == "gt" else math.ceil(number))
        if operator in {"lt", "lte", "eq"}:
            high = min(high, math.ceil(number) - 1 if operator == "lt" else math.floor(number))
    return range(low, int(high) + 1) if math.isfinite(high) else None
