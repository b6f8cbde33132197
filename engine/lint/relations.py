"""What can be proven about rules together: one is contained in another, two have the same condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.lint.conditions import event_names
from engine.lint.notes import Note
from engine.lint.proof import Prover
from engine.rule import Rule

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Candidate:
    rule: Rule
    names: frozenset[str] | None  # of the events that can satisfy it; None: any


def relations(rules: Sequence[Rule], prover: Prover) -> Iterator[tuple[Rule, Note]]:
    """
    Notes about rules of one kind whose condition implies another's. Rules that are off or count over several events
    are left out: being told about an event is not the same as being told about five.
    """
    candidates = [_Candidate(rule, event_names(rule.match.tree, prover)) for rule in rules if _counts(rule)]
    by_name: dict[str, list[_Candidate]] = {}
    everywhere = [candidate for candidate in candidates if candidate.names is None]
    for candidate in candidates:
        for name in candidate.names or ():
            by_name.setdefault(name, []).append(candidate)
    order = {candidate.rule.id: number for number, candidate in enumerate(candidates)}
    for narrow in candidates:
        wider = [*everywhere, *(by_name.get(min(narrow.names), ()) if narrow.names else ())]
        same: list[Rule] = []
        holding: list[Rule] = []
        for wide in wider:
            if wide is narrow or not _may_hold(wide, narrow):
                continue
            if not prover.implies(narrow.rule.match.tree, wide.rule.match.tree):
                continue
            if not prover.implies(wide.rule.match.tree, narrow.rule.match.tree):
                holding.append(wide.rule)
            elif order[wide.rule.id] < order[narrow.rule.id]:
                same.append(wide.rule)
        if same:
            message = f"this has the same condition as {_named(same)}"
            yield narrow.rule, Note(("match",), "same-condition", message, "make one rule of them")
        elif holding:
            message = f"every event that satisfies this rule satisfies {_named(holding)} too"
            hint = "leave these events out there, or say in an ignore why both should tell"
            yield narrow.rule, Note(("match",), "contained-rule", message, hint)


def _counts(rule: Rule) -> bool:
    return rule.enabled and rule.memory is None


def _may_hold(wide: _Candidate, narrow: _Candidate) -> bool:
    if narrow.names is not None and not narrow.names:
        return False  # it never holds, which is said elsewhere
    return wide.names is None or (narrow.names is not None and narrow.names <= wide.names)


def _named(rules: Sequence[Rule]) -> str:
    shown = [f"{rule.id} ({rule.severity.word})" for rule in rules[:_SHOWN]]
    more = len(rules) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
