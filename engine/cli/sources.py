"""`tocsin sources`: how far each source was read, and how late its events come."""

from __future__ import annotations

from typing import Any

import click

from engine.cli.options import config_option, format_option, opened_store, store_option
from engine.cli.show import as_json, at, rows
from engine.correlate.alerts import span
from engine.correlate.lateness import Lags
from engine.store import SourceState
from engine.store.windows import SourceWatch


@click.command()
@config_option
@store_option
@format_option
@click.option("--services", is_flag=True, help="A line for each service too.")
def sources(config: str | None, store: str | None, form: str, services: bool) -> None:
    """
    How far each source was read, and how late its events come.

    LAG is how long after an event happened it was first seen (half of them, 99 %, the most). BEHIND is how far the
    latest 0.1 % lay behind what had been read; the watermark of rules with memory stays so far behind the cursor, and
    the overlap of each poll is twice that, both within the limits of the configuration.
    """
    with opened_store(config, store) as opened:
        with opened.transaction() as tx:
            names = tx.sources_watched()
            found = [(name, tx.source_watch(name), tx.lags(name, "seen"), tx.lags(name, "behind")) for name in names]
        states = {name: opened.source_state(name) for name in names}
    if form == "json":
        for name, watch, seen, behind in found:
            as_json(_as_object(states[name], watch, seen, behind))
        return
    heads = ["SOURCE", "READ UP TO", "LAST POLL", "EVENTS", "LAG P50", "P99", "MOST", "BEHIND P99.9"]
    heads += ["WATERMARK", "OVERLAP", "LATE", "FOUND AGAIN"]
    lines: list[tuple[object, ...]] = []
    for name, watch, seen, behind in found:
        state, lag, tail = states[name], _together(seen), _together(behind)
        cursor = at(state.cursor.until.timestamp()) if state.cursor else "-"
        overlap = "-" if watch.overlap is None else span(int(watch.overlap))
        read = (name, cursor, at(state.last_poll), state.events)
        late = (*_lag(lag), _seconds(tail.quantile(0.999)))
        lines.append((*read, *late, at(watch.watermark), overlap, watch.late, watch.found_again))
        for service in sorted(seen) if services else ():
            own = behind.get(service, Lags())
            late = (*_lag(seen[service]), _seconds(own.quantile(0.999)))
            lines.append((f"  {service or '?'}", "", "", own.number, *late, "", "", "", ""))
    rows(heads, lines)


def _together(by_service: dict[str, Lags]) -> Lags:
    whole = Lags()
    for lags in by_service.values():
        whole.join(lags.counts, lags.most)
    return whole


def _lag(lags: Lags) -> tuple[str, str, str]:
    if not lags.number:
        return ("-", "-", "-")
    return _seconds(lags.quantile(0.5)), _seconds(lags.quantile(0.99)), _seconds(lags.most)


def _seconds(value: float) -> str:
    return span(round(value))


def _as_object(
    state: SourceState, watch: SourceWatch, seen: dict[str, Lags], behind: dict[str, Lags]
) -> dict[str, Any]:
    return {
        "source": state.name,
        "cursor": at(state.cursor.until.timestamp()) if state.cursor else None,
        "last_poll": at(state.last_poll) if state.last_poll is not None else None,
        "last_error": state.last_error,
        "events": state.events,
        "lag": _figures(_together(seen)),
        "behind": _figures(_together(behind)),
        "services": {
            name: {"lag": _figures(one), "behind": _figures(behind.get(name, Lags()))} for name, one in seen.items()
        },
        "watermark": at(watch.watermark) if watch.watermark is not None else None,
        "overlap_seconds": watch.overlap,
        "late_matches": watch.late,
        "found_by_second_look": watch.found_again,
        "matches_waiting": watch.waiting,
        "windows": watch.windows,
    }


def _figures(lags: Lags) -> dict[str, float | int]:
    return {
        "events": lags.number,
        "p50": round(lags.quantile(0.5), 1),
        "p99": round(lags.quantile(0.99), 1),
        "p99.9": round(lags.quantile(0.999), 1),
        "most": round(lags.most, 1),
    }
