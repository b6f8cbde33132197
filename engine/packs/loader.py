"""From files to a RuleSet, with every problem of every file."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine.alert import canonical
from engine.errors import ConfigurationError, Place, Problem
from engine.expression import Expression, ExpressionFault, Known, Lists, Template, parse, parse_template
from engine.kinds import MODULES, Field
from engine.kinds import kind as kind_called
from engine.packs import authored
from engine.packs.files import Found, Sources, gathered
from engine.rule import (
    Attack,
    Count,
    Example,
    Exception_,
    Expected,
    FirstSeen,
    Memory,
    Rule,
    RuleSet,
    Severity,
    Silent,
    Status,
    Step,
)
from engine.rule import (
    Sequence as StepSequence,
)
from engine.strict_yaml import Document, Loc, nearest, problems_of, read

GROUP_QUIET = timedelta(hours=1)  # a grouped story without `quiet` is told again after this
TEXTS = ("title", "description", "runbook")

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Examined:
    """What could be loaded, everything that is wrong, and the documents behind the rules, for closer looks."""

    rules: RuleSet
    problems: tuple[Problem, ...]
    documents: Mapping[str, Document] = field(default_factory=dict)  # by rule id
    lists: Mapping[str, Document] = field(default_factory=dict)  # by name, those that stand in the paths themselves
    whole: frozenset[str] = frozenset()  # ids of rules whose whole pack was examined


def load(paths: Sequence[str] = (), sources: Sources | None = None) -> RuleSet:
    """
    The rules of *paths*: files, folders, `builtin:tencent`, `builtin:aws`; none of them: every built-in pack.

    Disabled rules are loaded too, with `enabled` false. Raises ConfigurationError with every problem of every file,
    and with what the checks are certain to be wrong (docs/rules.md); their warnings stop nothing. *sources* are the
    files of *paths*, where they have been read already.
    """
    from engine.lint import errors  # noqa: PLC0415 the checks read what this module made

    examined = examine(paths, sources)
    wrong = [problem for problem in examined.problems if problem.severity == "error"]
    wrong += errors(examined, fields_of)
    if wrong:
        raise ConfigurationError(wrong)
    return examined.rules


def fields_of(kind: str) -> tuple[Field, ...]:
    """The documented fields of a kind of event, by its name."""
    return kind_called(kind, redaction_key=bytes(32)).fields  # documentation only: nothing is decoded with this key


def examine(paths: Sequence[str] = (), sources: Sources | None = None) -> Examined:
    """As `load`, for who wants to go on after problems; broken rules are left out. Never raises for the files' sake."""
    sources = sources or gathered(paths)
    problems = list(sources.problems)
    named: dict[str, Document] = {}
    lists = _lists(sources, problems, named)
    packs = _Packs(sources, problems)
    known: Known = {}
    for item in sources.found:
        if item.role == "pack":
            packs.add(item)
    rules: dict[str, Rule] = {}
    documents: dict[str, Document] = {}
    broken: set[str] = set()
    whole: set[str] = set()
    for item in sources.found:
        if item.role != "rule":
            continue
        document, rule = _rule(item, sources, packs, lists, known, problems)
        if document is None or rule is None:
            broken.add(_id_of(document))
            continue
        if rule.id in rules:
            message = f"the id '{rule.id}' is taken by {rules[rule.id].place.file}"
            problems.append(document.problem(("id",), "duplicate-id", message))
            continue
        rules[rule.id] = rule
        documents[rule.id] = document
        if item.whole:
            whole.add(rule.id)
    packs.apply(rules, broken)
    ordered = tuple(sorted(set(problems), key=lambda problem: (problem.place, problem.code, problem.message)))
    return Examined(RuleSet(tuple(rules.values()), lists), ordered, documents, named, frozenset(whole))


