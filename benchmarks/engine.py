"""
The matcher against others: wire bytes to decisions, as ratios within one run, all contenders taking turns.

What is timed of us is the real path of one record, `Kind.decode` and `evaluate`: identity, limits, uniform types,
redaction of what rules read, candidates found and confirmed. "matching alone" leaves out what other matchers do not do
either (identity, limits on size and depth, UTF-8): it is decoding and deciding. Slow contenders get fewer events, and
their time is scaled by the number of events; SQLite, DuckDB and CEL get events that are decoded and flattened already,
which is not counted against them.
"""

# ruff: noqa: E501  a table is its lines

from __future__ import annotations

import gc
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import jmespath
import jmespath.visitor
import msgspec

from benchmarks.corpus import COLUMNS, LISTS, conditions, events, matches, rule_set
from engine.errors import EvaluationError
from engine.evaluate import evaluate
from engine.event import Record
from engine.expression import parse
from engine.functions import Functions
from engine.kinds import kind
from engine.kinds.tencent_cloudaudit import _View
from engine.rule import RuleSet

SIZES: Final = (10, 100, 1_000, 10_000)
ROUNDS: Final = 5
EVENTS: Final = 4_000
PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- engine: begin -->", "<!-- engine: end -->"

_DAY: Final = date(2026, 1, 1)
_KIND: Final = kind("tencent.cloudaudit", redaction_key=b"benchmark" * 4)
_NESTED: Final = ("requestParameters", "responseElements", "resources")


@dataclass(slots=True)
class Row:
    """Figures for one number of rules; times in microseconds per event, None where a contender was not there."""

    rules: int
    ours: float
    quiet: float
    alone: float
    decode: float
    decode_quiet: float
    loop: float
    sqlite: float
    duckdb: float | None
    cel: float | None
    matches: float
    ready: float
    megabytes: float = 0.0


def run(sizes: Sequence[int] = SIZES) -> list[Row]:
    """Every size in turn. Needs orjson; DuckDB and a CEL binding take part where they are installed."""
    storm = events(EVENTS)
    fields = [_KIND.decode(Record(raw)).event.fields for raw in storm[:2_000]]  # type: ignore[union-attr]  # all decode
    gc.collect()
    gc.freeze()
    return [_row(size, storm, fields) for size in sizes]


