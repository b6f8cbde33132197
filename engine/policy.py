"""What is in force while records go through the path, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from engine.correlate import Key, Limits, meaning
from engine.route import Mute, Route
from engine.rule import Rule, RuleSet
from engine.store import Transaction

LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Policy:
    """What is in force: the rules, who hears of what, and what is silenced. A reload makes a new one."""

    rules: RuleSet
    routes: tuple[Route, ...] = ()
    limits: Limits = LIMITS
    meanings: Mapping[str, str] = field(init=False, repr=False, compare=False)  # of the rules with memory, by id
    memories: Mapping[tuple[str, str], Rule] = field(init=False, repr=False, compare=False)  # by (id, meaning)

    def __post_init__(self) -> None:
        remembering = [rule for rule in self.rules if rule.memory is not None and rule.enabled]
        object.__setattr__(self, "meanings", {rule.id: meaning(rule) for rule in remembering})
        object.__setattr__(self, "memories", {(rule.id, self.meanings[rule.id]): rule for rule in remembering})


@dataclass(slots=True)
class Tally:
    """What became of some records: counts only, for logs and metrics."""

    pages: int = 0
    records: int = 0
    repeated: int = 0
    changed: int = 0  # of them, those that say something else than at first: noted, and looked at by nobody
    events: int = 0
    quarantined: int = 0
    matches: int = 0
    faults: int = 0
    told: int = 0
    merged: int = 0
    excepted: int = 0
    silenced: int = 0
    unrouted: int = 0
    counted: int = 0  # matches that became part of a rule's memory
    late: int = 0  # of them, those behind the watermark
    retracted: int = 0
    queued: int = 0
    rules_matched: dict[str, int] = field(default_factory=dict)
    rules_faulted: dict[str, int] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        for slot in fields(self):
            mine, theirs = getattr(self, slot.name), getattr(other, slot.name)
            if isinstance(mine, dict):
                for name, number in theirs.items():
                    mine[name] = mine.get(name, 0) + number
            else:
                setattr(self, slot.name, mine + theirs)


@dataclass(slots=True)
class Step:
    """What every step of one transaction needs."""

    source: str
    policy: Policy
    tx: Transaction
    tally: Tally
    now: float
    mutes: Sequence[Mute]
    waiting: dict[Key, int] = field(default_factory=dict)  # matches of a group that wait for the watermark
