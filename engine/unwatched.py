"""Much that is made at once and stays, without the cyclic garbage collector looking through it again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unwatched(*, afresh: bool = False) -> Iterator[None]:
    """
    Without the cyclic garbage collector: it would walk all that is made so far, many times, and find nothing.

    What is there at the end is taken out of its sight (`gc.freeze`): with 10,000 rules, each pass over them takes a
    third of a second. *afresh*, it first has to look at all that had been taken out before, which may be garbage now.
    """
    paused = gc.isenabled()
    if afresh and gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if paused:
            gc.enable()
