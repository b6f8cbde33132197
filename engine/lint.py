"""
What is doubtful or wrong about a rule that loads: things that would make it silent, or loud, without a word.

Each finding has a code (docs/rules.md lists them), a place, a plain sentence and mostly a suggestion. Types and fields
come from the kind of event (`engine.kinds.Field`); what is not documented there is not guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final, cast

from engine.errors import Problem
from engine.expression import Expression, ExpressionFault, Node, children, parse_template, walk
from engine.functions import TYPES_MAP, wanted
from engine.kinds import NORM_FIELDS, Field, JsonType
from engine.packs import Examined
from engine.packs.loader import TEXTS, expression_texts
from engine.rule import Rule
from engine.strict_yaml import Document, Loc, nearest

# design, section 4: the same closed sets for every kind
NORM_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "norm.outcome": ("ok", "denied", "failed"),
    "norm.actor_type": ("root", "user", "role", "service", "unknown"),
}

KindFields = Callable[[str], Iterable[Field]]  # the fields of a kind by its name


def lint(examined: Examined, fields_of: KindFields, today: date) -> list[Problem]:
    """Every finding about the rules that could be loaded, sorted by place. *today* (UTC) tells what has expired."""
    schemas: dict[str, Schema] = {}
    found: list[Problem] = []
    for rule in examined.rules:
        document = examined.documents[rule.id]
        if rule.kind not in schemas:
            schemas[rule.kind] = Schema.of(fields_of(rule.kind))
        found += _about_the_file(rule, document, today)
        for loc, offset, expression in _expressions(rule, document):
            for finding in findings(expression.tree, expression.text, schemas[rule.kind]):
                problem = document.problem(
                    loc, finding.code, finding.message, offset=offset + finding.offset, suggestion=finding.suggestion
                )
                found.append(problem if finding.error else replace(problem, severity="warning"))
    return sorted(found, key=lambda problem: (problem.place, problem.code))


def _about_the_file(rule: Rule, document: Document, today: date) -> Iterator[Problem]:
    def warning(loc: Loc, code: str, message: str) -> Problem:
        return replace(document.problem(loc, code, message, key=True), severity="warning")

    expected = {test.expect for test in rule.tests}
    if "alert" not in expected:
        yield warning(("tests",), "no-firing-test", "no test shows an event that raises this rule")
    if "nothing" not in expected:
        yield warning(("tests",), "no-quiet-test", "no test shows an event that must not raise this rule")
    for index, exception in enumerate(rule.unless):
        if not exception.holds_on(today):
            message = f"this exception expired on {exception.expires}; its owner is {exception.owner}"
            yield warning(("unless", index, "expires"), "expired-exception", message)
    if not _named_after(rule.id, document.file):
        stem = rule.id.rsplit(".", 1)[-1]
        yield warning(("id",), "file-name", f"the file of this rule should be called {stem}.yaml")


def _named_after(rule_id: str, file: str) -> bool:
    """Whether the file's name is the id, or the end of it: root/console_login.yaml of tencent.root.console_login."""
    stem = Path(file).stem.replace(".", "_").replace("-", "_")
    whole = rule_id.replace(".", "_")
    return whole == stem or whole.endswith("_" + stem)


def _expressions(rule: Rule, document: Document) -> Iterator[tuple[Loc, int, Expression]]:
    """Every expression of a rule that is read against a whole event: where it stands, and from which offset."""
    texts = dict(expression_texts(document.data))
    known: dict[str, Expression] = {expression.text: expression for expression in _parsed(rule)}
    for loc, text in texts.items():
        if text in known:
            yield loc, 0, known[text]
    for name in TEXTS:
        text = document.data.get(name)
        if not isinstance(text, str):
            continue
        try:
            template = parse_template(text.rstrip(), lists=rule.match.lists)
        except ExpressionFault:  # reported when it was loaded
            continue
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


