"""What can be proven about rules together: one is contained in another, two have the same condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.lint.conditions import event_names
from engine.lint.notes import Note
from engine.lint.proof import Prover
from engine.rule import Count, Rule

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Candidate:
    rule: Rule
    names: frozenset[str] | None  # of the events that can satisfy it; None: any


def relations(rules: Sequence[Rule], prover: Prover) -> Iterator[tuple[Rule, Note]]:
    """
    Notes about rules of one kind whose condition implies another's.

    Rules that are off are left out. Rules that look at several events are compared with those that do so in the same
    way: being told about an event is not the same as being told about five.
    """
    alike: dict[tuple[Any, ...], list[Rule]] = {}
    for rule in rules:
        if rule.enabled:
            alike.setdefault((rule.memory, rule.group_by if rule.memory is not None else ()), []).append(rule)
    for group in alike.values():
        if len(group) > 1:
            yield from _related(group, prover)


def _related(rules: Sequence[Rule], prover: Prover) -> Iterator[tuple[Rule, Note]]:
    candidates = [_Candidate(rule, event_names(rule.match.tree, prover)) for rule in rules]
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
            if not prover.implies(narrow.rule.match.tree, wide.rule.match.tree) or _excepted(
                narrow.rule, wide.rule, prover
            ):
                continue
            if not prover.implies(wide.rule.match.tree, narrow.rule.match.tree):
                holding.append(wide.rule)
            elif order[wide.rule.id] < order[narrow.rule.id]:
                same.append(wide.rule)
        if same:
            message = f"this has the same condition as {_named(same)}"
            yield narrow.rule, Note(("match",), "same-condition", message, "make one rule of them")
        elif holding and _more_raise_it(narrow.rule):
            message = f"every event that satisfies this rule satisfies {_named(holding)} too"
            hint = "leave these events out there, or say in an ignore why both should tell"
            yield narrow.rule, Note(("match",), "contained-rule", message, hint)


def _excepted(narrow: Rule, wide: Rule, prover: Prover) -> bool:
    """Whether one exception of *wide* leaves out the events of *narrow*: then they were told apart on purpose."""
    return any(prover.implies(narrow.match.tree, exception.match.tree) for exception in wide.unless)


def _more_raise_it(rule: Rule) -> bool:
    """Whether a rule that looks at events as this one does raises at least as often if it looks at more of them."""
    return rule.memory is None or isinstance(rule.memory, Count)


def _may_hold(wide: _Candidate, narrow: _Candidate) -> bool:
    if narrow.names is not None and not narrow.names:
        return False  # it never holds, which is said elsewhere
    return wide.names is None or (narrow.names is not None and narrow.names <= wide.names)


def _named(rules: Sequence[Rule]) -> str:
    shown = [f"{rule.id} ({rule.severity.word})" for rule in rules[:_SHOWN]]
    more = len(rules) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
