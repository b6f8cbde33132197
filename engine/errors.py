"""
What can go wrong, whose fault it is, and with which exit code the program ends for it.

    TocsinError
    ├── ConfigurationError     a file of the user is wrong; carries every Problem found   78
    ├── EvaluationError        one expression met one event that contradicts its types     1
    ├── SourceError            the cloud's API gave no answer that can be used            69
    │   └── SourceRefusedError   … and asking again will not help: keys, permissions
    ├── StoreError             disk, database                                             74
    │   ├── StoreFullError         … no space is left; it goes on when there is some again
    │   ├── StoreFatalError        … the disk did not take what was written: end, start again, read again
    │   └── StoreDamagedError      … the file is no database any more, or a broken one
    ├── AlreadyRunningError    another process holds this store                           75
    └── DecodeError            a record is not an event; it is quarantined, never dropped  1

The texts are for the person at 3 a.m. without the source at hand. No text may hold a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a file of the user; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or doubtful, in a rule or a configuration."""

    place: Place
    code: str  # stable, kebab-case: "unknown-field"
    message: str  # one plain sentence
    severity: Literal["error", "warning"] = "error"
    suggestion: str | None = None  # what to write instead
    excerpt: str | None = None  # the line of the file with a caret under the column

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}"
        if self.severity == "warning":
            text = f"{self.place}: warning: {self.message}"
        if self.suggestion:
            text += f" ({self.suggestion})"
        if self.excerpt:
            text += "\n" + "\n".join(f"    {line}" for line in self.excerpt.splitlines())
        return text


class TocsinError(Exception):
    """Any error that Tocsin raises on purpose; *exit_code* is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(TocsinError):
    """A rule, list or settings file is wrong: *problems* names every place, sorted."""

    exit_code = 78

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=lambda p: (p.place, p.code)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class EvaluationError(TocsinError):
    """An expression met values whose types contradict it: becomes a Fault, louder than a match."""


class DecodeError(TocsinError):
    """A record is not an event of its kind; the message is the reason shown in the quarantine."""


class SourceError(TocsinError):
    """The source gave no usable answer this time; the next poll asks again for the same window."""

    exit_code = 69


class SourceRefusedError(SourceError):
    """The source refused and will go on refusing until a person changes something."""


class StoreError(TocsinError):
    """The store cannot be read or written: disk full, damaged file, no connection."""

    exit_code = 74


class StoreFullError(StoreError):
    """No space is left for the store. What was committed stays good, and it goes on once there is space."""


class StoreFatalError(StoreError):
    """
    fsync failed: what the kernel holds for this file cannot be trusted any more, and a second fsync would lie.

    The process must end, and read again what it had not committed (sqlite.org/howtocorrupt.html; the PostgreSQL
    project's "fsyncgate" of 2018).
    """


class StoreDamagedError(StoreError):
    """The file is not a database, or its pages contradict each other."""


class AlreadyRunningError(TocsinError):
    """Another process holds this store."""

    exit_code = 75
