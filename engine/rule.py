"""
Nouns: a rule as its author wrote it, checked and compiled.

The authored rule and its running state are two things: there is no state here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import IntEnum, StrEnum
from typing import Any

from engine.errors import Place
from engine.expression import Expression, Lists, Template
from engine.matching import Matcher


class Severity(IntEnum):
    """How bad it is; ordered, so that a rise can be seen."""

    INFO = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5

    @property
    def word(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Severity:
        return cls[word.upper()]


class Status(StrEnum):
    EXPERIMENTAL = "experimental"
    STABLE = "stable"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class Exception_:  # noqa: N801 the design's name; "Exception" is taken
    """Known good: matches that are recorded but not told, with a reason, an owner and an end."""

    match: Expression
    reason: str
    owner: str
    expires: date | None  # the last day on which it holds, UTC
    place: Place

    def holds_on(self, day: date) -> bool:
        return self.expires is None or day <= self.expires


@dataclass(frozen=True, slots=True)
class Count:
    """At least so many matches (or distinct values of an expression) of one group within a span of event time."""

    at_least: int
    within: timedelta
    distinct: Expression | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a sequence: at least so many matches, or (only as the last step) none at all."""

    match: Expression
    at_least: int = 1
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps that all happen within a span of event time, in order unless said otherwise."""

    within: timedelta
    steps: tuple[Step, ...]
    ordered: bool = True


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """Values (together) not seen for a span; while it learns it says so and does not tell."""

    values: tuple[Expression, ...]
    over: timedelta
    learn: timedelta


@dataclass(frozen=True, slots=True)
class Silent:
    """No event matches for so long."""

    span: timedelta


Memory = Count | Sequence | FirstSeen | Silent


@dataclass(frozen=True, slots=True)
class Attack:
    """MITRE ATT&CK techniques, with the version of the matrix their ids come from."""

    version: int
    techniques: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """An alert that a test expects: at which moment after the test's first, and of how many matches if it says so."""

    at: timedelta
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """
    One of a rule's own tests: sample events as written, and whether they raise the rule ("alert" or "nothing").

    *offsets* holds the time of each event after the test's first moment; repeated events are written out. *alerts*
    are the alerts expected of a rule with memory, where the test says which; *until* is how long time goes on.
    """

    name: str
    place: Place
    events: tuple[Mapping[str, Any], ...]
    expect: str
    offsets: tuple[timedelta, ...] = ()
    alerts: tuple[Expected, ...] | None = None
    until: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One detection. *version* is a digest of what decides (match, unless, memory, group_by), not of its prose."""

    id: str
    title: Template
    severity: Severity
    status: Status
    kind: str
    description: str
    match: Expression
    place: Place
    version: str
    unless: tuple[Exception_, ...] = ()
    group_by: tuple[Expression, ...] = ()
    quiet: timedelta = timedelta(0)
    memory: Memory | None = None
    attack: Attack | None = None
    runbook: str = ""
    references: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
    tests: tuple[Example, ...] = ()
    enabled: bool = True  # the pack's choice
    prose: Mapping[str, Template] = field(default_factory=dict, compare=False, repr=False)  # "description", "runbook"

    def describe(self, fields: Any) -> str:
        """The description, with the event's values in its `{JMESPath}` fields."""
        return self._told("description", self.description, fields)

    def guide(self, fields: Any) -> str:
        """The runbook, with the event's values in its `{JMESPath}` fields."""
        return self._told("runbook", self.runbook, fields)

    def _told(self, name: str, text: str, fields: Any) -> str:
        template = self.prose.get(name)
        return text if template is None else template.render(fields)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules that are in force, and the lists that they share. Immutable: a reload makes a new one."""

    rules: tuple[Rule, ...]
    lists: Lists = field(default_factory=dict)
    indexed: bool = True  # False: every rule is asked of every event, to compare and to measure
    _by_kind: Mapping[str, tuple[Rule, ...]] = field(init=False, repr=False, compare=False)
    _by_id: Mapping[str, Rule] = field(init=False, repr=False, compare=False)
    _matchers: dict[str, tuple[Matcher, tuple[Rule, ...]]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_kind: dict[str, list[Rule]] = {}
        for rule in self.rules:
            by_kind.setdefault(rule.kind, []).append(rule)
        object.__setattr__(self, "_by_kind", {kind: tuple(rules) for kind, rules in by_kind.items()})
        object.__setattr__(self, "_by_id", {rule.id: rule for rule in self.rules})
        object.__setattr__(self, "_matchers", {})

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def of_kind(self, kind: str) -> tuple[Rule, ...]:
        return self._by_kind.get(kind, ())

    def matcher(self, kind: str) -> tuple[Matcher, tuple[Rule, ...]]:
        """What asks the enabled rules of a kind all at once, and those rules, in the order of its numbers."""
        found = self._matchers.get(kind)
        if found is None:  # two threads may both make one; they are alike
            asked = tuple(rule for rule in self.of_kind(kind) if rule.enabled)
            matcher = Matcher((rule.match for rule in asked), kind, indexed=self.indexed)
            found = self._matchers[kind] = matcher, asked
        return found

    def find(self, rule_id: str) -> Rule | None:
        return self._by_id.get(rule_id)
