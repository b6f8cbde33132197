"""What a match means to a rule with memory: which group it counts for, when, as which step, with which value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from engine.alert import Fault, Match, canonical
from engine.errors import EvaluationError
from engine.event import Fields
from engine.expression import Expression
from engine.rule import Count, FirstSeen, Rule, Sequence, Silent

DIGEST = 8  # bytes of a distinct value: two of 10,000 values collide once in 3.7e11 windows


class Key(NamedTuple):
    """Which window: the rule, what its windows mean, and the group (16 bytes)."""

    rule_id: str
    meaning: str
    story: bytes


class Kept(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One match as a window remembers it; ordered by time, then by the event's identity."""

    time: int
    event_id: str
    account: str = ""
    steps: int = 0  # which steps of a sequence it satisfies, one bit each
    value: bytes = b""  # digest of the distinct value


class Hit(msgspec.Struct, frozen=True, array_like=True):
    """One match on its way into a window, with what an alert would show of it."""

    kept: Kept
    group: str  # canonical JSON of the group: expression -> value
    fields: bytes = b"{}"  # JSON
    evidence: str = ""
    seen: int = 0  # when it was first seen, epoch seconds; 0 where nobody asks

    def shown(self) -> Fields:
        """The event as rules see it."""
        fields: Fields = msgspec.json.decode(self.fields)
        return fields


def meaning(rule: Rule) -> str:
    """
    A digest of what the rule's windows count: condition, memory and group, not prose, severity or exceptions.

    Rules that agree in it can go on with each other's windows.
    """
    memory: list[Any] = []
    match rule.memory:
        case Count(at_least, within, distinct):
            memory = ["count", at_least, within.total_seconds(), distinct.text if distinct else None]
        case Sequence(within, steps, ordered):
            texts = [[step.match.text, step.at_least, step.absent] for step in steps]
            memory = ["sequence", within.total_seconds(), texts, ordered]
        case FirstSeen(values, over, learn):
            texts = [[value.text] for value in values]
            memory = ["first_seen", texts, over.total_seconds(), learn.total_seconds()]
        case Silent(span):
            memory = ["silent", span.total_seconds()]
    decides = [rule.kind, rule.match.text, [expression.text for expression in rule.group_by], memory]
    return hashlib.blake2b(canonical(decides).encode(), digest_size=6).hexdigest()


def story_digest(group: str, values: str = "") -> bytes:
    """16 bytes over a group (and, for `first_seen`, the values)."""
    return hashlib.blake2b(f"{group}\0{values}".encode(), digest_size=16).digest()


def origin_of(rule: Rule, means: str) -> Key:
    """The window that remembers when the rule's memory began."""
    return Key(rule.id, means, bytes(16))


class Counts(NamedTuple):
    """What a match counts for; *key* is None where it counts for nothing, and *why* says so."""

    key: Key | None
    hit: Hit | None
    faults: list[Fault]
    why: str = ""


def counts_for(match: Match, means: str, *, evidence: str, seen: int, light: bool = False) -> Counts:
    """
    The window that *match* belongs to, and what it brings. With *light* the hit carries no fields and no evidence.

    An expression that breaks on the event is a Fault, and the match counts for nothing. A distinct value that is null,
    and first-seen values that are all null, are none.
    """
    rule, event = match.rule, match.event
    fields = event.fields
    try:
        group = canonical({e.text: _value(e, fields, "group_by") for e in rule.group_by})
        steps, value, values = 0, b"", ""
        match rule.memory:
            case Count(distinct=Expression() as distinct):
                found = _value(distinct, fields, "count.distinct")
                if found is None:
                    return Counts(None, None, [], "it has no distinct value")
                value = hashlib.blake2b(canonical(found).encode(), digest_size=DIGEST).digest()
            case Sequence(steps=all_steps):
                for index, step in enumerate(all_steps):
                    steps |= bool(_holds(step.match, fields, index)) << index
                if not steps:
                    return Counts(None, None, [], "it is none of the steps")
            case FirstSeen(values=expressions):
                seen_values = [_value(e, fields, "first_seen.values") for e in expressions]
                if all(one is None for one in seen_values):
                    return Counts(None, None, [], "it has none of the values")
                values = canonical(seen_values)
            case _:
                pass
    except EvaluationError as error:
        return Counts(None, None, [Fault(rule.id, event.identity, str(error))], "the rule broke on it")
    kept = Kept(event.time, event.event_id, event.account, steps, value)
    if light:
        return Counts(Key(rule.id, means, story_digest(group, values)), Hit(kept, group, seen=seen), [])
    hit = Hit(kept, group, msgspec.json.encode(fields), evidence, seen)
    return Counts(Key(rule.id, means, story_digest(group, values)), hit, [])


def _value(expression: Expression, fields: Mapping[str, Any], where: str) -> Any:
    try:
        return expression.search(fields)
    except EvaluationError as error:
        if where == "group_by":  # a group that cannot be told is one of its own, as it is for rules without memory
            return None
        raise EvaluationError(f"{where}: {error}") from error


def _holds(expression: Expression, fields: Mapping[str, Any], index: int) -> bool:
    try:
        return expression.holds(fields)
    except EvaluationError as error:
        raise EvaluationError(f"sequence.steps[{index}]: {error}") from error
