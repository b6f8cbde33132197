"""All findings about the rules of some files, with their places; silenced ones left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

from engine.catalogue import catalogue
from engine.errors import Problem
from engine.expression import Expression, Node
from engine.kinds import Field, schema
from engine.lint import asked_lists, conditions, events
from engine.lint.codes import ACROSS_RULES
from engine.lint.cost import cost
from engine.lint.examples import View, idle_tests
from engine.lint.notes import Note
from engine.lint.possible import Possible
from engine.lint.proof import Prover
from engine.lint.reading import Finding, findings
from engine.lint.relations import relations
from engine.lint.schema import UNIFORM, Schema
from engine.lint.silencing import Silencer
from engine.packs.loader import Examined, expression_texts
from engine.rule import Exception_, FirstSeen, Rule, Sequence, Silent, Step
from engine.strict_yaml import Document, Loc

KindFields = Callable[[str], Iterable[Field]]  # the fields of a kind by its name


def lint(examined: Examined, fields_of: KindFields, today: date, *, view: View | None = None) -> list[Problem]:
    """
    Every finding about the rules that could be loaded, and about the lists beside them, sorted by place.

    *today* (UTC) tells what has expired. *view* decodes the events of tests; without it, tests that show nothing to
    the condition are not looked for.
    """
    provers = _provers(examined, fields_of)
    notes: dict[str, list[Note]] = {}
    for rule in examined.rules:
        document, prover = examined.documents[rule.id], provers[rule.kind]
        notes[rule.id] = [
            *_about_the_file(rule, document, today),
            *_about_expressions(rule, document, prover),
            *_about_exceptions(rule, prover),
            *_about_steps(rule, prover),
        ]
        if not any(note.error and note.code != "never-holds" for note in notes[rule.id]):
            notes[rule.id] += idle_tests(rule, prover, view)
    for kind, prover in provers.items():
        for rule, note in relations(examined.rules.of_kind(kind), prover):
            notes[rule.id].append(note)
    found: list[Problem] = []
    for rule in examined.rules:
        unasked = frozenset() if rule.id in examined.whole else ACROSS_RULES
        found += _problems(examined.documents[rule.id], notes[rule.id], unasked)
    found += _about_lists(examined)
    return sorted(found, key=lambda problem: (problem.place, problem.code))


def errors(examined: Examined, fields_of: KindFields) -> list[Problem]:
    """Only what is certain to be wrong with each rule: what keeps rules from being loaded, sorted by place."""
    provers = _provers(examined, fields_of)
    faults = {kind: _Faults(prover) for kind, prover in provers.items()}
    found: list[Problem] = []
    for rule in examined.rules:
        document, prover = examined.documents[rule.id], provers[rule.kind]
        notes = [
            note
            for note in (
                *_wrong_expressions(rule, document, faults[rule.kind]),
                *_about_exceptions(rule, prover),
                *_about_steps(rule, prover),
            )
            if note.error
        ]
        if notes:
            silencer = Silencer(document)
            found += [problem for note in notes if (problem := _told(document, note, silencer)) is not None]
    return sorted(found, key=lambda problem: (problem.place, problem.code))


class _Faults:
    """What is certainly wrong with expressions of one kind. Most texts come many times, and are looked at once."""

    def __init__(self, prover: Prover) -> None:
        self._prover = prover
        self._possible = Possible(prover)
        self._known: dict[tuple[str, bool], list[Finding]] = {}

    def of(self, expression: Expression, *, condition: bool) -> list[Finding]:
        asked = expression.text, condition
        found = self._known.get(asked)
        if found is None:
            found = self._known[asked] = self._found(expression, condition)
        return found

    def _found(self, expression: Expression, condition: bool) -> list[Finding]:
        tree, text = expression.tree, expression.text
        found = [finding for finding in findings(tree, text, self._prover.schema) if finding.error]
        if found or not condition or self._possible(expression) or not self._prover.never(tree):
            return found
        return [finding for finding in conditions.truths(tree, text, self._prover) if finding.error]


def _wrong_expressions(rule: Rule, document: Document, faults: _Faults) -> Iterator[Note]:
    for loc, offset, expression in _expressions(rule, document):
        for finding in faults.of(expression, condition=_is_condition(loc)):
            yield _note(loc, offset, finding)


def _provers(examined: Examined, fields_of: KindFields) -> dict[str, Prover]:
    provers: dict[str, Prover] = {}
    for kind in sorted({rule.kind for rule in examined.rules}):
        known = Schema.of(fields_of(kind), uniform=kind in UNIFORM, aliases=schema(kind).aliases)
        provers[kind] = Prover(known, examined.rules.lists)
    return provers


def _problems(document: Document, notes: Iterable[Note], unasked: frozenset[str]) -> Iterator[Problem]:
    silencer = Silencer(document)
    for note in dict.fromkeys(notes):
        problem = _told(document, note, silencer)
        if problem is not None:
            yield problem
    yield from silencer.faults(unasked)


def _told(document: Document, note: Note, silencer: Silencer) -> Problem | None:
    problem = _problem(document, note)
    return None if silencer.silences(problem, document.place(note.loc, key=True).line) else problem


def _problem(document: Document, note: Note) -> Problem:
    problem = document.problem(
        note.loc,
        note.code,
        note.message,
        offset=note.offset,
        key=note.offset is None,
        suggestion=note.suggestion,
    )
    return problem if note.error else replace(problem, severity="warning")


# --- the file ---------------------------------------------------------------------------------------------------------


def _about_the_file(rule: Rule, document: Document, today: date) -> Iterator[Note]:
    expected = {test.expect for test in rule.tests}
    if "alert" not in expected:
        hint = "add a test with expect: alert"
        yield Note(("tests",), "no-firing-test", "no test shows an event that raises this rule", hint)
    if "nothing" not in expected:
        hint = "add a test with expect: nothing, of an event that is almost right"
        yield Note(("tests",), "no-quiet-test", "no test shows an event that must not raise this rule", hint)
    for index, exception in enumerate(rule.unless):
        if not exception.holds_on(today):
            message = f"this exception expired on {exception.expires}; its owner is {exception.owner}"
            hint = "remove it, or agree on another end with its owner"
            yield Note(("unless", index, "expires"), "expired-exception", message, hint)
    if not _named_after(rule.id, document.file):
        stem = rule.id.rsplit(".", 1)[-1]
        yield Note(("id",), "file-name", f"the file of this rule should be called {stem}.yaml")


def _named_after(rule_id: str, file: str) -> bool:
    """Whether the file's name is the id, or the end of it: root/console_login.yaml of tencent.root.console_login."""
    stem = Path(file).stem.replace(".", "_").replace("-", "_")
    whole = rule_id.replace(".", "_")
    return whole == stem or whole.endswith("_" + stem)