# --- what an event of a kind holds ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Schema:
    """The documented fields of a kind, by path; *below* holds the paths that have fields of their own."""

    fields: Mapping[str, Field]
    below: frozenset[str]

    @classmethod
    def of(cls, fields: Iterable[Field]) -> Schema:
        known = {field.path: field for field in fields}
        for path, kind in NORM_FIELDS.items():
            known.setdefault(path, Field(path, cast("JsonType", kind), "", NORM_VALUES.get(path, ())))
        below = {path.rsplit(".", depth)[0] for path in known for depth in range(1, path.count(".") + 1)}
        return cls(known, frozenset(below))

    def knows(self, path: str) -> bool:
        return path in self.fields or path in self.below

    def open(self, path: str) -> bool:
        """Whether anything may stand below *path* (or below what it stands in)."""
        field = self.fields.get(path)
        return field is not None and (field.open or field.type in {"any", "array"})

    def nearest(self, path: str) -> str | None:
        """The known path that is most like *path*: first among its siblings, then anywhere."""
        parent, _, name = path.rpartition(".")
        siblings = [
            known.rpartition(".")[2] for known in [*self.fields, *self.below] if known.rpartition(".")[0] == parent
        ]
        for known in siblings:
            if known.lower() == name.lower():
                return f"{parent}.{known}" if parent else known
        if near := nearest(name, siblings, cutoff=0.75):
            return f"{parent}.{near}" if parent else near
        ends = {known: known.rpartition(".")[2] for known in self.fields}
        same = [known for known, end in ends.items() if end.lower() == name.lower()]
        return same[0] if len(same) == 1 else nearest(path, self.fields, cutoff=0.85)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding in an expression; *offset* is in its text."""

    offset: int
    code: str
    message: str
    suggestion: str | None = None
    error: bool = True


# --- expressions ----------------------------------------------------------------------------------------------------

_ROOT: Final = ""
Where = str | None  # a path in the event ("" is all of it), or None: not known what is looked at


def findings(tree: Node, text: str, schema: Schema) -> list[Finding]:
    """What is doubtful about an expression that is read against a whole event."""
    found: list[Finding] = []
    _Reader(text, schema, found).read(tree, _ROOT, 0)
    found += _old_literals(tree, text)
    return sorted(set(found), key=lambda finding: finding.offset)


def _old_literals(tree: Node, text: str) -> Iterator[Finding]:
    for node, _, start in walk(tree):
        is_text = node["type"] == "literal" and isinstance(node["value"], str)
        if is_text and text[start] == "`" and text[start + 1 : node["end"]].lstrip()[:1] != '"':
            message = "backticks hold JSON; a bare text between them is an old form"
            yield Finding(start, "old-literal", message, f"write '{node['value']}'", error=False)


class _Reader:
    """Walks an expression with the path of what each part is read against."""

    def __init__(self, text: str, schema: Schema, found: list[Finding]) -> None:
        self.text = text
        self.schema = schema
        self.found = found

    def read(self, node: Node, at: Where, offset: int) -> Where:
        """Read *node* against the value at path *at*; gives the path of its value, if that is known."""
        offset = node.get("start", offset)
        kind = node["type"]
        if kind == "field":
            return self._field(node, at, offset)
        if kind in {"subexpression", "index_expression", "pipe"}:
            for child in node["children"]:
                at = self.read(child, at, offset)
            return at
        if kind in {"current", "identity"}:
            return at
        if kind in {"projection", "filter_projection", "value_projection", "flatten"}:
            self.read(children(node)[0], at, offset)
            for child in children(node)[1:]:
                self.read(child, None, offset)
            return None
        if kind == "comparator":
            self._comparator(node, at, offset)
            return None
        if kind == "function_expression":
            self._call(node, at, offset)
            return None
        for child in children(node):
            self.read(child, None if kind == "expref" else at, offset)
        return None

    def _field(self, node: Node, at: Where, offset: int) -> Where:
        if at is None:
            return None
        name: str = node["value"]
        path = f"{at}.{name}" if at else name
        if self.schema.knows(path):
            return path
        if self.schema.open(at):
            return None
        parent = self.schema.fields.get(at)
        if parent is not None and at not in self.schema.below:
            if parent.type == "object":
                return None
            self._note(offset, "unknown-field", f"{at} is {_a(parent.type)} and has no field {name}")
            return None
        near = self.schema.nearest(path)
        self.found.append(
            Finding(
                offset,
                "unknown-field",
                f"no event of this kind is known to have the field {path}",
                f"did you mean {near}?" if near else None,
                error=near is not None,
            )
        )
        return None

    def _comparator(self, node: Node, at: Where, offset: int) -> None:
        left, right = node["children"]
        paths = [self._operand(child, at, offset) for child in (left, right)]
        for path, literal in ((paths[0], right), (paths[1], left)):
            if path is not None and literal["type"] == "literal" and path in self.schema.fields:
                self._compare(self.schema.fields[path], literal, node["value"], literal.get("start", offset))

    def _operand(self, node: Node, at: Where, offset: int) -> Where:
        """As read, but a lone double-quoted name is first suspected to be a text."""
        if node.get("quoted") and self._meant_as_text(node["value"], at):
            message = f'"{node["value"]}" in double quotes is the field of that name, not a text'
            self._note(node.get("start", offset), "quoted-identifier", message, f"write '{node['value']}'")
            return None
        return self.read(node, at, offset)

    def _meant_as_text(self, name: str, at: Where) -> bool:
        if at is None:  # inside a list, whose fields nobody documents: only a name that needs no quotes is suspected
            return name.replace("_", "a").isalnum()
        return not (self.schema.open(at) or self.schema.knows(f"{at}.{name}" if at else name))

    def _compare(self, field: Field, literal: Node, operator: str, offset: int) -> None:
        value = literal["value"]
        given = TYPES_MAP.get(type(value).__name__, "unknown")
        wants = {"integer": "number"}.get(field.type, field.type)
        if wants in {"any", given} or value is None:
            if wants == given == "string" and operator in {"eq", "ne"}:
                self._closed(field, value, offset)
            return
        word = "is never true" if operator in {"eq", "lt", "lte", "gt", "gte"} else "is always true"
        hint = None
        if wants == "string" and given in {"number", "boolean"}:
            hint = f"write '{str(value).lower()}'"
        elif wants == "boolean" and str(value).lower() in {"true", "false", "0", "1"}:
            hint = "write `true`" if str(value).lower() in {"true", "1"} else "write `false`"
        elif wants == "number" and isinstance(value, str) and value.lstrip("-").isdigit():
            hint = f"write `{value}`"
        message = f"{field.path} is {_a(field.type)} and this is {_a(given)}: the comparison {word}"
        self._note(offset, "comparison-type", message, hint)

    def _closed(self, field: Field, value: str, offset: int) -> None:
        if field.values and value not in field.values:
            near = nearest(value, field.values) or next((v for v in field.values if v.lower() == value.lower()), None)
            hint = f"did you mean '{near}'?" if near else f"it is one of {', '.join(field.values)}"
            self._note(offset, "unknown-value", f"{field.path} is never '{value}'", hint)

    def _call(self, node: Node, at: Where, offset: int) -> None:
        types = wanted(node["value"], len(node["children"]))
        for index, (child, allowed) in enumerate(zip(node["children"], types, strict=False)):
            where = child.get("start", offset)
            path = self._operand(child, at, offset)
            if child["type"] == "literal":
                given = TYPES_MAP.get(type(child["value"]).__name__, "unknown")
                self._argument(node["value"], index, f"{_a(given)}", given, allowed, where)
            elif path is not None and path in self.schema.fields:
                kind = {"integer": "number"}.get(self.schema.fields[path].type, self.schema.fields[path].type)
                if kind != "any":
                    self._argument(node["value"], index, f"{path}, {_a(kind)}", kind, allowed, where)

    def _argument(self, name: str, index: int, shown: str, given: str, allowed: list[str], offset: int) -> None:
        plain = {kind.split("-")[0] for kind in allowed}
        if plain and given != "null" and given not in plain:
            message = f"{name}() wants {' or '.join(sorted(plain))} as argument {index + 1}, here it has {shown}"
            self._note(offset, "argument-type", message)

    def _note(self, offset: int, code: str, message: str, suggestion: str | None = None) -> None:
        self.found.append(Finding(offset, code, message, suggestion))


_WORDS: Final = {"string": "a text", "boolean": "a flag", "null": "null", "any": "any value"}


def _a(kind: str) -> str:
    return _WORDS.get(kind, f"an {kind}" if kind[:1] in "aeiou" else f"a {kind}")
