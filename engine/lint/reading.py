"""
What is doubtful about the parts of an expression, each read against the path that it stands for: fields, types, values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from engine.expression import Node, children, excerpt, item_start, part, truth, walk
from engine.functions import TYPES_MAP, parsed_address, wanted
from engine.kinds import Field
from engine.lint.parts import CASES, HAS_PART
from engine.lint.proof import literal_side, texts_of
from engine.lint.schema import Schema
from engine.lint.terms import path_of, type_of, types
from engine.strict_yaml import nearest


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding in an expression; *offset* is in its text."""

    offset: int
    code: str
    message: str
    suggestion: str | None = None
    error: bool = True


_ROOT: Final = ""
_JSON_NAMES: Final = frozenset({"true", "false", "null"})
_LISTS: Final = frozenset({"multi_select_list", "projection", "filter_projection", "value_projection"})
Where = str | None  # a path in the event ("" is all of it), or None: not known what is looked at


def findings(tree: Node, text: str, schema: Schema) -> list[Finding]:
    """What is doubtful about an expression that is read against a whole event."""
    found: list[Finding] = []
    reader = _Reader(text, schema, found)
    reader.needed = frozenset(map(id, conjuncts(tree)))
    reader.read(tree, _ROOT, 0)
    if "`" in text:
        found += _old_literals(tree, text)
    return sorted(set(found), key=lambda finding: finding.offset)