def _read(
    path: str, model: type[Model], sources: Sources, problems: list[Problem]
) -> tuple[Document | None, Model | None]:
    """The document in a file and what it says; either is None if it could not be had, with the reasons noted."""
    raw = sources.texts[path]
    if isinstance(raw, OSError):
        problems.append(Problem(Place(path), "unreadable", f"cannot be read: {raw.strerror or raw}"))
        return None, None
    document, faults = read(raw, file=path)
    problems += faults
    if document is None:
        return None, None
    if document.data is None and not faults:
        problems.append(Problem(Place(path), "empty-file", "the file is empty"))
        return None, None
    try:
        value = model.model_validate(document.data)
    except ValidationError as error:
        problems += problems_of(error, document, model)
        return document, None
    return document, None if faults else value


# --- lists ------------------------------------------------------------------------------------------------------------


def _lists(sources: Sources, problems: list[Problem], named: dict[str, Document]) -> Lists:
    """The values of each list by its name; *named* receives the documents of those that the paths themselves hold."""
    lists: dict[str, frozenset[str]] = {}
    homes: dict[str, str] = {}
    for item in sources.found:
        if item.role != "list":
            continue
        document, file = _read(item.path, authored.ListFile, sources, problems)
        if document is None or file is None:
            continue
        values = frozenset(value.casefold() for value in file.values)
        known = lists.get(file.name)
        if known is None and (file.extends or file.replaces):
            message = f"there is no list '{file.name}' to {'extend' if file.extends else 'replace'}"
            problems.append(document.problem(("name",), "unknown-list", message))
        elif known is not None and file.extends:
            values |= known
        elif known is not None and not file.replaces and known != values:
            problems.append(
                document.problem(
                    ("name",),
                    "duplicate-list",
                    f"the list '{file.name}' is already in {homes[file.name]}",
                    suggestion="say 'extends: true' or 'replaces: true', or give it another name",
                )
            )
            continue
        lists[file.name] = values
        if item.named:
            named[file.name] = document
        homes[file.name] = item.path
    return lists


# --- packs ------------------------------------------------------------------------------------------------------------


class _Packs:
    """The pack files that were met, each read once."""

    def __init__(self, sources: Sources, problems: list[Problem]) -> None:
        self._sources = sources
        self._problems = problems
        self._read: dict[str, tuple[Document | None, authored.PackFile | None]] = {}
        self._whole: list[str] = []

    def add(self, item: Found) -> None:
        self._open(item.path)
        if item.whole:
            self._whole.append(item.path)

    def kind_of(self, item: Found) -> str | None:
        pack = self._open(item.pack)[1] if item.pack is not None else None
        return pack.kind if pack is not None else None

    def apply(self, rules: dict[str, Rule], broken: Container[str]) -> None:
        """Switch rules off and on as the packs say, in the order in which they were named."""
        for path, (document, pack) in self._read.items():
            if document is None or pack is None:
                continue
            for key, ids, on in (("disabled", pack.disabled, False), ("enabled", pack.enabled, True)):
                for index, rule_id in enumerate(ids):
                    if rule_id in rules:
                        rules[rule_id] = replace(rules[rule_id], enabled=on)
                    elif path in self._whole and rule_id not in broken:
                        self._problems.append(_no_such_rule(document, (key, index), rule_id, rules))

    def _open(self, path: str) -> tuple[Document | None, authored.PackFile | None]:
        if path not in self._read:
            document, pack = _read(path, authored.PackFile, self._sources, self._problems)
            if document is not None and pack is not None and pack.kind is not None:
                _check_kind(document, pack.kind, self._problems)
            self._read[path] = document, pack
        return self._read[path]


def _no_such_rule(document: Document, loc: Loc, rule_id: str, rules: Iterable[str]) -> Problem:
    near = nearest(rule_id, rules)
    hint = f"; did you mean '{near}'?" if near else ""
    return document.problem(loc, "unknown-rule", f"no rule has the id '{rule_id}'{hint}")


def _check_kind(document: Document, kind: str, problems: list[Problem]) -> bool:
    if kind in MODULES:
        return True
    near = nearest(kind, MODULES)
    hint = f"did you mean '{near}'?" if near else f"there are: {', '.join(MODULES)}"
    problems.append(document.problem(("kind",), "unknown-kind", f"there is no kind of event '{kind}'; {hint}"))
    return False


# --- rules ------------------------------------------------------------------------------------------------------------