def _about_exceptions(rule: Rule, prover: Prover) -> Iterator[Note]:
    if not rule.unless or prover.never(rule.match.tree):
        return
    narrow = "narrow it, or disable the rule"
    hides = False
    for index, exception in enumerate(rule.unless):
        loc = ("unless", index, "match")
        if prover.implies(rule.match.tree, exception.match.tree):
            hides = True
            message = "this exception holds for every event that satisfies the rule: the rule is silent"
            yield Note(loc, "exception-hides-all", message, narrow, error=True)
        elif not prover.never(exception.match.tree) and not prover.together(rule.match.tree, exception.match.tree):
            message = "no event that satisfies the rule satisfies this exception: it excepts nothing"
            yield Note(loc, "exception-never-applies", message, "remove it, or correct it")
    if not hides and len(rule.unless) > 1 and prover.implies(rule.match.tree, _any_of(rule.unless)):
        message = "one of these exceptions holds for every event that satisfies the rule: the rule is silent"
        yield Note(("unless",), "exception-hides-all", message, narrow.replace("it", "one", 1), error=True)


def _any_of(exceptions: Iterable[Exception_]) -> Node:
    """Whether one of *exceptions* holds; a broken one hides nothing, and neither does it keep another from hiding."""
    trees = [exception.match.tree for exception in exceptions]
    return reduce(lambda left, right: {"type": "or_expression", "children": [left, right]}, trees)


def _about_steps(rule: Rule, prover: Prover) -> Iterator[Note]:
    """The steps of a sequence that no event can be, since the rule looks at others only, or excepts them all."""
    if not isinstance(rule.memory, Sequence):
        return
    for index, step in enumerate(rule.memory.steps):
        if prover.never(step.match.tree):
            continue
        if prover.together(rule.match.tree, step.match.tree):
            if not step.absent:
                yield from _excepted_step(rule, index, step, prover)
            continue
        hint = "name the events of all steps in 'match', or leave it out"
        if step.absent:
            message = "no event that satisfies 'match' satisfies this step: it is absent from every sequence"
            yield Note(("sequence", "steps", index, "absent"), "always-holds", message, hint)
        else:
            message = "no event that satisfies 'match' satisfies this step: the sequence is never complete"
            yield Note(("sequence", "steps", index, "match"), "never-holds", message, hint, error=True)


def _excepted_step(rule: Rule, index: int, step: Step, prover: Prover) -> Iterator[Note]:
    taken: Node = {"type": "and_expression", "children": [rule.match.tree, step.match.tree]}
    for number, exception in enumerate(rule.unless):
        whole = prover.implies(rule.match.tree, exception.match.tree)  # which is told elsewhere
        if not whole and prover.implies(taken, exception.match.tree):
            message = f"this exception holds for every event of step {index + 1}: the sequence is never complete"
            yield Note(("unless", number, "match"), "exception-hides-all", message, "narrow it", error=True)


