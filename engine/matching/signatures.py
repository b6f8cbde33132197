"""
What tests say of values: the signature of a value, an integer with a bit for each test that it passes.

It is found once per value and remembered: for the value itself, and for the *token* (`kinds.Token`) that stands for
it before it is read. Paths that few values occur at together are read together: one look at their tokens gives the
signatures of all. Every table that is keyed by what events hold is bounded, since whoever calls the API chooses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from msgspec import UNSET

from engine.event import View
from engine.kinds import Token
from engine.matching.conditions import Test

ALL: Final = -1  # the signature that passes every test

_MAX_REMEMBERED: Final = 4096  # values per path
_MAX_TEXT: Final = 512  # characters of a value that is remembered
_FEW: Final = 4  # tests that are worth trying on a list


class Signatures:
    """All tests on one path."""

    __slots__ = ("_bits", "_of_shape", "_prunes", "_questions", "path", "remembered", "token")

    def __init__(self, path: str, token: Token | None) -> None:
        self.path = path
        self.token = token
        self._bits: dict[str, tuple[int, Test]] = {}
        self._of_shape = True
        self._questions: _Questions | None = None
        self._prunes: float | None = None  # asked for when every rule has been read
        self.remembered: dict[str | bool | None, int] = {}

    def bit(self, test: Test) -> int:
        """The number of *test*'s bit; tests that ask the same share one."""
        self._of_shape = self._of_shape and test.of_shape
        return self._bits.setdefault(test.key, (len(self._bits), test))[0]

    @property
    def width(self) -> int:
        """How many bits there are, once every rule has been read."""
        return len(self._bits)

    def prunes(self) -> float:
        """How much the tests here can be expected to leave out, on average: 0 nothing, 1 everything. A guess."""
        if self._prunes is None:
            self._prunes = sum(_prunes(test) for _, test in self._bits.values()) / len(self._bits)
        return self._prunes

    def at(self, view: View) -> int:
        """The signature of the value that *view* has here; ALL for one that is of no type which tests expect."""
        value = view.shape(self.path) if self._of_shape else view[self.path]
        if value.__class__ is str or value is None or value is True or value is False:
            signature = self.remembered.get(value)
            return self._look(value) if signature is None else signature
        if value.__class__ is list and len(self._bits) <= _FEW:
            return self._asked().of_any(value)
        return ALL

    def of_list_or_nothing(self) -> int:
        """The bits of all tests that some list may pass, or an absent value does."""
        nothing = self.remembered.get(None)
        signature = self._look(None) if nothing is None else nothing
        for number, (_, test) in enumerate(self._bits.values()):
            if not test.fails_on_lists:
                signature |= 1 << number
        return signature

    def _asked(self) -> _Questions:
        if self._questions is None:
            self._questions = _Questions([test for _, test in self._bits.values()])
        return self._questions

    def _look(self, value: str | bool | None) -> int:
        questions = self._asked()
        signature = questions.of_any(value) if isinstance(value, bool) else questions.of_text(value)
        if not isinstance(value, str) or len(value) <= _MAX_TEXT:
            if len(self.remembered) >= _MAX_REMEMBERED:
                self.remembered.clear()
            self.remembered[value] = signature
        return signature


class Reading:
    """Paths that are read together. Their signature has the bits of the first path, then those of the second, …"""

    def __init__(self, parts: Sequence[Signatures], integers: frozenset[str] = frozenset()) -> None:
        """*integers* are sources of tokens that have been seen to give integers."""
        self.parts = tuple(parts)
        self.rarely = False  # whether few events come so far that this is read of them
        self.offsets: dict[Signatures, int] = {}
        width = 0
        for part in self.parts:
            self.offsets[part] = width
            width += part.width
        self.by_token: dict[Any, int] = {}  # no keys but texts, None, UNSET, tuples of these, and of integers with int
        self._values: dict[Any, Any] = {}  # one of each that stands in tokens: a look-up touches those it compares
        sources = tuple(dict.fromkeys(source for part in parts if part.token for source in part.token.sources))
        # An integer is no key without its type: True == 1 == 1.0.
        self._typed = frozenset(place for place, source in enumerate(sources) if source in integers)
        with_types = [*sources, *(f"{sources[place]}.__class__" for place in sorted(self._typed))]
        self.with_types = tuple(with_types)
        self.source = with_types[0] if len(with_types) == 1 else f"({', '.join(with_types)})"
        self.sources = sources
        self._is_tuple = len(with_types) > 1
        self._deciding = tuple(
            (part.token.determines, tuple(sources.index(source) for source in part.token.sources))
            for part in parts
            if part.token
        )

    def at(self, view: View) -> int:
        """The signature of the values that *view* has here."""
        signature = 0
        for part, offset in self.offsets.items():
            signature |= (part.at(view) & ((1 << part.width) - 1)) << offset
        return signature

    def token(self, values: Sequence[Any]) -> Any:
        """What `by_token` has *values* under, which `with_types` gives."""
        return tuple(values) if self._is_tuple else values[0]

    def prepare(self, view: View) -> None:
        """Have *view*'s kind decode what the source names, in the events after this one."""
        for part in self.parts:
            if part.token is not None:
                view.pin(part.token.pins, rarely=self.rarely)

    def unknown(self, view: View, token: Any) -> int:
        """As `at`, when *token* stands there and `by_token` does not know it; it will, where the token is enough."""
        values = token if self._is_tuple else (token,)
        known = self.are_keys(values)
        signature = 0
        for part, (determines, places), offset in zip(self.parts, self._deciding, self.offsets.values(), strict=True):
            given = [values[place] for place in places]
            if known and given == [list]:
                bits = part.of_list_or_nothing()
            else:
                bits = part.at(view)
                known = known and determines(*given)
            signature |= (bits & ((1 << part.width) - 1)) << offset
        if known:
            if len(self.by_token) >= _MAX_REMEMBERED:
                self.by_token.clear()
                self._values.clear()
            self.by_token[self.token([self._values.setdefault(value, value) for value in values])] = signature
        return signature

    def are_keys(self, values: Sequence[Any]) -> bool:
        """Whether no other token is equal to these, and they are small: what events hold is of any size."""
        for place, value in enumerate(values):
            kind = value.__class__
            if kind is str:
                if len(value) > _MAX_TEXT:
                    return False
            elif kind is int:
                if place not in self._typed or value.bit_length() > _MAX_TEXT:
                    return False
            elif kind is not type and value is not None and value is not UNSET:
                return False
        return True


class _Questions:
    """
    The tests of one path by the sort of question they ask, so that many are answered by one look.

    A set bit stands for "yes"; the tests that want a "no" are turned round at the end.
    """

    __slots__ = ("_each", "_folded", "_is", "_others", "_prefixes", "_substrings", "_tests", "_wants_no")

    def __init__(self, tests: Sequence[Test]) -> None:
        self._tests = tests
        self._each: list[Callable[[Any], bool]] | None = None  # of the tests, made when they are asked one by one
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

    def of_any(self, value: Any) -> int:
        """Of a flag or a list, which some tests of texts refuse with an error: each test answers for itself."""
        if self._each is None:
            self._each = [test.passing() for test in self._tests]
        signature = 0
        for number, passes in enumerate(self._each):
            if passes(value):
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
