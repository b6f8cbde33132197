"""What a rule with memory remembers: `tocsin explain RULE --state`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.cli.show import at, plain
from engine.correlate import Window, group_of, meaning
from engine.correlate.novelty import learning
from engine.correlate.turns import ORIGIN, missing
from engine.rule import Count, FirstSeen, Rule, Sequence, Silent
from engine.store import Store

SHOWN = 20


def state(rule: Rule, store: Store) -> list[dict[str, Any]]:
    """The windows of *rule*, the busiest first: what is counted, what is missing, until when. Times are UTC texts."""
    if rule.memory is None:
        return []
    with store.transaction() as tx:
        found = [one for one in tx.windows_of(rule.id, limit=1000) if one[1].meaning == meaning(rule)]
    origins = {source: window.last for source, key, window in found if key.story == ORIGIN}
    return [_window(rule, source, window, origins.get(source)) for source, key, window in found if key.story != ORIGIN][
        :SHOWN
    ]


def lines(rule: Rule, windows: list[dict[str, Any]]) -> Iterator[str]:
    """The same for people."""
    if rule.memory is None:
        yield f"{rule.id} remembers nothing: one event decides"
        return
    yield f"{rule.id} remembers {len(windows) or 'nothing of'} group{'s' * (len(windows) != 1)}"
    for one in windows:
        group = ", ".join(f"{name}={value}" for name, value in one["group"].items()) or "all events"
        yield f"  {plain(group)} ({plain(one['source'])})"
        for name in ("counted", "missing", "until", "told", "learning"):
            if one.get(name):
                yield f"    {name:8}  {plain(str(one[name]))}"


def _window(rule: Rule, source: str, window: Window, origin: int | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"source": source, "group": dict(group_of(window.group)), "matches": window.busy}
    shown["told"] = ", ".join(story.alert_id for story in window.stories)
    span = 0
    match rule.memory:
        case Count(within=within) | Sequence(within=within):
            span = int(within.total_seconds())
        case FirstSeen(over=over, learn=learn):
            shown["counted"] = f"last seen {at(window.last)}"
            shown["until"] = at(window.last + int(over.total_seconds()))
            if origin is not None:
                shown["learning"] = learning(origin + int(learn.total_seconds()))
            return shown
        case Silent(span=silence):
            shown["counted"] = f"last match {at(window.last)}"
            shown["missing"] = "silent, and told" if window.silenced else ""
            shown["until"] = at(window.last + int(silence.total_seconds()))
            return shown
    counted, lacking = missing(rule, window)
    shown["counted"], shown["missing"] = counted, lacking
    if window.waiting is not None:
        shown["until"] = at(window.waiting.deadline)
    elif window.free:
        shown["until"] = at(window.free[-1].time + span)
    return shown
