"""
Who takes part in `scripts/bench engine`, and on which events.

Of us, two ways are timed. The *whole path* is what the service does with one record: `Kind.decode` and `evaluate`, with
identity, limits on size and depth, UTF-8, uniform types, redaction of what rules read, candidates found and confirmed.
*Matching alone* is decoding what rules read, and deciding; it leaves out what other matchers do not do either.

orjson decodes the same bytes completely, JSON texts inside included, and decides nothing. The loop over jmespath.py is
given decoded events, and charged orjson's time for decoding them, not that of our own full decode. SQLite, DuckDB and
CEL get events that are decoded and flattened; none of that, nor loading them, is counted.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib import import_module
from typing import Any, Final, TypeVar, cast

import jmespath
import jmespath.exceptions
import msgspec

from benchmarks import cloudtrail, corpus
from benchmarks.corpus import COLUMNS, conditions
from engine.errors import EvaluationError
from engine.evaluate import evaluate
from engine.event import Record
from engine.expression import Lists, parse
from engine.functions import Functions
from engine.kinds import Kind, kind
from engine.kinds.aws_cloudtrail import _Lean as _CloudTrail
from engine.kinds.projection import Projection
from engine.kinds.tencent_cloudaudit import LeanCloudAudit, TencentCloudAudit
from engine.rule import RuleSet

DAY: Final = date(2026, 1, 1)
_NESTED: Final = ("requestParameters", "responseElements", "resources")

Loads = Callable[[bytes | str], Any]
Fields = Mapping[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Side:
    """Events of one kind, and rules for them."""

    kind: str
    events: Sequence[bytes]
    lists: Lists
    matches: Callable[[int], list[str]]
    full_decode: Callable[[Loads, Iterable[bytes]], None]
    seeing: Callable[[Any], Callable[[bytes], Any]]  # of a kind, what it makes of a record
    fresh: Sequence[bytes] = field(default=())  # more events, for the question what those cost that are new

    def rule_set(self, texts: Sequence[str], *, indexed: bool = True) -> RuleSet:
        return corpus.rule_set(texts, self.lists, kind=self.kind, indexed=indexed)


def a_kind(name: str) -> Kind:
    """A kind that has seen nothing yet."""
    return kind(name, redaction_key=b"benchmark" * 4)


def a_bare_kind(name: str) -> Kind:
    """The same for matching alone: it decodes no more of an event than rules read, so it cannot tell its identity."""
    bare: Any = a_kind(name)
    if isinstance(bare, TencentCloudAudit):
        bare.outer = Projection({"CloudAuditEvent": str | None})
    bare.lean = Projection({"eventName": Any}, {"userIdentity": {}})
    return cast("Kind", bare)


def generated(events: int, fresh: int = 0) -> Side:
    """CloudAudit, from benchmarks.corpus."""
    more = corpus.events(fresh, seed=8) if fresh else ()
    return Side(
        "tencent.cloudaudit", corpus.events(events), corpus.LISTS, corpus.matches, _decode_cloudaudit, _cloudaudit, more
    )  # fmt: skip


def real() -> Side | None:
    """CloudTrail, from benchmarks.cloudtrail, but for what does not decode; None where those events are not there."""
    decode = a_kind(cloudtrail.KIND).decode
    events = [raw for raw in cloudtrail.events() if decode(Record(raw)).event is not None]
    if not events:
        return None
    return Side(
        cloudtrail.KIND, events, cloudtrail.LISTS, cloudtrail.matches, _decode_cloudtrail, _cloudtrail
    )  # fmt: skip


# --- ours


def decide(a_kind: Kind, rules: RuleSet, raws: Iterable[bytes]) -> int:
    """The whole path; the number of matches and faults."""
    decode, outcomes = a_kind.decode, 0
    for raw in raws:
        event = decode(Record(raw)).event
        if event is not None:
            met, broken = evaluate(rules, event, DAY)
            outcomes += len(met) + len(broken)
    return outcomes


def decide_alone(side: Side, a_kind: Kind, rules: RuleSet, raws: Iterable[bytes]) -> int:
    """Matching alone; the same number."""
    matcher, _ = rules.matcher(side.kind)
    seen_of, outcomes = side.seeing(a_kind), 0
    for raw in raws:
        seen = seen_of(raw)
        for number in matcher.candidates(seen):
            try:
                outcomes += matcher.holds(number, seen.view)
            except EvaluationError:
                outcomes += 1
    return outcomes


def _cloudaudit(a_kind: Any) -> Callable[[bytes], Any]:
    take_out, lean = a_kind.outer.decode, a_kind.lean

    def seen(raw: bytes) -> Any:
        try:
            outer = take_out(raw)
            text = outer.f_CloudAuditEvent
            return LeanCloudAudit(a_kind, raw, text, None, outer, lean.decode(text))
        except msgspec.ValidationError:  # of an unusual type: the path's slow way
            return a_kind.decode(Record(raw)).event.seen

    return seen


def _cloudtrail(a_kind: Any) -> Callable[[bytes], Any]:
    lean = a_kind.lean

    def seen(raw: bytes) -> Any:
        try:
            return _CloudTrail(a_kind, raw, raw, None, lean.decode(raw))
        except msgspec.ValidationError:
            return a_kind.decode(Record(raw)).event.seen

    return seen


# --- a full decode


def _decode_cloudaudit(loads: Loads, raws: Iterable[bytes]) -> None:
    for raw in raws:
        inner = loads(loads(raw)["CloudAuditEvent"])
        for name in _NESTED:
            value = inner.get(name)
            if value.__class__ is str and value[:1] in ("{", "["):
                inner[name] = loads(value)
        identity = inner.get("userIdentity")
        if identity.__class__ is dict and identity.get("sessionContext"):
            session = identity["sessionContext"] = loads(identity["sessionContext"])
            session["extraInfo"] = loads(session["extraInfo"])


def _decode_cloudtrail(loads: Loads, raws: Iterable[bytes]) -> None:
    for raw in raws:
        loads(raw)


# --- others


def loop(texts: Sequence[str], lists: Lists, fields: Sequence[Fields], pairs: int = 150_000, rounds: int = 3) -> float:
    """jmespath.py asked for every rule: microseconds an event, of as many of *fields* as make *pairs*, evenly taken."""
    options = jmespath.Options(custom_functions=Functions(lists))
    compiled = [jmespath.compile(text) for text in texts]
    some, took = spread(fields, max(8, pairs // len(texts))), []
    for _ in range(rounds):
        began = time.process_time()
        for event in some:
            for expression in compiled:
                try:
                    expression.search(event, options)
                except (jmespath.exceptions.JMESPathError, TypeError, ValueError):
                    continue
        took.append((time.process_time() - began) / len(some) * 1e6)
    return statistics.median(took)


def spread(items: Sequence[Item], count: int) -> Sequence[Item]:
    """*count* of *items*, as far from each other as they can be: real events stand in the order of their files."""
    return items if count >= len(items) else [items[place * len(items) // count] for place in range(count)]


@dataclass(frozen=True, slots=True)
class Answered:
    """Microseconds per event, and the matches that were found with how many rules."""

    time: float
    matches: int
    rules: int


def sqlite(size: int, fields: Sequence[Fields]) -> Answered:
    """A query for each rule over a table with three indexes."""
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE e ({', '.join(COLUMNS)})")
    database.executemany(f"INSERT INTO e VALUES ({', '.join('?' * len(COLUMNS))})", flat(fields))
    for column in ("name", "error", "principal"):
        database.execute(f"CREATE INDEX by_{column} ON e ({column})")
    database.execute("ANALYZE")
    return _queried(database, size, size, len(fields))


def duckdb(size: int, fields: Sequence[Fields]) -> Answered | None:
    """A query for each rule, on one thread. At most 1,000 rules are run, and their time is scaled."""
    try:
        database = import_module("duckdb").connect(":memory:", config={"threads": 1})
    except ImportError:
        return None
    database.execute(f"CREATE TABLE e ({', '.join(name + ' VARCHAR' for name in COLUMNS)})")
    database.executemany(f"INSERT INTO e VALUES ({', '.join('?' * len(COLUMNS))})", flat(fields))
    return _queried(database, size, min(size, 1_000), len(fields))


def _queried(database: Any, size: int, asked: int, events: int) -> Answered:
    queries = [f"SELECT rowid FROM e WHERE {condition.sql}" for condition in conditions(asked)]
    began, found = time.process_time(), 0
    for query in queries:
        found += len(database.execute(query).fetchall())
    return Answered((time.process_time() - began) * size / asked / events * 1e6, found, asked)


def cel(size: int, fields: Sequence[Fields], pairs: int = 20_000) -> float | None:
    """common-expression-language, its programs compiled, one Context per event used for all rules."""
    try:
        binding = import_module("cel")
    except ImportError:
        return None
    compiled = [binding.compile(condition.cel) for condition in conditions(min(size, 1_000))]
    some = spread(fields, max(8, pairs // len(compiled)))
    rows = [{name: value or "" for name, value in zip(COLUMNS, row, strict=True)} for row in flat(some)]
    began = time.process_time()
    for row in rows:
        context = binding.Context(variables=row)
        for program in compiled:
            program.execute(context)
    return (time.process_time() - began) * size / len(compiled) / len(some) * 1e6


def flat(fields: Iterable[Fields]) -> list[list[str | None]]:
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


# --- whether all say the same


def same(side: Side, size: int = 1_000, count: int = 3_000) -> int:
    """
    Compares the index on, the index off, and on each fiftieth event the interpreter, over *count* events of *side*.

    Gives the number of pairs of rule and event that were compared with the index off. Raises AssertionError.
    """
    texts = side.matches(size)
    on, off = side.rule_set(texts), side.rule_set(texts, indexed=False)
    decode, pairs = a_kind(side.kind).decode, 0
    for number, raw in enumerate(spread(side.events, count)):
        event, again = decode(Record(raw)).event, decode(Record(raw)).event
        if event is None or again is None:
            continue
        found = evaluate(on, event, DAY)
        assert _said(found) == _said(evaluate(off, again, DAY)), raw
        if number % 50 == 0:
            answers = {rule.id: _interpreted(rule.match, event.fields) for rule in on}
            assert [match.rule.id for match in found[0]] == [name for name, holds in answers.items() if holds], raw
            assert [fault.rule_id for fault in found[1]] == [
                name for name, holds in answers.items() if holds is None
            ], raw
        pairs += size
    return pairs


def _interpreted(expression: Any, fields: Fields) -> bool | None:
    try:
        return bool(expression.holds(fields))
    except EvaluationError:
        return None


def _said(outcome: tuple[list[Any], list[Any]]) -> Any:
    return [match.rule.id for match in outcome[0]], [(fault.rule_id, fault.message) for fault in outcome[1]]
