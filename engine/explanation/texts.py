"""Texts that patterns match: short ones, to propose as the value of a field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from engine.functions import globbed, regex

_TURNS: Final = 4  # of alternatives, how many are tried
_MOST: Final = 64  # times that something is repeated
_CLASSES: Final = {"d": "0", "w": "x", "s": " ", "D": "x", "W": "-", "S": "x"}
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_TRIED: Final = "x0-A /.:_@" + "".join(map(chr, range(33, 127)))


def matched_by(pattern: str) -> Iterator[str]:
    """Texts in which the RE2 *pattern* is found; none where it is beyond this module."""
    yield from _texts(lambda turn: _Pattern(pattern, turn).text(), regex(pattern).search)


def globbed_by(pattern: str) -> Iterator[str]:
    """Texts that the glob matches as a whole."""
    yield from _texts(lambda turn: _of_glob(pattern, turn), globbed(pattern).fullmatch)


def _texts(make: Callable[[int], str], matches: Callable[[str], Any]) -> Iterator[str]:
    told: set[str] = set()
    for turn in range(_TURNS):
        try:
            text = make(turn)
        except (_Beyond, RecursionError):
            return
        if text not in told and matches(text) is not None:
            told.add(text)
            yield text


def _of_glob(pattern: str, turn: int) -> str:
    made = _Pattern(pattern, turn)
    out: list[str] = []
    while made.more():
        char = made.take()
        if char == "*":
            out.append("x" * turn)
        elif char == "?":
            out.append("x")
        elif char == "[" and "]" in pattern[made.at + 1 :]:
            out.append(made.one_of(negations="!^", escapes=False))
        else:
            out.append(char)
    return "".join(out)


class _Beyond(Exception):
    """Something that is not understood here."""


class _Pattern:
    """A pattern that is read from left to right; the *turn* says which alternative is taken, where there are some."""

    def __init__(self, pattern: str, turn: int) -> None:
        self.at = 0
        self._pattern = pattern
        self._turn = turn

    def more(self) -> bool:
        return self.at < len(self._pattern)

    def take(self) -> str:
        if not self.more():
            raise _Beyond
        self.at += 1
        return self._pattern[self.at - 1]

    def _next(self) -> str:
        return self._pattern[self.at : self.at + 1]

    def text(self) -> str:
        """A text for what comes up to the end, or the bracket that closes."""
        alternatives = [self._sequence()]
        while self._next() == "|":
            self.take()
            alternatives.append(self._sequence())
        return alternatives[self._turn % len(alternatives)]

    def _sequence(self) -> str:
        out: list[str] = []
        while self.more() and self._next() not in "|)":
            out.append(self._repeated(self._atom()))
        return "".join(out)

    def _atom(self) -> str:
        char = self.take()
        if char == "(":
            return self._group()
        if char == "[":
            return self.one_of(negations="^", escapes=True)
        if char == "\\":
            return self._escaped()
        return {".": "x", "^": "", "$": ""}.get(char, char)

    def _group(self) -> str:
        if self._next() == "?":
            head = ""
            while not head.endswith((":", ">", ")")):
                head += self.take()
            if head.endswith(")"):  # flags, up to the end of the group that this stands in
                return ""
        inner = self.text()
        self.take()
        return inner

    def _escaped(self) -> str:
        char = self.take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char in "bBAzZ":
            return ""
        if char == "x" and self._next() != "{":
            return self._by_number(self.take() + self.take())
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char.isalnum():
            raise _Beyond
        return char

    @staticmethod
    def _by_number(digits: str) -> str:
        try:
            return chr(int(digits, 16))
        except ValueError:
            raise _Beyond from None

    def _repeated(self, text: str) -> str:
        char = self._next()
        if char not in ("*", "+", "?", "{") or not char:
            return text
        least, most = {"*": (0, _MOST), "+": (1, _MOST), "?": (0, 1)}.get(char) or self._bounds()
        if char != "{":
            self.take()
        if self._next() == "?":
            self.take()
        return text * min(max(least, 1 if self._turn else least), most, _MOST)

    def _bounds(self) -> tuple[int, int]:
        self.take()
        inside = ""
        while self._next() != "}":
            inside += self.take()
        self.take()
        least, comma, most = inside.partition(",")
        try:
            return int(least), int(most or _MOST) if comma else int(least)
        except ValueError:
            raise _Beyond from None

    def one_of(self, *, negations: str, escapes: bool) -> str:
        """One character of the class that began with "["."""
        negated = self._next() != "" and self._next() in negations
        if negated:
            self.take()
        first = self.at
        ranges: list[tuple[str, str]] = []
        while self._next() != "]" or self.at == first:
            low = self._member(escapes=escapes)
            if self._next() == "-" and self._pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.take()
                ranges.append((low, self._member(escapes=escapes)))
            else:
                ranges.append((low, low))
        self.take()
        if not negated:
            return ranges[self._turn % len(ranges)][0]
        for char in _TRIED:
            if not any(low <= char <= high for low, high in ranges):
                return char
        raise _Beyond

    def _member(self, *, escapes: bool) -> str:
        char = self.take()
        if char == "[" and escapes and self._next() == ":":
            raise _Beyond  # [[:alpha:]]
        return self._escaped() if char == "\\" and escapes else char
