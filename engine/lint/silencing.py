"""
`# tocsin: ignore[code] reason` in a YAML file: silences warnings with that code on its line, on the next line that is
no comment, and, beside or above a key, in the whole value of that key (a block scalar has no room for comments).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.errors import Problem
from engine.lint.codes import BY_DOCUMENTATION, MEANINGS
from engine.strict_yaml import Document, nearest

_COMMENT: Final = re.compile(r"#\s*tocsin:\s*ignore\b(?P<codes>\[[^\]\n]*\])?(?P<reason>[^\n]*)")


@dataclass(frozen=True, slots=True)
class Ignore:
    """One comment that silences: the codes, why, where it stands, and the lines (from 1) that it is about."""

    codes: tuple[str, ...]
    reason: str
    index: int  # in the text
    lines: frozenset[int]


def ignores(document: Document) -> list[Ignore]:
    """The comments in a file that silence warnings; what looks like one inside a text is none."""
    if "tocsin:" not in document.text:
        return []
    spans = list(document.scalars())
    found = []
    written = document.text.split("\n")
    for match in _COMMENT.finditer(document.text):
        if any(start <= match.start() < end for start, end in spans):
            continue
        codes = tuple(code.strip() for code in (match["codes"] or "[]")[1:-1].split(",") if code.strip())
        line = document.text.count("\n", 0, match.start()) + 1
        reason = match["reason"].strip(" \t\r:-")
        found.append(Ignore(codes, reason, match.start(), frozenset({line, _next(written, line)})))
    return found


def _next(written: Sequence[str], line: int) -> int:
    """The line behind *line*; behind a comment, what the comments that begin there are about."""
    behind = line + 1
    while all(number <= len(written) and _is_comment(written[number - 1]) for number in (line, behind)):
        behind += 1
    return behind


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


class Silencer:
    """Which of a file's warnings its comments silence, and which comments silence nothing."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._ignores = ignores(document)
        self._used: set[tuple[int, str]] = set()

    def silences(self, problem: Problem, key_line: int | None) -> bool:
        """Whether a comment silences this finding; *key_line* is the line of the key that it is about."""
        if problem.severity == "error" and problem.code not in BY_DOCUMENTATION:
            return False
        lines = {problem.place.line, key_line}
        for ignore in self._ignores:
            if ignore.lines & lines and problem.code in ignore.codes and ignore.reason:
                self._used.add((ignore.index, problem.code))
                return True
        return False

    def faults(self, unasked: frozenset[str]) -> Iterator[Problem]:
        """What is wrong with the comments themselves; codes in *unasked* were not checked for, and count as used."""
        for ignore in self._ignores:
            if not ignore.codes or not ignore.reason:
                message = "an ignore names its codes and says why: # tocsin: ignore[code] reason"
                yield self._warning(ignore, "bad-ignore", message)
                continue
            for code in ignore.codes:
                if code not in unasked and (ignore.index, code) not in self._used:
                    message = f"this ignores {code}, and there is no such finding here that can be ignored"
                    hint = f"take {code} out of its brackets" if len(ignore.codes) > 1 else "remove the comment"
                    if code not in MEANINGS and (near := nearest(code, MEANINGS)) is not None:
                        hint = f"did you mean {near}?"
                    yield self._warning(ignore, "unused-ignore", message, hint)

    def _warning(self, ignore: Ignore, code: str, message: str, suggestion: str | None = None) -> Problem:
        place = self._document.at(ignore.index)
        problem = Problem(place, code, message, excerpt=self._document.excerpt(place), suggestion=suggestion)
        return replace(problem, severity="warning")