def _rule(
    item: Found, sources: Sources, packs: _Packs, lists: Lists, known: Known, problems: list[Problem]
) -> tuple[Document | None, Rule | None]:
    before = len(problems)
    document, file = _read(item.path, authored.RuleFile, sources, problems)
    if document is None:
        return None, None
    compiled = _Compiled(document, lists, known, problems)
    kind = _kind(document, item, packs, problems)
    if file is None or kind is None or len(problems) > before:
        return document, None
    rule = _assembled(file, kind, document, compiled)
    if rule is None:
        message = "the steps together are too long for one condition; say in 'match' what they have in common"
        problems.append(document.problem(("sequence", "steps"), "bad-expression", message))
    return document, rule


def _id_of(document: Document | None) -> str:
    return str(document.data.get("id", "")) if document is not None and isinstance(document.data, dict) else ""


def _kind(document: Document, item: Found, packs: _Packs, problems: list[Problem]) -> str | None:
    own = document.data.get("kind") if isinstance(document.data, dict) else None
    if own is None:
        inherited = packs.kind_of(item)
        if inherited is None:
            message = "which kind of event is this for? Say 'kind', here or in a pack.yaml beside or above the rule"
            problems.append(document.problem(("kind",), "missing-key", message))
        return inherited
    return own if isinstance(own, str) and _check_kind(document, own, problems) else None


class _Compiled:
    """Every expression and template of a rule file, parsed where it stands, whether or not the rest is sound."""

    def __init__(self, document: Document, lists: Lists, known: Known, problems: list[Problem]) -> None:
        self._document = document
        self._lists = lists
        self._problems = problems
        self._known = known
        self._expressions: dict[tuple[str | int, ...], Expression] = {}
        self.templates: dict[str, Template] = {}
        data = document.data if isinstance(document.data, dict) else {}
        for loc, text in expression_texts(data):
            self._expression(loc, text)
        for name in TEXTS:
            if isinstance(data.get(name), str):
                self._template(name, data[name].rstrip())

    def __call__(self, *loc: str | int) -> Expression:
        return self._expressions[loc]

    def _expression(self, loc: tuple[str | int, ...], text: str) -> None:
        try:
            self._expressions[loc] = parse(text, lists=self._lists, place=self._document.place(loc), known=self._known)
        except ExpressionFault as fault:
            self._note(loc, fault)

    def _template(self, name: str, text: str) -> None:
        try:
            self.templates[name] = parse_template(
                text, lists=self._lists, place=self._document.place((name,)), known=self._known
            )
        except ExpressionFault as fault:
            self._note((name,), fault)

    def _note(self, loc: tuple[str | int, ...], fault: ExpressionFault) -> None:
        self._problems += [
            self._document.problem(loc, found.code, found.message, offset=found.offset) for found in fault.faults
        ]


