"""
Which rules an event can match at all, at a cost that hardly grows with the number of rules.

Two levels. First the event's name: a table from the case-folded name to the conjunctions that demand it. Then, for the
group of conjunctions under one name, and for the group that demands none, bit masks: each path that the group's tests
read has a table from the *signature* of a value (which of all tests on that path it passes, found once per value and
shared by all groups) to the mask of the conjunctions that go on. Masks are joined path by path, the cheapest to read
first, until none is left; a path that no remaining conjunction asks about is never read, hence never decoded.

The index only prunes. A value of a type that tests do not expect, such as an object where texts stand, passes every
test, so what a rule makes of it, error or not, is decided by the rule. Every table that is keyed by what events hold is
bounded, since whoever calls the API chooses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from engine.event import SEPARATOR, View
from engine.matching.conditions import Conjunction, Test

_MAX_REMEMBERED: Final = 4096  # values per path, names
_MAX_TEXT: Final = 512  # characters of a value that is remembered
_MAX_MASKS: Final = 256  # signatures per group and path
_ALL: Final = -1  # the signature that passes every test


class Index:
    """The rules are numbers: their places in the sequence that was given."""

    def __init__(
        self,
        rules: Sequence[tuple[Conjunction, ...]],
        *,
        name: str,
        aliases: Mapping[str, str],
        cost: Callable[[str], int],
    ) -> None:
        """*name* is the path of the first level; *aliases* other paths that hold the same; *cost* orders paths."""
        self._name = name
        self._cost = cost
        self._all = list(range(len(rules)))
        self._signatures: dict[str, _Signatures] = {}
        self._conjunctions: list[tuple[int, tuple[tuple[_Signatures, int], ...]]] = []
        self._named: dict[str, list[int]] = {}
        self._groups: dict[str, _Group] = {}
        self._by_name: dict[Any, _Group | None] = {None: None}
        unnamed: list[int] = []
        for rule, conjunctions in enumerate(rules):
            for conjunction in conjunctions:
                number = len(self._conjunctions)
                names = [t for t in conjunction if t.values is not None and aliases.get(t.path, t.path) == name]
                demand = min(names, key=lambda t: len(t.values or ()), default=None)
                rest = tuple(self._bit(test) for test in conjunction if test is not demand)
                self._conjunctions.append((rule, rest))
                if demand is None or demand.values is None:
                    unnamed.append(number)
                else:
                    for value in demand.values:
                        self._named.setdefault(value, []).append(number)
        self._unnamed = self._group(unnamed)

    def candidates(self, view: View) -> list[int]:
        """The rules that *view* may match, or may break, in their order."""
        name = view[self._name]
        try:
            group = self._by_name[name]
        except (KeyError, TypeError):
            if name.__class__ is not str:
                return self._all
            group = self._find(name)
        found: list[int] = []
        if group is not None:
            group.collect(view, found)
        self._unnamed.collect(view, found)
        return sorted(set(found)) if len(found) > 1 else found

    def _find(self, name: str) -> _Group | None:
        folded = name.casefold()
        group = self._groups.get(folded)
        if group is None and folded in self._named:
            group = self._groups[folded] = self._group(self._named[folded])
        if len(name) <= _MAX_TEXT:
            if len(self._by_name) >= _MAX_REMEMBERED:
                self._by_name = {None: None}
            self._by_name[name] = group
        return group

    def _bit(self, test: Test) -> tuple[_Signatures, int]:
        signatures = self._signatures.get(test.path)
        if signatures is None:
            signatures = self._signatures[test.path] = _Signatures(test.path)
        return signatures, signatures.bit(test)

    def _group(self, numbers: Iterable[int]) -> _Group:
        return _Group([self._conjunctions[number] for number in numbers], self._cost)


class _Signatures:
    """All tests on one path; the signature of a value has a bit for each that it passes."""

    __slots__ = ("_bits", "_passing", "_remembered", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._bits: dict[str, tuple[int, Test]] = {}
        self._passing: list[Callable[[Any], bool]] | None = None
        self._remembered: dict[str | bool | None, int] = {}

    def bit(self, test: Test) -> int:
        return self._bits.setdefault(test.key, (len(self._bits), test))[0]

    def of(self, value: Any) -> int:
        if value.__class__ is str or value is None or value is True or value is False:
            signature = self._remembered.get(value)
            return self._look(value) if signature is None else signature
        return _ALL

    def _look(self, value: str | bool | None) -> int:
        if self._passing is None:
            self._passing = [test.passing() for _, test in self._bits.values()]
        signature = 0
        for bit, passes in enumerate(self._passing):
            if passes(value):
                signature |= 1 << bit
        if value.__class__ is not str or len(value) <= _MAX_TEXT:  # type: ignore[arg-type]  # a text, as just asked
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered = {}
            self._remembered[value] = signature
        return signature


class _Group:
    """Conjunctions that are looked at together."""

    __slots__ = ("_full", "_rules", "_steps")

    def __init__(
        self,
        conjunctions: Sequence[tuple[int, tuple[tuple[_Signatures, int], ...]]],
        cost: Callable[[str], int],
    ) -> None:
        self._rules = [rule for rule, _ in conjunctions]
        self._full = (1 << len(conjunctions)) - 1
        by_path: dict[_Signatures, list[tuple[int, int]]] = {}
        for place, (_, tests) in enumerate(conjunctions):
            for signatures, bit in tests:
                by_path.setdefault(signatures, []).append((place, bit))
        ordered = sorted(by_path.items(), key=lambda item: (cost(item[0].path), -len(item[1])))
        self._steps = [_Step(signatures, tests, self._full) for signatures, tests in ordered]

    def collect(self, view: View, found: list[int]) -> None:
        """Add to *found* the rules of the conjunctions of which no test fails."""
        alive = self._full
        for step in self._steps:
            if alive & step.asked:
                signature = step.signature_of(view[step.path])
                mask = step.masks.get(signature)
                alive &= step.mask(signature) if mask is None else mask
                if not alive:
                    return
        rules = self._rules
        while alive:
            lowest = alive & -alive
            found.append(rules[lowest.bit_length() - 1])
            alive ^= lowest


class _Step:
    """One path of one group: from the signature of its value to the conjunctions that go on."""

    __slots__ = ("_full", "_tests", "asked", "masks", "path", "signature_of")

    def __init__(self, signatures: _Signatures, tests: list[tuple[int, int]], full: int) -> None:
        self.path = signatures.path
        self.signature_of = signatures.of
        self.asked = 0
        for place, _ in tests:
            self.asked |= 1 << place
        self.masks: dict[int, int] = {}
        self._tests = tests
        self._full = full

    def mask(self, signature: int) -> int:
        mask = self._full
        for place, bit in self._tests:
            if not signature >> bit & 1:
                mask &= ~(1 << place)
        if len(self.masks) >= _MAX_MASKS:
            self.masks = {}
        self.masks[signature] = mask
        return mask


def depth(path: str) -> int:
    """How many names a path has."""
    return path.count(SEPARATOR) + 1
