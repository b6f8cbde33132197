"""
The matcher against others: wire bytes to decisions, as ratios within one run, all contenders taking turns.

`benchmarks.contenders` says who takes part and what is timed of each. Times are of the processor, medians of rounds;
slow contenders get fewer events or rules, and their time is scaled. What was wanted stands beside what was measured
(`goals`), misses too. Events come again in every round, so the engine's tables know their values; *new events* are
others, each seen once.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks import cloudtrail, contenders, footprint, page, ready
from benchmarks.contenders import Answered, Side, a_bare_kind, a_kind, decide, decide_alone
from engine.event import Record
from engine.kinds import Kind
from engine.packs import load
from engine.rule import RuleSet

SIZES: Final = (10, 100, 1_000, 10_000)
ROUNDS: Final = 9
EVENTS: Final = 4_000
NEW: Final = 3  # rounds of EVENTS new events
DECODED: Final = 2_000  # events for those who get them decoded
ENOUGH: Final = 100  # events to time something on


@dataclass(frozen=True, slots=True)
class Spread:
    """Microseconds per event: the median of rounds, the least and the most."""

    median: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Row:
    """
    Figures for one set of rules on one side.

    *times* are by what was timed; `NAME/orjson` is orjson's time for the same events. *loop* is jmespath.py's time per
    event; *ready* the seconds from texts of conditions to the first decided event.
    """

    label: str
    rules: int
    times: Mapping[str, Spread]
    matches: float
    loop: float
    ready: float

    def us(self, name: str) -> float | None:
        return self.times[name].median if name in self.times else None

    def speed(self, name: str) -> float | None:
        """Against orjson's full decode of the same events; None where it was not measured."""
        ours, theirs = self.us(name), self.us(_baseline(name))
        return None if ours is None or theirs is None else theirs / ours

    def against_loop(self, name: str) -> float | None:
        """Against the loop, which decodes as orjson does and then asks each rule."""
        ours, decoded = self.us(name), self.us("orjson")
        return None if ours is None or decoded is None else (self.loop + decoded) / ours


@dataclass(frozen=True, slots=True)
class Peers:
    """What only the generated side is measured with: a query per rule, CEL, memory in megabytes."""

    rules: int
    ours: int  # matches on the events that the others get
    sqlite: Answered
    duckdb: Answered | None
    cel: float | None
    added: float
    process: float


@dataclass(frozen=True, slots=True)
class Report:
    """All figures; *events* and *bytes* are by side, the generated one and the real one."""

    rows: Sequence[Row]
    peers: Sequence[Peers]
    real: Sequence[Row]  # empty where the events are not there
    events: tuple[int, int]
    bytes: tuple[int, int]
    rounds: int
    ready: ready.Row | None