def expression_texts(data: Mapping[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    """Where a rule file holds expressions, and their texts, as far as it has the right shape."""
    places: list[tuple[tuple[str | int, ...], Any]] = [(("match",), data.get("match"))]
    places += [(("group_by", index), text) for index, text in enumerate(_items(data.get("group_by")))]
    for index, exception in enumerate(_items(data.get("unless"))):
        places.append((("unless", index, "match"), _get(exception, "match")))
    places.append((("count", "distinct"), _get(data.get("count"), "distinct")))
    for index, step in enumerate(_items(_get(data.get("sequence"), "steps"))):
        places += [(("sequence", "steps", index, key), _get(step, key)) for key in ("match", "absent")]
    for index, text in enumerate(_items(_get(data.get("first_seen"), "values"))):
        places.append((("first_seen", "values", index), text))
    return [(loc, text.rstrip()) for loc, text in places if isinstance(text, str) and text.strip()]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _assembled(file: authored.RuleFile, kind: str, document: Document, compiled: _Compiled) -> Rule | None:
    memory = _memory(file, compiled)
    match = compiled("match") if file.match is not None else _any_step(memory, document)
    if match is None:
        return None
    unless = tuple(
        Exception_(
            compiled("unless", index, "match"),
            item.reason.strip(),
            item.owner,
            item.expires,
            document.place(("unless", index)),
        )
        for index, item in enumerate(file.unless)
    )
    group_by = tuple(compiled("group_by", index) for index in range(len(file.group_by)))
    quiet = file.quiet if file.quiet is not None else GROUP_QUIET if group_by else timedelta(0)
    return Rule(
        id=file.id,
        title=compiled.templates["title"],
        severity=Severity.of(file.severity),
        status=Status(file.status),
        kind=kind,
        description=file.description.strip(),
        match=match,
        place=document.place(("id",)),
        version=_version(kind, match, unless, group_by, memory),
        unless=unless,
        group_by=group_by,
        quiet=quiet,
        memory=memory,
        attack=Attack(file.attack.version, tuple(file.attack.techniques)) if file.attack else None,
        runbook=(file.runbook or "").strip(),
        references=tuple(file.references),
        false_positives=tuple(text.strip() for text in file.false_positives),
        tests=tuple(_example(test, index, document) for index, test in enumerate(file.tests)),
        prose={name: template for name, template in compiled.templates.items() if name != "title"},
    )


def _memory(file: authored.RuleFile, compiled: _Compiled) -> Memory | None:
    if file.count is not None:
        distinct = compiled("count", "distinct") if file.count.distinct is not None else None
        return Count(file.count.at_least, file.count.within, distinct)
    if file.sequence is not None:
        steps = tuple(
            Step(
                compiled("sequence", "steps", index, "match" if step.absent is None else "absent"),
                step.at_least,
                step.absent is not None,
            )
            for index, step in enumerate(file.sequence.steps)
        )
        return StepSequence(file.sequence.within, steps, file.sequence.ordered)
    if file.first_seen is not None:
        values = tuple(compiled("first_seen", "values", index) for index in range(len(file.first_seen.values)))
        return FirstSeen(values, file.first_seen.over, file.first_seen.learn)
    return Silent(file.silent.span) if file.silent is not None else None


def _any_step(memory: Memory | None, document: Document) -> Expression | None:
    """A sequence without `match` looks at the events that satisfy any of its steps."""
    if not isinstance(memory, StepSequence):
        return None
    text = " || ".join(f"({step.match.text})" for step in memory.steps)
    try:
        return parse(text, lists=memory.steps[0].match.lists, place=document.place(("sequence", "steps")))
    except ExpressionFault:
        return None


def _version(
    kind: str,
    match: Expression,
    unless: tuple[Exception_, ...],
    group_by: tuple[Expression, ...],
    memory: Memory | None,
) -> str:
    decides = [
        kind,
        match.text,
        [[exception.match.text, str(exception.expires)] for exception in unless],
        [expression.text for expression in group_by],
        repr(memory),
    ]
    return hashlib.blake2b(canonical(decides).encode(), digest_size=6).hexdigest()


def _example(test: authored.TestOf, index: int, document: Document) -> Example:
    samples = test.events or []
    if test.event is not None:
        samples = [authored.SampleOf(event=test.event, at=test.at or timedelta(0), repeat=test.repeat)]
    timed = sorted(
        (pair for sample in samples for pair in _written_out(sample)),
        key=lambda pair: pair[0],  # events are not ordered; equal times keep the author's order
    )
    return Example(
        name=test.name,
        place=document.place(("tests", index)),
        events=tuple(event for _, event in timed),
        expect=test.expect,
        offsets=tuple(at for at, _ in timed),
        alerts=None if test.alerts is None else tuple(Expected(one.at, one.count) for one in test.alerts),
        until=test.until,
    )


def _written_out(sample: authored.SampleOf) -> list[tuple[timedelta, Mapping[str, Any]]]:
    if sample.repeat is None:
        return [(sample.at, sample.event)]
    return [
        (sample.at + number * sample.repeat.every, _numbered(sample.event, str(number + 1)))
        for number in range(sample.repeat.times)
    ]


def _numbered(value: Any, number: str) -> Any:
    """*value* with its number in place of every `{n}`."""
    if isinstance(value, str):
        return value.replace("{n}", number)
    if isinstance(value, dict):
        return {key: _numbered(item, number) for key, item in value.items()}
    return [_numbered(item, number) for item in value] if isinstance(value, list) else value