def conjuncts(tree: Node) -> Iterator[Node]:
    """*tree* and the parts of it without which it is not true."""
    yield tree
    if tree["type"] == "and_expression":
        for child in children(tree):
            yield from conjuncts(child)


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
        self.needed: frozenset[int] = frozenset()  # parts without which the whole is not true, by `id`

    def read(self, node: Node, at: Where, offset: int, *, text: bool = False) -> Where:
        """
        Read *node* against the value at path *at*; gives the path of its value, if that is known.

        *text*: where it stands, a text may have been meant.
        """
        offset = node.get("start", offset)
        kind = node["type"]
        if kind == "field":
            return None if self._bare_literal(node, at, offset) else self._field(node, at, offset, text=text)
        if kind in {"subexpression", "index_expression", "pipe"}:
            if kind == "subexpression":
                self._negated_parent(node, offset)
            for index, child in enumerate(node["children"]):
                member = index > 0 and kind == "subexpression" and child["type"] == "field"
                at = self._field(child, at, child.get("start", offset)) if member else self.read(child, at, offset)
            return at
        if kind in {"current", "identity"}:
            return at
        if kind in {"projection", "filter_projection", "value_projection", "flatten"}:
            self._negated_parent(node, offset)
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
        if kind == "multi_select_list":
            for child in children(node):
                self._operand(child, at, offset, text=True)
            return None
        if kind == "or_expression":
            self._settled(node, offset)
        for child in children(node):
            self.read(child, None if kind == "expref" else at, offset)
        return None

    def _settled(self, node: Node, offset: int) -> None:
        """`eventName == ('A' || 'B')` compares with 'A' alone."""
        first, rest = children(node)
        if first["type"] == "literal" and truth(first["value"]):
            shown, behind = part(first, self.text), part(rest, self.text)
            message = f"{shown} is true by itself, so that {behind} behind || is never looked at"
            hint = f"to ask for either, write contains([{shown}, {behind}], …)" if rest["type"] == "literal" else None
            self._note(first.get("start", offset), "always-holds", message, hint or "compare it", error=False)

    def _bare_literal(self, node: Node, at: Where, offset: int) -> bool:
        """`norm.mfa == false` compares with the field "false", which is null."""
        name: str = node["value"]
        if name.lower() not in _JSON_NAMES or node.get("quoted"):
            return False
        if at is not None and self.schema.knows(f"{at}.{name}" if at else name):
            return False
        self._note(
            offset, "bare-literal", f"{name} without backticks is the field of that name", f"write `{name.lower()}`"
        )
        return True

    def _field(self, node: Node, at: Where, offset: int, *, text: bool = False) -> Where:
        """As read, of a field."""
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
            self._note(offset, "unknown-field", f"{at} is {_a(parent.type)} and has no field {name}", f"write {at}")
            return None
        near = self.schema.nearest(path)
        hint = f"did you mean {near}?" if near else None
        if near is None:
            hint = f"write '{name}' if a text is meant" if text else "is it right? docs/events.md has the fields"
        message = f"no event of this kind is known to have the field {path}"
        self._note(offset, "unknown-field", message, hint, error=near is not None)
        return None

    def _comparator(self, node: Node, at: Where, offset: int) -> None:
        left, right = node["children"]
        self._negated_side(node, offset)
        paths = [
            self._operand(child, at, offset, text=other["type"] != "literal")
            for child, other in ((left, right), (right, left))
        ]
        for path, other, literal in ((paths[0], left, right), (paths[1], right, left)):
            if path is not None and literal["type"] == "literal" and path in self.schema.fields:
                self._compare(self.schema.fields[path], other, literal, node["value"], literal.get("start", offset))
        if at == _ROOT:
            self._compare_results(node, offset)
        self._compare_with_list(node, at, paths, offset)
        if node["value"] == "eq" and None not in paths and not any(self.schema.knows(str(path)) for path in paths):
            both = " and ".join(str(path) for path in paths)
            message = f"{both} are absent from every event of this kind, and null equals null: true on every event"
            self._note(offset, "null-equality", message, error=False)

    def _compare_results(self, node: Node, offset: int) -> None:
        """The result of a function, or of `a || 'x'`, against a literal of another type."""
        compared = literal_side(node)
        if compared is None or compared[0]["type"] not in _RESULTS or compared[1] is None:
            return
        call, value, _ = compared
        gives = types(call, self.schema) - {"null"}
        if not gives or len(gives) > 2 or type_of(value) in gives:
            return
        word = {"true": "boolean", "false": "boolean"}
        given, wants = word.get(type_of(value), type_of(value)), word.get(min(gives), min(gives))
        if given == wants:
            return
        verdict = "always true" if node["value"] == "ne" else "never true"
        shown = f"{call['value']}()" if call["type"] == "function_expression" else part(call, self.text)
        message = f"{shown} gives {_a(wants)} and this is {_a(given)}: the comparison is {verdict}"
        hint = f"write '{str(value).lower()}'" if wants == "string" and given in {"number", "boolean"} else None
        hint = _flag_meant(value) if wants == "boolean" else hint
        literal = node["children"][0] if node["children"][0]["type"] == "literal" else node["children"][1]
        self._note(literal.get("start", offset), "comparison-type", message, hint)

    def _compare_with_list(self, node: Node, at: Where, paths: list[Where], offset: int) -> None:
        """A text, a number or a flag against a list that is written out: `eventName == ['ConsoleLogin']`."""
        sides: list[Node] = node["children"]
        for index, (one, other) in enumerate((sides, sides[::-1])):
            if one["type"] not in _LISTS and one["type"] != "multi_select_dict":
                continue
            given, wants = self._kind(one, None, at), self._kind(other, paths[1 - index], at)
            if wants is None or given == wants or wants not in _SCALARS:
                continue
            field = self.schema.fields.get(paths[1 - index] or "")
            shown = part(other, self.text)
            verdict = "always true" if node["value"] == "ne" else "never true"
            message = f"{shown} is {_a(field.type if field else wants)} and this is {_a(str(given))}: "
            self._note(
                one.get("start", offset),
                "comparison-type",
                f"{message}the comparison is {verdict}",
                self._membership(one, other, node["value"]),
                error=field is None or field.path in self.schema.certain,
            )

    def _membership(self, items: Node, item: Node, operator: str) -> str | None:
        """What was meant where something is compared with a list."""
        written = items["type"] in {"multi_select_list", "literal"}  # else it is a part of the event
        if (
            operator not in {"eq", "ne"}
            or items["type"] == "multi_select_dict"
            or written == (item["type"] == "literal")
        ):
            return None
        negation = "!" if operator == "ne" else ""
        return f"write {negation}contains({part(items, self.text)}, {part(item, self.text)})"

    def _kind(self, node: Node, path: Where, at: Where) -> str | None:
        """The JSON type of *node*, which is read against *at* and is the field at *path*, where it can be but one."""
        if node["type"] == "literal":
            return _PLAIN.get(type_of(node["value"]), type_of(node["value"]))
        if node["type"] in _LISTS:
            return "array"
        if node["type"] == "multi_select_dict":
            return "object"
        if path:
            field = self.schema.fields.get(path)
            return None if field is None or field.type == "any" else _PLAIN.get(field.type, field.type)
        if node["type"] == "function_expression" or (at == _ROOT and node["type"] in {"comparator", "not_expression"}):
            gives = {_PLAIN.get(kind, kind) for kind in types(node, self.schema)} - {"null"}
            return min(gives) if len(gives) == 1 else None
        return None

    def _negated_side(self, node: Node, offset: int) -> None:
        """`!a == 'x'` negates a, not the comparison."""
        left, right = node["children"]
        if left["type"] != "not_expression" or left.get("start", -1) != node.get("start", -2):
            return
        if right["type"] == "literal" and isinstance(right["value"], bool):
            return
        inner = part(left, self.text).lstrip("! ")
        whole = part(node, self.text).lstrip("! ")
        message = f"! binds tighter than a comparison: this compares !{inner}, a flag, with something else"
        self._note(offset, "not-precedence", message, f"write !({whole})")

    def _negated_parent(self, node: Node, offset: int) -> None:
        """`!a.b` is `(!a).b`, which is null on every event; so with `!a[?x]`, `!a[]` and `!a.*`."""
        first = children(node)[0]
        if first["type"] != "not_expression":
            return
        rest = part(node if "start" in node else first, self.text).lstrip("! ")
        rest += "[]" if node["type"] == "flatten" and "start" not in node else ""
        if first.get("start", -1) == node.get("start", offset):
            what = "the dot" if node["type"] in {"subexpression", "value_projection"} else "what follows"
            message = f"! binds tighter than {what}: this is a member of a flag, null on every event"
            self._note(offset, "not-precedence", message, f"write !({rest})")

    def _operand(self, node: Node, at: Where, offset: int, *, text: bool) -> Where:
        """As read, but a lone double-quoted name is first suspected to be a text; *text*: a bare one, too."""
        if node.get("quoted") and self._meant_as_text(node["value"], at):
            message = f'"{node["value"]}" in double quotes is the field of that name, not a text'
            self._note(node.get("start", offset), "quoted-identifier", message, f"write '{node['value']}'")
            return None
        return self.read(node, at, offset, text=text)

    def _meant_as_text(self, name: str, at: Where) -> bool:
        if at is None:  # inside a list, whose fields nobody documents: only what needs no quotes, or is no name at all
            return name.replace("_", "a").isalnum() or _NUMBERS.issuperset(name)
        return not (self.schema.open(at) or self.schema.knows(f"{at}.{name}" if at else name))

    def _compare(self, field: Field, other: Node, literal: Node, operator: str, offset: int) -> None:
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
        elif wants == "boolean":
            hint = _flag_meant(value)
        elif wants == "number" and isinstance(value, str):
            hint = _number_meant(value)
        elif given == "array" and wants in _SCALARS:
            hint = self._membership(literal, other, operator)
        message = f"{field.path} is {_a(field.type)} and this is {_a(given)}: the comparison {word}"
        self._note(offset, "comparison-type", message, hint, error=field.path in self.schema.certain)

    def _closed(self, field: Field, value: str, offset: int) -> None:
        if field.values and value not in field.values:
            near = nearest(value, field.values) or next((v for v in field.values if v.lower() == value.lower()), None)
            hint = f"did you mean '{near}'?" if near else f"it is one of {', '.join(field.values)}"
            self._note(offset, "unknown-value", f"{field.path} is never '{value}'", hint)

    def _call(self, node: Node, at: Where, offset: int) -> None:
        paths: list[Where] = []
        allowed_types = wanted(node["value"], len(node["children"]))
        for index, (child, allowed) in enumerate(zip(node["children"], allowed_types, strict=False)):
            where = child.get("start", offset)
            path = self._operand(child, at, offset, text=index > 0)
            paths.append(path)
            if index == 0:
                self._part_of_text(node, path, offset)
            elif node["value"] == "contains":
                self._among(node["children"][0], path, where)
            if child["type"] == "literal":
                given = TYPES_MAP.get(type(child["value"]).__name__, "unknown")
                text = f"'{json.dumps(child['value'])}'"
                self._argument(node["value"], index, _a(given), given, allowed, where, text)
            elif path is not None and path in self.schema.fields:
                kind = {"integer": "number"}.get(self.schema.fields[path].type, self.schema.fields[path].type)
                if kind != "any":
                    text = f"to_string({part(child, self.text)})"
                    self._argument(node["value"], index, f"{path}, {_a(kind)}", kind, allowed, where, text)
        self._swapped(node, offset)
        self._one_case(node, offset)
        if node["value"] == "contains" and len(paths) == 2:
            self._text_with_another_type(node, paths, at, offset)

    def _swapped(self, node: Node, offset: int) -> None:
        """A literal where the event should be asked, and the event where the literal should stand."""
        name, arguments = node["value"], node["children"]
        if len(arguments) != 2 or arguments[0]["type"] != "literal" or not isinstance(arguments[0]["value"], str):
            return
        first, second = arguments
        where = first.get("start", offset)
        hint = None if second["type"] == "literal" else f"write {name}({part(second, self.text)}, "
        hint = f"{hint}{part(first, self.text)})" if hint else None
        if name == "in_cidr" and parsed_address(first["value"]) is None:
            message = (
                f"in_cidr() wants an address as argument 1, and '{excerpt(first['value'], 40)}' is none: never true"
            )
            self._note(where, "argument-type", message, hint)
        elif name in {"starts_with", "ends_with", "matches", "glob"} and hint:
            message = f"{name}() looks in its first argument for its second, and the first is the same for every event"
            self._note(where, "swapped-arguments", message, hint, error=False)

    def _text_with_another_type(self, node: Node, paths: list[Where], at: Where, offset: int) -> None:
        """contains(eventName, ['A', 'B']): a text holds nothing but texts."""
        text, item = node["children"]
        given = self._kind(item, paths[1], at)
        if self._kind(text, paths[0], at) != "string" or given in {None, "null", "string"}:
            return
        shown = part(text, self.text)
        hint = None
        if item["type"] == "multi_select_list" or (item["type"] == "literal" and given == "array"):
            hint = f"write contains({part(item, self.text)}, {shown})"
        elif item["type"] == "literal" and given in {"number", "boolean"}:
            hint = f"write '{json.dumps(item['value'])}'"
        message = f"contains() looks in {shown}, a text, for another text; here it has {_a(str(given))}"
        self._note(item.get("start", offset), "argument-type", message, hint)

    def _one_case(self, node: Node, offset: int) -> None:
        """Texts with capitals, looked for in lower(), and the other way round."""
        name, arguments = node["value"], node["children"]
        if name not in {"contains", "starts_with", "ends_with"} or len(arguments) != 2:
            return
        for cased, literals in (arguments, arguments[::-1]):
            if cased["type"] != "function_expression" or cased["value"] not in CASES:
                continue
            change = CASES[cased["value"]]
            values = texts_of(literals) if name == "contains" and cased is arguments[1] else None
            if values is None:
                one = literals["value"] if literals["type"] == "literal" and cased is arguments[0] else None
                values = [one] if isinstance(one, str) else []
            wrong = [index for index, value in enumerate(values) if change(value) != value]
            # Where none of a list can be, that the whole is never true is proven elsewhere.
            if cased is arguments[1] and len(wrong) == len(values):
                continue
            for index in wrong:
                start = item_start(literals, index) if cased is arguments[1] else literals.get("start")
                self._note(
                    offset if start is None else start,
                    "never-holds",
                    f"{cased['value']}() never gives a text with '{excerpt(values[index], 60)}' in it",
                    f"write '{change(values[index])}'",
                    error=cased is arguments[0] and id(node) in self.needed,
                )

    def _argument(
        self, name: str, index: int, shown: str, given: str, allowed: list[str], offset: int, text: str
    ) -> None:
        """An argument that a function cannot take; *text* is how it is written as one."""
        plain = {kind.split("-")[0] for kind in allowed}
        if plain and given != "null" and given not in plain:
            message = f"{name}() wants {' or '.join(sorted(plain))} as argument {index + 1}, here it has {shown}"
            hint = f"write {text}" if plain == {"string"} and given in _SCALARS else None
            self._note(offset, "argument-type", message, hint)

    def _among(self, items: Node, path: Where, offset: int) -> None:
        """contains([`0`], errorCode): a list that holds nothing of the field's type."""
        known = self.schema.fields.get(path) if path else None
        if items["type"] == "multi_select_list":
            values = [child.get("value") for child in items["children"] if child["type"] == "literal"]
            if len(values) < len(items["children"]):
                return
        elif items["type"] == "literal" and isinstance(items["value"], list):
            values = items["value"]
        else:
            return
        if known is None or known.type not in {"string", "integer", "number", "boolean"} or not values:
            return
        wants = {"integer": "number"}.get(known.type, known.type)
        if not any(TYPES_MAP.get(type(value).__name__) == wants for value in values):
            message = f"{known.path} is {_a(known.type)} and the list holds none: it never contains it"
            hint = "write the values in single quotes" if wants == "string" else None
            self._note(offset, "comparison-type", message, hint, error=known.path in self.schema.certain)
            return
        for index, value in enumerate(values):
            if isinstance(value, str) and wants == "string":
                start = item_start(items, index)
                self._closed(known, value, offset if start is None else start)

    def _part_of_text(self, node: Node, path: Where, offset: int) -> None:
        """Tests for a part of a text where the whole of it was meant."""
        name, arguments = node["value"], node["children"]
        if name not in {"contains", "starts_with", "ends_with", "matches", "glob"} or len(arguments) != 2:
            return
        first, second = arguments
        if name == "contains" and first["type"] == "literal" and isinstance(first["value"], str):
            if second["type"] == "literal":
                return
            cased = CASES.get(second["value"], str) if second["type"] == "function_expression" else str
            items = [cased(item.strip()) for item in re.split(r"[,;|\s]+", first["value"]) if item.strip()]
            shown = ", ".join(f"'{item}'" for item in items)
            message = (
                f"this asks whether '{excerpt(first['value'], 40)}' contains the value as a part of its text: "
                "true for '' and for any piece of it"
            )
            self._note(
                offset,
                "contains-membership",
                message,
                f"write contains([{shown}], {part(second, self.text)})",
                error=False,
            )
            return
        case: Callable[[str], str] = str
        if first["type"] == "function_expression" and first["value"] in {*CASES, "to_string"}:
            path, case = path_of(first["children"][0]), CASES.get(first["value"], str)
        known = self.schema.fields.get(path) if path else None
        if known is not None and known.values and second["type"] == "literal":
            one_of = ", ".join(known.values)
            message = f"{known.path} is one of {one_of}: test it as a whole, not a part of its text"
            asked = second["value"] if isinstance(second["value"], str) else None
            fitting = [value for value in known.values if asked is not None and HAS_PART[name](case(value), asked)]
            hint = f"write {known.path} == '{fitting[0]}'" if len(fitting) == 1 else None
            if len(fitting) > 1:
                shown = ", ".join(f"'{value}'" for value in fitting)
                hint = f"write contains([{shown}], {known.path})"
            self._note(offset, "part-of-closed", message, hint, error=False)

    def _note(self, offset: int, code: str, message: str, suggestion: str | None = None, *, error: bool = True) -> None:
        self.found.append(Finding(offset, code, message, suggestion, error))


def _flag_meant(value: object) -> str | None:
    """How the flag is written that *value* looks like."""
    said = str(value).lower()
    if said in {"true", "1", "yes", "on"}:
        return "write `true`"
    return "write `false`" if said in {"false", "0", "no", "off"} else None


def _number_meant(text: str) -> str | None:
    """How the number is written that *text* looks like; of a time, its seconds since 1970."""
    if text.lstrip("-").isdigit():
        return f"write `{text}`"
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    seconds = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return f"times are in seconds: write `{int(seconds.timestamp())}`"


_NUMBERS: Final = frozenset("0123456789.:/-")  # of addresses, networks, ports and days
_PLAIN: Final = {"integer": "number", "true": "boolean", "false": "boolean"}
_RESULTS: Final = frozenset({"function_expression", "or_expression"})
_SCALARS: Final = frozenset({"string", "number", "boolean"})
_WORDS: Final = {"string": "a text", "boolean": "a flag", "null": "null", "any": "any value"}


def _a(kind: str) -> str:
    return _WORDS.get(kind, f"an {kind}" if kind[:1] in "aeiou" else f"a {kind}")