def _row(size: int, storm: list[bytes], fields: list[dict[str, Any]]) -> Row:
    began = time.process_time()
    rules = rule_set(matches(size))
    decide(rules, storm[:1])
    ready = time.process_time() - began
    matched = decide(rules, storm)
    quiet = [raw for raw in storm if not decide(rules, [raw])]
    decide_alone(rules, storm)
    loads = import_module("orjson").loads
    contenders: dict[str, Callable[[], object]] = {
        "ours": lambda: decide(rules, storm),
        "decode": lambda: full_decode(loads, storm),
        "quiet": lambda: decide(rules, quiet),
        "decode_quiet": lambda: full_decode(loads, quiet),
        "alone": lambda: decide_alone(rules, storm),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, contender in contenders.items():
            began = time.process_time()
            contender()
            count = len(quiet) if "quiet" in name else len(storm)
            times[name].append((time.process_time() - began) / count * 1e6)
    taken = {name: statistics.median(found) for name, found in times.items()}
    return Row(
        size, **taken, loop=loop(size, storm), sqlite=sqlite(size, fields), duckdb=duckdb(size, fields), cel=cel(size, fields),
        matches=matched / EVENTS, ready=ready, megabytes=_megabytes(size),
    )  # fmt: skip


# --- contenders


def decide(rules: RuleSet, raws: Iterable[bytes]) -> int:
    """Our own path; the number of matches and faults."""
    decode, outcomes = _KIND.decode, 0
    for raw in raws:
        event = decode(Record(raw)).event
        if event is not None:
            met, broken = evaluate(rules, event, _DAY)
            outcomes += len(met) + len(broken)
    return outcomes


def decide_alone(rules: RuleSet, raws: Iterable[bytes]) -> int:
    """Decoding what rules read, and deciding; nothing else of what the path does for an event."""
    matcher, _ = rules.matcher("tencent.cloudaudit")
    a_kind: Any = _KIND
    outer_of, inner_of, outcomes = a_kind.outer, a_kind.inner, 0
    for raw in raws:
        try:
            outer = outer_of.decode(raw)
            text = outer.f_CloudAuditEvent
            view: Any = _View(a_kind, raw, outer, inner_of.decode(text), text)
        except msgspec.ValidationError:  # of an unusual type: the path's slow way
            view = a_kind.decode(Record(raw)).event.view
        for number in matcher.candidates(view):
            try:
                outcomes += matcher.holds(number, view)
            except EvaluationError:
                outcomes += 1
    return outcomes


def full_decode(loads: Callable[[Any], Any], raws: Iterable[bytes]) -> None:
    """The whole event with one of the fastest decoders: outer, inner, and the JSON texts inside. No rules."""
    for raw in raws:
        inner = loads(loads(raw)["CloudAuditEvent"])
        for name in _NESTED:
            value = inner.get(name)
            if value.__class__ is str and value[:1] in ("{", "["):
                inner[name] = loads(value)
        identity = inner.get("userIdentity")
        if identity.__class__ is dict and identity["sessionContext"]:
            session = identity["sessionContext"] = loads(identity["sessionContext"])
            session["extraInfo"] = loads(session["extraInfo"])


def loop(size: int, raws: Sequence[bytes], pairs: int = 60_000) -> float:
    """jmespath.py asked for every rule, full decode included: on so many events as make *pairs*, per event."""
    options = jmespath.Options(custom_functions=Functions(LISTS))
    compiled = [jmespath.compile(text) for text in matches(size)]
    some = raws[: max(4, min(len(raws), pairs // size))]
    began = time.process_time()
    for raw in some:
        event = _KIND.decode(Record(raw)).event
        if event is None:
            continue
        fields = event.fields
        for expression in compiled:
            try:
                expression.search(fields, options)
            except (jmespath.exceptions.JMESPathError, TypeError, ValueError):
                continue
    return (time.process_time() - began) / len(some) * 1e6


def sqlite(size: int, fields: Sequence[dict[str, Any]]) -> float:
    """A query for each rule over a table with three indexes; loading it is not counted."""
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE e ({', '.join(COLUMNS)})")
    database.executemany(f"INSERT INTO e VALUES ({', '.join('?' * len(COLUMNS))})", flat(fields))
    for column in ("name", "error", "principal"):
        database.execute(f"CREATE INDEX by_{column} ON e ({column})")
    database.execute("ANALYZE")
    began = time.process_time()
    for condition in conditions(size):
        database.execute(f"SELECT rowid FROM e WHERE {condition.sql}").fetchall()
    return (time.process_time() - began) / len(fields) * 1e6


def duckdb(size: int, fields: Sequence[dict[str, Any]]) -> float | None:
    """A query for each rule, on one thread; loading is not counted. At most 1,000 rules are run and scaled."""
    try:
        database = import_module("duckdb").connect(":memory:", config={"threads": 1})
    except ImportError:
        return None
    database.execute(f"CREATE TABLE e ({', '.join(name + ' VARCHAR' for name in COLUMNS)})")
    database.executemany(f"INSERT INTO e VALUES ({', '.join('?' * len(COLUMNS))})", flat(fields))
    some = conditions(size)[:1_000]
    began = time.process_time()
    for condition in some:
        database.execute(f"SELECT rowid FROM e WHERE {condition.sql}").fetchall()
    return (time.process_time() - began) * size / len(some) / len(fields) * 1e6


def cel(size: int, fields: Sequence[dict[str, Any]], pairs: int = 20_000) -> float | None:
    """common-expression-language, its programs compiled, one Context per event used for all rules."""
    try:
        binding = import_module("cel")
    except ImportError:
        return None
    compiled = [binding.compile(condition.cel) for condition in conditions(min(size, 1_000))]
    some = fields[: max(4, min(len(fields), pairs // len(compiled)))]
    rows = [{name: value or "" for name, value in zip(COLUMNS, row, strict=True)} for row in flat(some)]
    began = time.process_time()
    for row in rows:
        context = binding.Context(variables=row)
        for program in compiled:
            program.execute(context)
    return (time.process_time() - began) * size / len(compiled) / len(some) * 1e6


def flat(fields: Iterable[dict[str, Any]]) -> list[list[Any]]:
    """The columns of each event, as texts."""
    read = [parse(text, lists={}) for text in COLUMNS.values()]
    rows = []
    for event in fields:
        row = []
        for expression in read:
            try:
                value = expression.search(event)
            except EvaluationError:
                value = None
            row.append(value if isinstance(value, str) else None)
        rows.append(row)
    return rows


# --- memory, equality, the page


def _megabytes(size: int) -> float:
    """What *size* rules add to the memory of a process that has the program and the events already."""
    command = [sys.executable, "-m", "benchmarks.engine", str(size)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PAGE.parent.parent).stdout
    return float(output.split()[-1])


def grown(size: int) -> float:
    """Megabytes by which this process grows over loading *size* rules and deciding EVENTS events, the first one aside."""
    raws = events(EVENTS)
    texts = matches(size)
    decide(rule_set(texts[:1]), raws)
    before = _resident()
    rules = rule_set(texts)
    decide(rules, raws)
    after = _resident()
    assert len(rules) == size
    return after - before


def _resident() -> float:
    gc.collect()
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def same(size: int = 1_000, count: int = 1_500) -> int:
    """Compares index on, index off and the interpreter; the number of pairs compared. Raises AssertionError."""
    texts = matches(size)
    on, off = rule_set(texts), rule_set(texts, indexed=False)
    pairs = 0
    for number, raw in enumerate(events(count)):
        event = _KIND.decode(Record(raw)).event
        if event is None:
            continue
        found = evaluate(on, event, _DAY)
        again = _KIND.decode(Record(raw)).event
        assert again is not None
        assert _said(found) == _said(evaluate(off, again, _DAY)), raw
        if number % 50 == 0:
            assert [m.rule.id for m in found[0]] == [r.id for r in on if _interpreted(r.match, event.fields)], raw
        pairs += size
    return pairs


def _interpreted(expression: Any, fields: dict[str, Any]) -> bool:
    try:
        return bool(expression.holds(fields))
    except EvaluationError:
        return False


def _said(outcome: tuple[list[Any], list[Any]]) -> Any:
    return [match.rule.id for match in outcome[0]], [(fault.rule_id, fault.message) for fault in outcome[1]]


def table(rows: Sequence[Row], machine: str) -> str:
    """The figures as they stand in docs/performance.md."""

    def times(value: float | None, of: float) -> str:
        return "–" if value is None else f"{value / of:,.1f}×" if value / of < 100 else f"{value / of:,.0f}×"

    lines = [
        f"Measured on {machine}. {EVENTS:,} events of {sum(map(len, events(200))) // 200:,} bytes, medians of {ROUNDS} rounds.",
        "",
        "| rules | µs an event | quiet | matching alone | speed against orjson | quiet | matching alone | against a loop over jmespath.py | SQLite | DuckDB | CEL | matches an event | ready | memory |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            f"{row.rules:,}", f"{row.ours:.1f}", f"{row.quiet:.1f}", f"{row.alone:.1f}", f"{row.decode / row.ours:.2f}×",
            f"{row.decode_quiet / row.quiet:.2f}×", f"{row.decode / row.alone:.2f}×", times(row.loop, row.ours),
            times(row.sqlite, row.ours), times(row.duckdb, row.ours), times(row.cel, row.ours), f"{row.matches:.2f}",
            f"{row.ready:.2f} s", f"{row.megabytes:.0f} MB",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    first, last = rows[0], rows[-1]
    lines.append("")
    lines.append(
        f"orjson's full decode of the same events took {first.decode:.1f} µs. Cost grows {last.quiet / first.quiet:.1f}-fold from"
        f" {first.rules:,} to {last.rules:,} rules on quiet events, {last.ours / first.ours:.1f}-fold in a storm of matches."
    )
    return "\n".join(lines)


def write(text: str) -> None:
    """Put *text* between the marks in docs/performance.md."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    print(json.dumps(grown(int(sys.argv[1]))))  # a process of its own, for `_megabytes`