def run(sizes: Sequence[int] = SIZES, *, events: int = EVENTS, rounds: int = ROUNDS, with_files: bool = True) -> Report:
    """Every size in turn. Needs orjson; DuckDB and a CEL binding take part where they are installed."""
    side, real = contenders.generated(events, fresh=events * NEW), contenders.real()
    decode = a_kind(side.kind).decode
    decoded = _decoded(decode, side.events[:DECODED])
    gc.collect()
    gc.freeze()
    rows, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder, "events")
        lines.write_bytes(b"\n".join(side.events))
        for size in sizes:
            rows.append(_row(side, f"{size:,}", side.matches(size), decoded, rounds))
            peers.append(_peers(side, size, decoded, lines))
    files = ready.run(sizes=(1_000,), sorts=("short",), rounds=5)[0] if with_files else None
    counts = (len(side.events), len(real.events) if real else 0)
    sizes_of = (sum(map(len, side.events)) // counts[0], sum(map(len, real.events)) // counts[1] if real else 0)
    return Report(rows, peers, _real(real, sizes, rounds) if real else [], counts, sizes_of, rounds, files)


def _real(side: Side, sizes: Sequence[int], rounds: int) -> list[Row]:
    decoded = _decoded(a_kind(side.kind).decode, side.events)
    rows = [_row(side, f"{size:,}", side.matches(size), decoded, rounds) for size in sizes]
    built_in = load(["builtin:aws"])
    count = sum(rule.enabled for rule in built_in)
    rows.append(_row(side, f"built-in, {count:,}", built_in, decoded, rounds))
    return rows


def _decoded(decode: Callable[[Record], Any], raws: Sequence[bytes]) -> list[dict[str, Any]]:
    found = (decode(Record(raw)).event for raw in raws)
    return [event.fields for event in found if event is not None]


def _row(side: Side, label: str, asked: Sequence[str] | RuleSet, decoded: Sequence[Any], rounds: int) -> Row:
    own, bare, began = a_kind(side.kind), a_bare_kind(side.kind), time.process_time()
    rules = asked if isinstance(asked, RuleSet) else side.rule_set(asked)
    decide(own, rules, side.events[:1])
    seconds = time.process_time() - began
    matches = decide(own, rules, side.events)
    assert matches == decide_alone(side, bare, rules, side.events), "matching alone finds what the whole path does"
    times = _times(side, own, bare, rules, rounds)
    texts = [rule.match.text for rule in rules.of_kind(side.kind) if rule.enabled]
    return Row(
        label, len(texts), times, matches / len(side.events), contenders.loop(texts, rules.lists, decoded), seconds
    )  # fmt: skip


def _times(side: Side, own: Kind, bare: Kind, rules: RuleSet, rounds: int) -> dict[str, Spread]:
    loads = import_module("orjson").loads
    quiet = [raw for raw in side.events if not decide(own, rules, [raw])]
    parts = {"": side.events, "quiet": quiet if len(quiet) >= ENOUGH else ()}
    taking_part: dict[str, tuple[Callable[[Sequence[bytes]], object], Sequence[bytes]]] = {}
    for part, raws in parts.items():
        if raws:
            taking_part[_name("whole", part)] = (lambda some: decide(own, rules, some)), raws
            taking_part[_name("alone", part)] = (lambda some: decide_alone(side, bare, rules, some)), raws
            taking_part[_name("orjson", part)] = (lambda some: side.full_decode(loads, some)), raws
    found: dict[str, list[float]] = {name: [] for name in taking_part}
    for _ in range(rounds):
        for name, (contender, raws) in taking_part.items():
            found[name].append(_timed(contender, raws))
    step = len(side.fresh) // NEW
    for start in range(0, len(side.fresh), step or 1):
        for name in ("whole", "orjson"):  # each event once: it would not be new to a second of ours
            some = side.fresh[start : start + step]
            found.setdefault(_name(name, "new"), []).append(_timed(taking_part[name][0], some))
    return {name: Spread(statistics.median(took), min(took), max(took)) for name, took in found.items()}


def _timed(contender: Callable[[Sequence[bytes]], object], raws: Sequence[bytes]) -> float:
    began = time.process_time()
    contender(raws)
    return (time.process_time() - began) / len(raws) * 1e6


def _name(what: str, part: str) -> str:
    return f"{what} {part}".strip()


def _baseline(name: str) -> str:
    return _name("orjson", name.partition(" ")[2])


def _peers(side: Side, size: int, decoded: Sequence[Any], lines: Path) -> Peers:
    ours = decide(a_kind(side.kind), side.rule_set(side.matches(size)), side.events[: len(decoded)])
    added, process = footprint.measured(size, lines)
    return Peers(
        size, ours, contenders.sqlite(size, decoded), contenders.duckdb(size, decoded), contenders.cel(size, decoded),
        added, process,
    )  # fmt: skip


# --- what was wanted


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that was set before the engine was written, and what came of it, by `WAYS`."""

    what: str
    bound: float
    better: Literal["more", "less"]
    unit: str
    figures: Sequence[float | None]

    def reached(self, figure: float) -> bool:
        return figure >= self.bound if self.better == "more" else figure <= self.bound


WAYS: Final = (
    "whole path",
    "whole path, new events",
    "matching alone",
    "CloudTrail, whole path",
    "CloudTrail, matching alone",
)
WANTED: Final = {10: (1.7, 12), 100: (1.5, 90), 1_000: (1.2, 700), 10_000: (0.9, 5_000)}
WANTED_QUIET: Final = 1.25  # of orjson's speed, at the last size
WANTED_MEMORY: Final = {1_000: 30, 10_000: 90}  # megabytes


def goals(report: Report) -> Iterator[Goal]:
    """Every figure that was wanted, for the sizes that were measured."""
    real_rows = {row.rules: row for row in report.real if row.label == f"{row.rules:,}"}
    pairs = {row.rules: (row, real_rows.get(row.rules)) for row in report.rows}
    for size, (row, real) in pairs.items():
        if size in WANTED:
            storm = " in a storm of alerts" if size == SIZES[-1] else ""
            yield Goal(
                f"{size:,} rules, against orjson{storm}", WANTED[size][0], "more", "×", _both(row, real, Row.speed, "")
            )
    last, last_real = pairs[max(pairs)]
    if last.rules == SIZES[-1]:
        figures = _both(last, last_real, Row.speed, "quiet")
        yield Goal(f"{last.rules:,} rules, against orjson on quiet events", WANTED_QUIET, "more", "×", figures)
    for size, (row, real) in pairs.items():
        if size in WANTED:
            what = f"{size:,} rules, against a loop over jmespath.py"
            yield Goal(what, WANTED[size][1], "more", "×", _both(row, real, Row.against_loop, ""))
    first, first_real = pairs[min(pairs)]
    for part, bound, said in (("quiet", 1.6, "quiet events"), ("", 2.2, "all events")):
        figures = [growth(first, last, name) for name in _ways(part)]
        figures += [growth(first_real, last_real, _name(way, part)) for way in _OURS]
        yield Goal(f"cost from {first.rules:,} to {last.rules:,} rules, {said}", bound, "less", "×", figures)
    yield from _further_goals(report)


def _further_goals(report: Report) -> Iterator[Goal]:
    by_size = {row.rules: row for row in report.rows}
    for peer in report.peers:
        if peer.rules >= 1_000:
            for name, found in (("SQLite", peer.sqlite), ("DuckDB", peer.duckdb)):
                if found is not None:
                    ours = [by_size[peer.rules].us(way) for way in _ways("")]
                    figures = [None if took is None else found.time / took for took in ours]
                    yield Goal(f"{peer.rules:,} rules, against {name}, a query each", 1, "more", "×", figures)
    if report.ready is not None:
        yield Goal("1,000 rule files ready, cold", 0.6, "less", " s", [report.ready.cold])
        yield Goal("1,000 rule files ready, cached", 0.25, "less", " s", [report.ready.cached])
    for peer in report.peers:
        if peer.rules in WANTED_MEMORY:
            yield Goal(f"memory for {peer.rules:,} rules", WANTED_MEMORY[peer.rules], "less", " MB", [peer.added])


_OURS: Final = ("whole", "alone")


def _ways(part: str) -> list[str]:
    """What is timed on the generated side, in the order of WAYS; new events are not sorted into quiet and others."""
    return [_name("whole", part), _name("whole", f"{part} new".strip()), _name("alone", part)]


def _both(row: Row, real: Row | None, ratio: Callable[[Row, str], float | None], part: str) -> list[float | None]:
    found = [ratio(row, name) for name in _ways(part)]
    return found + [None if real is None else ratio(real, _name(way, part)) for way in _OURS]


def growth(first: Row | None, last: Row | None, name: str) -> float | None:
    """How many times more an event costs with the last rules than with the first."""
    before, after = (None if row is None else row.us(name) for row in (first, last))
    return None if before is None or after is None else after / before


# --- the page


def tables(report: Report, machine: str, agreed: Iterable[str] = ()) -> str:
    """The figures as they stand in docs/performance.md; *agreed* are the sentences of `agreement`."""
    parts = [
        f"Measured on {machine}. Medians of {report.rounds} rounds.",
        *(f"Compared: {line}." for line in agreed),
        f"**CloudAudit**: {report.events[0]:,} generated events of {report.bytes[0]:,} bytes.",
        _speeds(report.rows, ("whole", "whole quiet", "whole new", "alone", "alone quiet")),
        _against(report),
        _answers(report.peers, min(DECODED, report.events[0])),
        *_real_part(report),
        "**Wanted and measured.** The figures that were set as goals before the engine was written.",
        _wanted(report),
    ]
    return "\n\n".join(parts)


_HEADS: Final = {
    "whole": "whole path", "whole quiet": "quiet events", "whole new": "new events", "alone": "matching alone",
    "alone quiet": "alone, quiet events",
}  # fmt: skip


def _speeds(rows: Sequence[Row], names: Sequence[str]) -> str:
    def cells(row: Row) -> list[str]:
        of = row.times["orjson"]
        found = [f"{row.us(name):.1f} ({row.speed(name):.2f}×)" if row.us(name) else "–" for name in names]
        return [row.label, f"{row.matches:.2f}", f"{of.median:.1f} ({of.least:.1f} to {of.most:.1f})", *found]

    return page.table(
        ["rules", "matches an event", "orjson (least to most)", *(_HEADS[name] for name in names)], map(cells, rows)
    )


def _against(report: Report) -> str:
    head = ["rules", "jmespath.py, a loop", "SQLite", "DuckDB", "CEL", "ready", "memory added", "of the process"]
    lines = []
    for row, peer in zip(report.rows, report.peers, strict=True):
        ours = row.us("whole") or 1
        others = (peer.sqlite.time, None if peer.duckdb is None else peer.duckdb.time, peer.cel)
        lines.append([
            row.label, _times_as(row.against_loop("whole")), *(_times_as(other and other / ours) for other in others),
            f"{row.ready:.2f} s", f"{peer.added:.0f} MB", f"{peer.process:.0f} MB",
        ])  # fmt: skip
    return "How many times the whole path's speed is that of others, and what rules take.\n\n" + page.table(head, lines)


def _answers(peers: Sequence[Peers], events: int) -> str:
    last = peers[-1]
    said = f"On {events:,} events with {last.rules:,} rules, SQLite finds {last.sqlite.matches:,} matches,"
    said += f" the engine {last.ours:,}."
    if last.duckdb is not None:
        alike = next(peer for peer in peers if peer.rules == last.duckdb.rules)
        said += f" DuckDB finds {last.duckdb.matches:,} with {alike.rules:,}, the engine {alike.ours:,}."
    return said


def _real_part(report: Report) -> list[str]:
    if not report.real:
        return [f"Not measured: {cloudtrail.ABSENT}."]
    return [
        f"**CloudTrail**: {report.events[1]:,} real events of {report.bytes[1]:,} bytes; below, our own rules.",
        _speeds(report.real, ("whole", "whole quiet", "alone", "alone quiet")),
        "Against a loop over jmespath.py: "
        + ", ".join(f"{_times_as(row.against_loop('whole'))} ({row.label})" for row in report.real)
        + ".",
    ]


def _wanted(report: Report) -> str:
    found = list(goals(report))
    lines = []
    for goal in found:
        figures = [*goal.figures, *[None] * (len(WAYS) - len(goal.figures))]
        sign = "≥" if goal.better == "more" else "≤"
        cells = ["" if figure is None else _judged(goal, figure) for figure in figures]
        lines.append([goal.what, f"{sign} {goal.bound:,}{goal.unit}", *cells])
    counted = []
    for place, way in enumerate(WAYS):
        judged = [
            goal.reached(figure) for goal in found for figure in goal.figures[place : place + 1] if figure is not None
        ]  # fmt: skip
        if judged:
            counted.append(f"{way} {sum(judged)} of {len(judged)}")
    return page.table(["", "wanted", *WAYS], lines) + f"\n\nReached: {'; '.join(counted)}."


def _judged(goal: Goal, figure: float) -> str:
    shown = f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}" if figure >= 10 else f"{figure:.2f}"
    return f"{shown}{goal.unit}" if goal.reached(figure) else f"**{shown}{goal.unit}, missed**"


def _times_as(ratio: float | None) -> str:
    if ratio is None:
        return "–"
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.1f}×" if ratio >= 1 else f"{ratio:.2f}×"


def agreement() -> Iterator[str]:
    """In a sentence for each side, that the index, the code without it, and the interpreter say the same."""
    for name, side in (("generated CloudAudit", contenders.generated(1_500)), ("real CloudTrail", contenders.real())):
        if side is None:
            yield cloudtrail.ABSENT
        else:
            pairs = contenders.same(side)
            said = f"index on and off agree on {pairs:,} pairs of rule and {name} event"
            yield f"{said}, the interpreter on a fiftieth of them"


def write(text: str) -> None:
    """Put *text* into docs/performance.md."""
    page.write("engine", text)