def _about_lists(examined: Examined) -> Iterator[Problem]:
    asked: set[str] = set()
    of_events: dict[str, set[str]] = {}  # list -> kinds whose events' names are looked up in it
    for rule in examined.rules:
        for expression in _all_parsed(rule):
            asked |= expression.uses()
            for name in events.lists_of_events(expression.tree):
                of_events.setdefault(name, set()).add(rule.kind)
    broken = any(problem.severity == "error" for problem in examined.problems)
    for name, document in examined.lists.items():
        notes = list(_about_events(document, sorted(of_events.get(name, ()))))
        if name not in asked and not broken:  # a rule that could not be read may ask it
            hint = f"remove it, or ask it: in_list(…, '{name}')"
            notes.append(Note(("name",), "unused-list", f"no rule asks the list '{name}'", hint))
        yield from _problems(document, notes, frozenset())


def _about_events(document: Document, kinds: Iterable[str]) -> Iterator[Note]:
    """The values of a list of events that no service is known to have, or that are known under other names too."""
    for kind in kinds:
        known = catalogue(kind)
        if known is None:
            continue
        values = document.data.get("values", ())
        for index, value in enumerate(values):
            for unknown, near in events.unknown_values([value], known):
                message = f"no event is known to be called '{unknown}'"
                hint = f"did you mean '{near}'?" if near else events.UNSEEN
                yield Note(("values", index), "unknown-event", message, hint)
            for missing in events.doubles_missing(value, values, known):
                message = f"'{value}' is also known as {missing}, which this list leaves out"
                yield Note(("values", index), "event-alias", message, f"add {missing}")


def _all_parsed(rule: Rule) -> Iterator[Expression]:
    yield from _parsed(rule)
    for template in (rule.title, *rule.prose.values()):
        yield from (expression for expression, _ in template.expressions())


# --- expressions ------------------------------------------------------------------------------------------------------


def _about_expressions(rule: Rule, document: Document, prover: Prover) -> Iterator[Note]:
    known = catalogue(rule.kind)
    for loc, offset, expression in _expressions(rule, document):
        tree, text = expression.tree, expression.text
        found = findings(tree, text, prover.schema)
        found += asked_lists.findings(tree, text, prover.schema, expression.lists)
        if known is not None:
            found += events.findings(tree, known, rule.match.lists)
        if _is_condition(loc) and not any(finding.error for finding in found):  # what else is so may follow from that
            indexed = loc == ("match",) or (loc[0] == "sequence" and "match" not in document.data)
            found += _proven(expression, rule, prover, indexed=indexed)
        for finding in found:
            yield _note(loc, offset, finding)


def _note(loc: Loc, offset: int, finding: Finding) -> Note:
    return Note(loc, finding.code, finding.message, finding.suggestion, finding.error, offset + finding.offset)


def _proven(expression: Expression, rule: Rule, prover: Prover, *, indexed: bool) -> Iterator[Finding]:
    """
    What is proven; a rule that waits for silence, or learns what is usual, may mean every event. *indexed*: by this the
    index finds the events that the rule looks at.
    """
    tree, text = expression.tree, expression.text
    if isinstance(rule.memory, Silent | FirstSeen) and prover.always(tree):
        return
    yield from conditions.truths_of_unknown(tree, text, prover)
    settled = False
    for finding in conditions.truths(tree, text, prover):
        settled = settled or finding.offset == tree.get("start", 0) or prover.always(tree)
        yield finding
    if settled:
        return
    yield from conditions.nulls(tree, text, prover)
    if indexed:
        yield from cost(expression, rule.kind)


def _is_condition(loc: Loc) -> bool:
    return loc[-1] in {"match", "absent"}


def _expressions(rule: Rule, document: Document) -> Iterator[tuple[Loc, int, Expression]]:
    """Every expression of a rule that is read against a whole event: where it stands, and from which offset."""
    known: dict[str, Expression] = {expression.text: expression for expression in _parsed(rule)}
    for loc, text in expression_texts(document.data):
        if text in known:
            yield loc, 0, known[text]
    templates = {"title": rule.title, **rule.prose}
    for name, template in templates.items():
        for expression, offset in template.expressions():
            yield (name,), offset, expression


def _parsed(rule: Rule) -> Iterator[Expression]:
    yield rule.match
    yield from (exception.match for exception in rule.unless)
    yield from rule.group_by
    memory: Any = rule.memory
    yield from (step.match for step in getattr(memory, "steps", ()))
    yield from getattr(memory, "values", ())
    if (distinct := getattr(memory, "distinct", None)) is not None:
        yield distinct
