"""
Which rules an event can match at all, at a cost that hardly grows with the number of rules.

Two levels. First the event's name: a table from the case-folded name to the conjunctions that demand it. Then, for the
group of conjunctions under one name, and for the group that demands none, bit masks: each path that the group's tests
read has a table from the *signature* of a value (which of all tests on that path it passes, found once per value and
shared by all groups) to the mask of the conjunctions that go on. Masks are joined path by path, the cheapest to read
and most telling first, until none is left; a path that no remaining conjunction asks about is never read, hence never
decoded.

The index only prunes. A value of a type that tests do not expect, such as an object where texts stand, passes every
test, so what a rule makes of it, error or not, is decided by the rule. Every table that is keyed by what events hold is
bounded, since whoever calls the API chooses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from engine.event import SEPARATOR, View
from engine.matching.conditions import Conjunction, Test

Token = Callable[[Any], Any]  # a kind's Schema.token of a path

_MAX_REMEMBERED: Final = 4096  # values per path, names
_MAX_TEXT: Final = 512  # characters of a value that is remembered
_MAX_MASKS: Final = 256  # signatures per group and path
_ALL: Final = -1  # the signature that passes every test
_UNKNOWN: Final[Any] = object()
_TOKENS: Final = frozenset((str, int, tuple))  # not bool, nor float: True == 1 == 1.0 as keys


class Index:
    """The rules are numbers: their places in the sequence that was given."""

    def __init__(
        self,
        rules: Sequence[tuple[Conjunction, ...]],
        *,
        name: str,
        aliases: Mapping[str, str],
        cost: Callable[[str], int],
        token: Callable[[str], Token | None] = lambda _: None,
    ) -> None:
        """*name* is the path of the first level, *aliases* other paths that hold the same; for the rest see Schema."""
        self._name = name
        self._cost = cost
        self._token = token
        self._all = list(range(len(rules)))
        self._signatures: dict[str, _Signatures] = {}
        self._conjunctions: list[tuple[int, tuple[tuple[_Signatures, int], ...]]] = []
        self._named: dict[str, list[int]] = {}
        self._groups: dict[str, _Group] = {}
        self._by_name: dict[Any, _Group | None] = {None: None}
        self._name_token = token(name)
        self._by_name_token: dict[str, _Group | None] = {}
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
        group = name = None
        if self._name_token is not None:
            try:  # noqa: SIM105 as in _Group
                name = self._name_token(view)
            except AttributeError:
                pass
            if name.__class__ is str:
                group = self._by_name_token.get(name, _UNKNOWN)
        if name.__class__ is not str or group is _UNKNOWN:
            token, name = name, view[self._name]
            try:
                group = self._by_name[name]
            except (KeyError, TypeError):
                if name.__class__ is not str:
                    return self._all
                group = self._find(name)
            if token.__class__ is str and token and len(token) <= _MAX_TEXT:
                if len(self._by_name_token) >= _MAX_REMEMBERED:
                    self._by_name_token.clear()
                self._by_name_token[token] = group
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
            signatures = self._signatures[test.path] = _Signatures(test.path, self._token(test.path))
        return signatures, signatures.bit(test)

    def _group(self, numbers: Iterable[int]) -> _Group:
        return _Group([self._conjunctions[number] for number in numbers], self._cost)


class _Signatures:
    """All tests on one path; the signature of a value has a bit for each that it passes."""

    __slots__ = ("_bits", "_prunes", "_questions", "by_token", "path", "remembered", "token")

    def __init__(self, path: str, token: Token | None) -> None:
        self.path = path
        self.token = token
        self.by_token: dict[Any, int] = {}
        self._bits: dict[str, tuple[int, Test]] = {}
        self._questions: _Questions | None = None
        self._prunes: float | None = None  # asked for when every rule has been read
        self.remembered: dict[str | bool | None, int] = {}

    def bit(self, test: Test) -> int:
        return self._bits.setdefault(test.key, (len(self._bits), test))[0]

    def prunes(self) -> float:
        """How much the tests here can be expected to leave out, on average: 0 nothing, 1 everything. A guess."""
        if self._prunes is None:
            self._prunes = sum(_prunes(test) for _, test in self._bits.values()) / len(self._bits)
        return self._prunes

    def of(self, value: Any) -> int:
        if value.__class__ is str or value is None or value is True or value is False:
            signature = self.remembered.get(value)
            return self._look(value) if signature is None else signature
        return _ALL

    def _look(self, value: str | bool | None) -> int:
        if self._questions is None:
            self._questions = _Questions([test for _, test in self._bits.values()])
        signature = self._questions.of_flag(value) if isinstance(value, bool) else self._questions.of_text(value)
        if not isinstance(value, str) or len(value) <= _MAX_TEXT:
            if len(self.remembered) >= _MAX_REMEMBERED:
                self.remembered.clear()
            self.remembered[value] = signature
        return signature


class _Questions:
    """
    The tests of one path by the sort of question they ask, so that many are answered by one look.

    A set bit stands for "yes"; the tests that want a "no" are turned round at the end.
    """

    __slots__ = ("_folded", "_is", "_others", "_prefixes", "_substrings", "_tests", "_wants_no")

    def __init__(self, tests: Sequence[Test]) -> None:
        self._tests = tests
        self._is: dict[str, int] = {}
        self._folded: dict[str, int] = {}
        self._prefixes: dict[int, dict[str, int]] = {}  # by length
        self._substrings: dict[str, int] = {}
        self._others: list[tuple[Callable[[Any], bool], int]] = []
        self._wants_no = 0
        for number, test in enumerate(tests):
            bit = 1 << number
            (sort, what), yes = test.atom()
            if sort == "other":
                self._others.append((test.passing(), bit))
                continue
            if not yes:
                self._wants_no |= bit
            match sort:
                case "is":
                    _add(self._is, what, bit)
                case "folds to":
                    _add(self._folded, what, bit)
                case "starts_with":
                    _add(self._prefixes.setdefault(len(what), {}), (what,), bit)
                case _:
                    _add(self._substrings, (what,), bit)

    def of_text(self, text: str | None) -> int:
        signature = 0
        if text is not None:
            signature = self._is.get(text, 0)
            if self._folded:
                signature |= self._folded.get(text.casefold(), 0)
            for length, prefixes in self._prefixes.items():
                signature |= prefixes.get(text[:length], 0)
            for substring, bits in self._substrings.items():
                if substring in text:
                    signature |= bits
        signature ^= self._wants_no
        for passes, bit in self._others:
            if passes(text):
                signature |= bit
        return signature

    def of_flag(self, value: bool) -> int:
        """Of a flag, which some tests of texts refuse with an error: each test answers for itself."""
        signature = 0
        for number, test in enumerate(self._tests):
            if test.passing()(value):
                signature |= 1 << number
        return signature


def _prunes(test: Test) -> float:
    (sort, _), yes = test.atom()
    if not yes:
        return 0.05 if sort != "other" else 0.5
    return {"is": 0.9, "folds to": 0.9, "starts_with": 0.8, "contains": 0.7}.get(sort, 0.5)


def _add(table: dict[str, int], texts: Iterable[str], bit: int) -> None:
    for text in texts:
        table[text] = table.get(text, 0) | bit


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
        ordered = sorted(by_path.items(), key=lambda item: cost(item[0].path) - 4 * item[0].prunes())
        self._steps = [_Step(signatures, tests, self._full) for signatures, tests in ordered]

    def collect(self, view: View, found: list[int]) -> None:
        """Add to *found* the rules of the conjunctions of which no test fails."""
        alive = self._full
        for step in self._steps:
            if alive & step.asked:
                signature = token = None
                if step.token is not None:
                    try:  # noqa: SIM105 this runs for every path of every event
                        token = step.token(view)
                    except AttributeError:
                        pass  # not projected yet, or decoded otherwise
                    if token.__class__ in _TOKENS:
                        signature = step.by_token.get(token)
                if signature is None:
                    signature = step.signature(view, token)
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

    __slots__ = ("_full", "_signatures", "_tests", "asked", "by_token", "masks", "token")

    def __init__(self, signatures: _Signatures, tests: list[tuple[int, int]], full: int) -> None:
        self._signatures = signatures
        self.token = signatures.token
        self.by_token = signatures.by_token
        self.asked = 0
        for place, _ in tests:
            self.asked |= 1 << place
        self.masks: dict[int, int] = {}
        self._tests = tests
        self._full = full

    def signature(self, view: View, token: Any) -> int:
        """The signature of the path's value, kept for when the same *token* comes again."""
        signature = self._signatures.of(view[self._signatures.path])
        if token.__class__ in _TOKENS and token != "" and _is_small(token):
            if len(self.by_token) >= _MAX_REMEMBERED:
                self.by_token.clear()
            self.by_token[token] = signature
        return signature

    def mask(self, signature: int) -> int:
        mask = self._full
        for place, bit in self._tests:
            if not signature >> bit & 1:
                mask &= ~(1 << place)
        if len(self.masks) >= _MAX_MASKS:
            self.masks = {}
        self.masks[signature] = mask
        return mask


def _is_small(token: Any) -> bool:
    """Whether *token* may be remembered: what events hold is of any size."""
    if token.__class__ is str:
        return len(token) <= _MAX_TEXT
    if token.__class__ is int:
        return bool(token.bit_length() <= _MAX_TEXT)
    return all(map(_is_small, token))


def depth(path: str) -> int:
    """How many names a path has."""
    return path.count(SEPARATOR) + 1
