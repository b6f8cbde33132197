"""
Which rules an event can match at all, at a cost that hardly grows with the number of rules.

Two levels. First the event's name: a table from the case-folded name to the conjunctions that demand it. Then, for the
group of conjunctions under one name, and for those that demand none, bit masks (`arrangement`), keyed by what tests
say of the event's values (`signatures`).

The first events are looked at slowly, to learn which paths leave out most for what they cost, and which of them can be
read together. Then functions are generated that read them in that order, straight from the struct into which the
record was decoded. They step aside, to the slow way, for an event that is not decoded like that.

The index only prunes. A value of a type that tests do not expect, such as an object where texts stand, passes every
test, so what a rule makes of it, error or not, is decided by the rule. What is learned changes the order only.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import UNSET

from engine.event import Seen, View
from engine.kinds import Schema
from engine.kinds.decoder import UNREADABLE
from engine.matching.arrangement import Arrangement, Bits, Candidates, Conjunctions
from engine.matching.conditions import Conjunction
from engine.matching.signatures import Reading, Signatures
from engine.unwatched import unwatched

LESSONS: Final = 400  # events, before the order is settled
_MAX_KEPT: Final = 32 * 1024  # bytes of an event that is kept while the index learns
_MAX_QUICK: Final = 32  # paths in the generated function
_MAX_TOGETHER: Final = 200  # different sets of values at paths that are read together, as estimated
_RARELY: Final = 0.02  # of events, for each field: decoding it costs what it does to decode so many of them again
_LOOK: Final = 0.2  # what one more look costs, against reading one path that has not been seen before


class Index:
    """The rules are numbers: their places in the sequence that was given."""

    def __init__(self, rules: Sequence[tuple[Conjunction, ...]], known: Schema) -> None:
        self._known = known
        self._signatures: dict[str, Signatures] = {}
        every: list[tuple[int, Bits]] = []
        named: dict[str, array[int]] = {}
        unnamed: list[int] = []
        for rule, conjunctions in enumerate(rules):
            for conjunction in conjunctions:
                names, bits = self._read(conjunction)
                for name in names or ():
                    named.setdefault(name, array("I")).append(len(every))
                if names is None:
                    unnamed.append(len(every))
                every.append((rule, bits))
        self._conjunctions = Conjunctions(every, named, unnamed, range(len(rules)))
        paths = sorted(
            self._signatures.values(), key=lambda one: one.prunes() / (1 + known.cost(one.path)), reverse=True
        )
        self._lessons = _Lessons(paths, known)
        self._first = Arrangement(known, self._conjunctions, [], [Reading([one]) for one in paths])
        self.candidates: Candidates = self._learn
        """The rules that what a kind has seen may match, or may break, in their order."""
        self.settled = False  # whether `candidates` stays what it is

    def _read(self, conjunction: Conjunction) -> tuple[frozenset[str] | None, Bits]:
        """The names that a conjunction demands, None for any, and its other tests."""
        aliases, name_path = self._known.aliases, self._known.name_path
        names = [t for t in conjunction if t.values is not None and aliases.get(t.path, t.path) == name_path]
        demand = min(names, key=lambda test: len(test.values or ()), default=None)
        bits = []
        for test in conjunction:
            if test is not demand:
                signatures = self._signatures.get(test.path)
                if signatures is None:
                    signatures = Signatures(test.path, self._known.token(test.path))
                    self._signatures[test.path] = signatures
                bits.append((signatures, signatures.bit(test)))
        return None if demand is None else demand.values, tuple(bits)

    def _learn(self, seen: Seen) -> Sequence[int]:
        found = self._first.slowly(seen.view)
        if self._lessons.take(seen.view, self._first):
            with unwatched():
                self.candidates = self._lessons.arranged(self._conjunctions).generated()
                self._first.dissolve()
            self.settled = True
        return found


class _Lessons:
    """What the first events teach: how much each path leaves out, and what stands at it."""

    def __init__(self, paths: Sequence[Signatures], known: Schema) -> None:
        self._paths = paths
        self._known = known
        self._events = 0
        self._left_out: Counter[Signatures] = Counter()  # parts of groups, added up
        sources = {source for path in paths if path.token is not None for source in path.token.sources}
        self._sources = {source: _getter(source, known) for source in sources}
        self._views: list[View] = []
        self._seen: list[dict[str, Any]] = []
        self._integers: set[str] = set()

    def take(self, view: View, arrangement: Arrangement) -> bool:
        """Learn from one event; whether that is enough."""
        for group in arrangement.groups_of(view):
            for _, reading, masks in arrangement.steps(group):
                left_out = (group.full & ~masks.going_on(reading.at(view))).bit_count() / len(group.rules)
                self._left_out[reading.parts[0]] += left_out  # type: ignore[assignment]  # counts in parts
        seen = {}
        for source, get in self._sources.items():
            try:
                value = seen[source] = get(view)
            except UNREADABLE:
                break
            except AttributeError:
                everything = Reading(self._paths)
                everything.rarely = True
                everything.prepare(view)
                break
            if value.__class__ is int:
                self._integers.add(source)
            elif value.__class__ is not str and value is not None and value is not UNSET and value is not list:
                seen[source] = self._events  # that is no key: as if it were new each time
        else:
            self._seen.append(seen)
        if len(getattr(view, "raw", b"")) <= _MAX_KEPT:
            self._views.append(view)
        self._events += 1
        return self._events >= LESSONS

    def arranged(self, conjunctions: Conjunctions) -> Arrangement:
        """The order that has been learned; what few events come to is marked as rarely read."""

        def worth(one: Signatures) -> float:
            return (self._left_out[one] / self._events + 0.001) / (1 + self._known.cost(one.path))

        ordered = sorted(self._paths, key=worth, reverse=True)
        quick = [one for one in ordered if one.token is not None][:_MAX_QUICK]
        rest = [Reading([one]) for one in ordered if one not in quick]
        alone = [Reading([one]) for one in quick]
        one_by_one = Arrangement(self._known, conjunctions, alone, rest)
        come = self._come(one_by_one)
        one_by_one.dissolve()
        sets = self._together(quick, {reading.parts[0]: come[reading] for reading in alone})
        readings = [Reading(parts, frozenset(self._integers)) for parts in sets]
        arrangement = Arrangement(self._known, conjunctions, readings, rest)
        come = self._come(arrangement)
        for reading in readings:
            dear = sum(1 + self._known.cost(part.path) / 3 for part in reading.parts)
            reading.rarely = come[reading].bit_count() < _RARELY * dear * self._events
        self._views.clear()
        self._seen.clear()
        return arrangement

    def _come(self, arrangement: Arrangement) -> Mapping[Reading, int]:
        """Which of the events come to each reading, as bits."""
        come: Counter[Reading] = Counter()
        for number, view in enumerate(self._views):
            for reading in arrangement.readings_of(view):
                come[reading] |= 1 << number
        return come

    def _together(self, paths: Iterable[Signatures], come: Mapping[Signatures, int]) -> list[list[Signatures]]:
        """
        *paths* in sets that are read at once: where the same events come to them (*come* says which do to each alone,
        as bits), and it spares looks and makes little that is new.
        """
        sets: list[list[Signatures]] = []
        for path in paths:
            for together in sets:
                apart = self._cost(together) + self._cost([path])
                both, there = come[path] & come[together[0]], come[together[0]]
                if 2 * both.bit_count() >= there.bit_count() > 0 and self._cost([*together, path]) < apart:
                    together.append(path)
                    break
            else:
                sets.append([path])
        return sets

    def _cost(self, paths: Sequence[Signatures]) -> float:
        """
        What reading *paths* together costs per event, in readings of one path.

        Where all that can occur will soon have been seen, no more than a look. Else each event costs a reading whose
        values are new, and that is as often as there were events whose values no other had (Good and Turing). How many
        different ones there are is estimated from those that occurred once and twice (Chao).
        """
        sources = sorted({source for path in paths if path.token is not None for source in path.token.sources})
        held = Counter(repr([seen[source] for source in sources]) for seen in self._seen)
        counts = Counter(held.values())
        different = len(held) + counts[1] * (counts[1] - 1) / (2 * (counts[2] + 1))
        if self._seen and different <= _MAX_TOGETHER:
            return _LOOK
        news = counts[1] / len(self._seen) if self._seen else len(paths)
        return _LOOK + news * len(paths)


def _getter(source: str, known: Schema) -> Callable[[View], Any]:
    """A function of a view that gives what a token's *source* does."""
    lines = [f"  {line}" for line in known.held([source], rarely=True)]
    namespace: dict[str, Any] = dict(known.helpers)
    exec("\n".join(["def get(v):", *lines, f"  return {known.rarely(source)}"]), namespace)  # noqa: S102 the kind's own text
    get: Callable[[View], Any] = namespace["get"]
    return get
