"""
JMESPath as rules use it: parsed, checked, located, evaluated.

The jmespath package's parser parses; this module adds to each node the part of the text it came from (`start`, `end`),
and refuses what jmespath 1.1.0 lets through and only finds when an event arrives, or never: unknown functions, wrong
numbers of arguments, missing and trailing commas, `&expr` outside a function, unknown lists, patterns and networks
that are none. Evaluation is jmespath's own TreeInterpreter, so that every value is jmespath's value; the one stated
difference, functions of null, is in `engine.functions`.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import jmespath.ast
import jmespath.lexer
import jmespath.parser
import jmespath.visitor
from jmespath import exceptions

from engine import functions
from engine.errors import EvaluationError, Place

# The published stubs know jmespath's public face only; its parser and interpreter are extended here.
ast: Any = jmespath.ast
lexer: Any = jmespath.lexer
parser: Any = jmespath.parser
visitor: Any = jmespath.visitor

Lists = functions.Lists
Node = dict[str, Any]  # jmespath's AST, with "start" and "end" in the text where they are known

MAX_TEXT: Final = 4096
MAX_DEPTH: Final = 100
MAX_FIELD: Final = 200  # characters of one value in a rendered text
ABSENT: Final = "-"


class ExpressionFault(Exception):
    """
    A fault in an expression's text: *offset* is the index into the text where it is.

    *faults* holds all that were found in the same text, this one included, in order.
    """

    def __init__(self, message: str, offset: int, *, code: str = "bad-expression") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.code = code
        self.faults: tuple[ExpressionFault, ...] = (self,)


@dataclass(frozen=True, slots=True)
class Expression:
    """One parsed JMESPath expression, immutable, safe to share between threads."""

    text: str
    tree: Node = field(compare=False, repr=False)
    lists: Lists = field(compare=False, repr=False)
    place: Place | None = field(default=None, compare=False, repr=False)  # where the text begins
    _interpreter: Interpreter | None = field(default=None, init=False, compare=False, repr=False)

    def search(self, fields: Any) -> Any:
        """The value. Raises EvaluationError where the types of *fields* contradict the expression."""
        interpreter = self._interpreter
        if (
            interpreter is None
        ):  # of thousands of rules few are ever asked; two threads may both make one: they are alike
            interpreter = Interpreter(self.text, functions.Functions(self.lists))
            object.__setattr__(self, "_interpreter", interpreter)
        try:
            return interpreter.visit(self.tree, fields)
        except RecursionError:
            raise EvaluationError(f"nested too deeply to be decided: {excerpt(self.text)}") from None

    def holds(self, fields: Any) -> bool:
        """JMESPath's truth of the value: false, null, "", [] and {} are false; 0 is true."""
        return truth(self.search(fields))

    def uses(self) -> frozenset[str]:
        """The names of the lists that the expression asks."""
        return frozenset(name for name, _ in _lists_named(self.tree))


Known = dict[str, Node]  # sound texts and their trees, under the same lists


def parse(text: str, *, lists: Lists, place: Place | None = None, known: Known | None = None) -> Expression:
    """
    The expression that *text* is. *lists* are those that exist; *place* is where the text stands, for messages.

    A text that is in *known* is not parsed again, and a new one is noted there: many rules say `norm.account`.
    Raises ExpressionFault: the first fault, with all of them in its `faults`.
    """
    tree = known.get(text) if known is not None else None
    if tree is None:
        tree, faults = _tree(text)
        if tree is not None:
            nodes = list(walk(tree))
            faults += [*_shape_faults(nodes), *_literal_faults(nodes, lists)]
        if faults or tree is None:
            raise _first(faults)
        if known is not None:
            known[text] = tree
    return Expression(text, tree, lists, place)


def truth(value: Any) -> bool:
    """JMESPath's truth: false, null, "", [] and {} are false, everything else is true, 0 too."""
    return not (value is None or value is False or value in ("", [], {}))


def excerpt(text: str, length: int = 80) -> str:
    """*text* on one line, cut."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _first(faults: list[ExpressionFault]) -> ExpressionFault:
    ordered = sorted(faults, key=lambda fault: fault.offset)
    ordered[0].faults = tuple(ordered)
    return ordered[0]


# --- evaluating -------------------------------------------------------------------------------------------------------


class Interpreter(visitor.TreeInterpreter):  # type: ignore[misc]  # untyped
    """jmespath's interpreter; a type error becomes an EvaluationError that quotes the part where it happened."""

    def __init__(self, text: str, known: functions.Functions) -> None:
        super().__init__(visitor.Options(custom_functions=known))
        self._text = text

    def visit_function_expression(self, node: Node, value: Any) -> Any:
        try:
            return super().visit_function_expression(node, value)
        except exceptions.JMESPathTypeError as error:
            wanted = " or ".join(error.expected_types)
            given = functions.TYPES_MAP.get(error.actual_type, error.actual_type)
            raise self._error(f"{node['value']}() wants {wanted}, here it has {given}", node) from None
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise self._error(f"{node['value']}() cannot be decided: {excerpt(str(error), 200)}", node) from None

    def visit_comparator(self, node: Node, value: Any) -> Any:
        try:
            return super().visit_comparator(node, value)
        except TypeError:
            raise self._error("a text and a number have no order", node) from None

    def _error(self, message: str, node: Node) -> EvaluationError:
        return EvaluationError(f"{message}: {excerpt(part(node, self._text))}")


def part(node: Node, text: str) -> str:
    """The text that *node* was parsed from; all of it when that is not known."""
    if "start" in node:
        return text[node["start"] : node["end"]]
    return text


# --- parsing ----------------------------------------------------------------------------------------------------------


def _tree(text: str) -> tuple[Node | None, list[ExpressionFault]]:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        return None, [ExpressionFault(f"an expression has at most {MAX_TEXT} bytes; a list says more in less", 0)]
    if not text.strip():
        return None, [ExpressionFault("the expression is empty", 0)]
    located = _Parser()
    try:
        tree = located.located(text)
    except ExpressionFault as fault:
        return None, [fault]
    except exceptions.LexerError as error:
        return None, [_lexer_fault(error, text)]
    except exceptions.IncompleteExpressionError:
        return None, [ExpressionFault("the expression ends too early", len(text.rstrip()))]
    except exceptions.ParseError as error:
        return None, [_parse_fault(error, text)]
    deepest = _depth(tree)
    if deepest > MAX_DEPTH:
        return None, [ExpressionFault(_TOO_DEEP, 0)]
    _collapse(tree)
    return tree, located.faults


_LONG: Final = 8  # items; shorter lists keep their parts, and messages point at the item


def _collapse(node: Node) -> None:
    """
    Make long lists of texts, `['a', 'b', …]`, the one literal that they are: a tenth of the memory.

    Only where the whole event is looked at: of null, elsewhere, such a list is null.
    """
    if node["type"] not in _ASKING_THE_SAME:
        return
    items = node["children"]
    for child in items:
        _collapse(child)
    if node["type"] == "multi_select_list" and len(items) > _LONG and all(map(_is_text, items)):
        value = [sys.intern(item["value"]) for item in items]
        starts = b"".join(item["start"].to_bytes(_OFFSET, "little") for item in items)
        node.update(type="literal", value=value, children=[], starts=starts)


_OFFSET: Final = 4  # bytes of a place in a text


def item_start(node: Node, index: int) -> int | None:
    """Where the item number *index* of a list begins in the expression's text; None where that is not known."""
    if "starts" in node:
        return int.from_bytes(node["starts"][_OFFSET * index : _OFFSET * (index + 1)], "little")
    items = node["children"]
    start = items[index].get("start") if index < len(items) else node.get("start")
    return None if start is None else int(start)


def _is_text(node: Node) -> bool:
    return node["type"] == "literal" and isinstance(node["value"], str)


_ASKING_THE_SAME: Final = frozenset(  # what they are asked of, their parts are
    {"and_expression", "or_expression", "not_expression", "comparator", "function_expression", "multi_select_list"}
)

_TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} (each of a chain of || counts); in_list or contains say it flat"


def _lexer_fault(error: exceptions.LexerError, text: str) -> ExpressionFault:
    at, lexeme = error.lexer_position, str(error.lexer_value or "")
    if "Unclosed" in str(error.message):
        return ExpressionFault(f"the {text[at]} that opens here is never closed", at)
    if lexeme == "=":
        return ExpressionFault("'=' is no operator; equality is '=='", at)
    if text[at : at + 1] == '"':
        return ExpressionFault("this quoted name is not valid JSON", at)
    return ExpressionFault(f"unknown character '{excerpt(lexeme or text[at : at + 1], 20)}'", at)


def _parse_fault(error: exceptions.ParseError, text: str) -> ExpressionFault:
    at = error.lex_position
    if error.token_value == "":
        return ExpressionFault("the expression ends too early", len(text.rstrip()))
    token = text[at : at + 1] if error.token_value is None else str(error.token_value)
    message = f"'{excerpt(token, 20)}' cannot stand here"
    number = _NUMBER.match(text, at)
    if number is not None and text[:at].rstrip()[-1:] in _BEFORE_A_VALUE:
        message += f"; a number is `{number[0]}`, a text '{number[0]}'"
    return ExpressionFault(message, at)


_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_BEFORE_A_VALUE: Final = ("", *"=<>&|!(,")


class _Lexer(lexer.Lexer):  # type: ignore[misc]  # untyped
    """jmespath's lexer without its global warning about `` `text` ``, which it still reads as the text."""

    _position: int
    _expression: str

    def _consume_until(self, delimiter: str) -> str:
        # jmespath takes one character at a time; a text without escapes is cut out as a whole.
        start = self._position + 1
        end = self._expression.find(delimiter, start)
        taken = self._expression[start:end]
        if end < 0 or "\\" in taken:
            consumed: str = super()._consume_until(delimiter)
            return consumed
        self._position = end
        self._next()
        return taken

    def _consume_literal(self) -> Node:
        start = self._position
        written = self._consume_until("`").replace("\\`", "`")
        try:
            value = _json_or_old_text(written)
        except ValueError:
            raise ExpressionFault("what stands in backticks is JSON, and this is not", start) from None
        except RecursionError:
            raise ExpressionFault("this literal is nested too deeply", start) from None
        return {"type": "literal", "value": value, "start": start, "end": self._position}


def _json_or_old_text(written: str) -> Any:
    try:
        return json.loads(written)
    except ValueError:
        return json.loads(f'"{written.lstrip()}"')  # deprecated by JEP-12, and still what jmespath.py does


class _Parser(parser.Parser):  # type: ignore[misc]  # untyped
    """jmespath's parser; notes where each node stands, and refuses missing commas and too much depth."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[ExpressionFault] = []
        self._text = ""
        self._depth = 0

    def located(self, text: str) -> Node:
        """The AST, its nodes with `start` and `end`. Not cached: callers own the nodes."""
        self._text = text
        self._tokens = list(_Lexer().tokenize(text))
        self._index = 0
        tree = self._expression(binding_power=0)
        if self._current_token() != "eof":
            self._raise_parse_error_for_token(self._lookahead_token(0), "unexpected")
        return tree

    def _expression(self, binding_power: int = 0) -> Node:
        # jmespath's loop, with the span of each node noted as it closes.
        token = self._lookahead_token(0)
        start = token["start"]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionFault(_TOO_DEEP, start)
        self._advance()
        nud: Any = getattr(self, f"_token_nud_{token['type']}", self._error_nud_token)
        left: Node = nud(token)
        if token["type"] == "quoted_identifier":
            left["quoted"] = True
        self._span(left, start, keep=token["type"] == "lparen")
        while binding_power < self.BINDING_POWER[self._current_token()]:
            led = f"_token_led_{self._current_token()}"
            if not hasattr(self, led):
                self._error_led_token(self._lookahead_token(0))
            self._advance()
            left = getattr(self, led)(left)
            self._span(left, start)
        self._depth -= 1
        return left

    def _span(self, node: Node, start: int, *, keep: bool = False) -> None:
        if not (keep and "start" in node):
            node["start"], node["end"] = start, self._end()

    def _end(self) -> int:
        """Behind the last token that was taken; jmespath's own "end" is wrong for literals."""
        at: int = self._lookahead_token(0)["start"]
        while at and self._text[at - 1] in " \t\n\r":
            at -= 1
        return at

    def _token_nud_quoted_identifier(self, token: Node) -> Node:
        if self._current_token() == "lparen":
            raise ExpressionFault("the name of a function has no quotes", token["start"])
        node: Node = ast.field(token["value"])
        return node

    def _token_led_lparen(self, left: Node) -> Node:
        name = self._lookahead_token(-2)
        if left["type"] != "field" or name["type"] != "unquoted_identifier":
            raise ExpressionFault("only the name of a function can stand before '('", name["start"])
        arguments: list[Node] = []
        while self._current_token() != "rparen":
            arguments.append(self._expression())
            self._comma("rparen", f"arguments of {left['value']}()")
        self._match("rparen")
        node: Node = ast.function_expression(left["value"], arguments)
        return node

    def _parse_multi_select_hash(self) -> Node:
        pairs: list[Node] = []
        while True:
            key = self._lookahead_token(0)
            self._match_multiple_tokens(["quoted_identifier", "unquoted_identifier"])
            self._match("colon")
            value = self._expression(0)
            pair: Node = ast.key_val_pair(key_name=key["value"], node=value)
            self._span(pair, key["start"])
            pairs.append(pair)
            if self._current_token() == "rbrace":
                break
            self._comma("rbrace", "keys of an object")
        self._match("rbrace")
        node: Node = ast.multi_select_dict(nodes=pairs)
        return node

    def _comma(self, closing: str, what: str) -> None:
        """Take the comma that must stand here, unless the list is closed; jmespath does without, so reading goes on."""
        if self._current_token() == closing:
            return
        token = self._lookahead_token(0)
        if self._current_token() != "comma":
            if token["type"] == "eof":
                raise exceptions.IncompleteExpressionError(token["start"], token["value"], token["type"])
            self.faults.append(ExpressionFault(f"a comma is missing between the {what}", token["start"]))
            return
        self._advance()
        if self._current_token() == closing:
            self.faults.append(ExpressionFault(f"a comma too many after the {what}", token["start"]))

    def _parse_slice_expression(self) -> Node:
        # jmespath takes [:1 2] for [:2], and finds a step of 0 when an event arrives.
        ahead, numbers = 0, 0
        while self._lookahead(ahead) in {"number", "colon"}:
            numbers = numbers + 1 if self._lookahead(ahead) == "number" else 0
            if numbers > 1:
                raise ExpressionFault("a colon is missing", self._lookahead_token(ahead)["start"])
            ahead += 1
        start = self._lookahead_token(0)["start"]
        node: Node = super()._parse_slice_expression()
        if node["children"][2] == 0:
            raise ExpressionFault("the step of a slice cannot be 0", start)
        return node


def _depth(tree: Node) -> int:
    """How many nodes stand one below the other; walked without recursion."""
    deepest, todo = 0, [(tree, 1)]
    while todo:
        node, depth = todo.pop()
        deepest = max(deepest, depth)
        if below := children(node):
            todo += [(child, depth + 1) for child in below]
    return deepest


def children(node: Node) -> list[Node]:
    """The nodes below *node*; a slice's numbers are none."""
    below: list[Node] = node["children"] if node["type"] != "slice" else []
    return below


Walked = tuple[Node, Node | None, int]


def walk(tree: Node) -> Iterator[Walked]:
    """Every node with its parent and a place in the text: its own start, or that of what it stands in."""
    todo: list[tuple[Node, Node | None, int]] = [(tree, None, tree.get("start", 0))]
    while todo:
        node, parent, start = todo.pop()
        yield node, parent, start
        if below := children(node):
            todo += [(child, node, child.get("start", start)) for child in reversed(below)]


# --- checking -------------------------------------------------------------------------------------------------------


def _shape_faults(nodes: list[Walked]) -> Iterator[ExpressionFault]:
    """Unknown functions, wrong numbers of arguments, and `&` where no function takes an expression."""
    for node, parent, start in nodes:
        if node["type"] == "function_expression":
            yield from _call_faults(node, start)
        elif node["type"] == "expref" and (parent is None or parent["type"] != "function_expression"):
            yield ExpressionFault("'&' can stand only before an argument of a function; 'and' is '&&'", start)


def _call_faults(node: Node, start: int) -> Iterator[ExpressionFault]:
    name, given = node["value"], node["children"]
    try:
        count, more = functions.arity(name)
    except KeyError:
        yield ExpressionFault(
            _unknown("function", f"{name}()", name, functions.names()), start, code="unknown-function"
        )
        return
    if len(given) < count or (len(given) > count and not more):
        least = "at least " if more else ""
        yield ExpressionFault(
            f"{name}() takes {least}{count} argument{'s' * (count != 1)}, here it has {len(given)}", start, code="arity"
        )
        return
    for child, types in zip(given, functions.wanted(name, len(given)), strict=True):
        at = child.get("start", start)
        if ("expref" in types) and child["type"] != "expref":
            yield ExpressionFault(f"{name}() wants an expression here: write '&' before it", at, code="argument-type")
        elif child["type"] == "expref" and "expref" not in types:
            yield ExpressionFault(f"{name}() takes no '&' expression here", at, code="argument-type")


def _literal_faults(nodes: list[Walked], lists: Lists) -> Iterator[ExpressionFault]:
    for node, _, start in nodes:
        if node["type"] == "literal" and not _finite(node["value"]):
            yield ExpressionFault("NaN and Infinity are not JSON", start)
        if node["type"] != "function_expression" or len(node["children"]) != 2:
            continue
        second = node["children"][1]
        at = second.get("start", start)
        if node["value"] == "in_list" and not isinstance(_literal(second), str):
            yield ExpressionFault("the name of a list is a text in single quotes", at, code="unknown-list")
        elif node["value"] == "in_list" and _literal(second) not in lists:
            name = second["value"]
            yield ExpressionFault(_unknown("list", f"'{name}'", name, lists), at, code="unknown-list")
        elif node["value"] == "in_cidr":
            yield from _network_faults(second, at, lists)
        elif node["value"] in {"matches", "glob"} and isinstance(_literal(second), str):
            compiled = functions.regex if node["value"] == "matches" else functions.globbed
            try:
                compiled(second["value"])
            except ValueError as error:
                yield ExpressionFault(str(error), at, code="bad-pattern")


def _network_faults(node: Node, at: int, lists: Lists) -> Iterator[ExpressionFault]:
    if node["type"] == "multi_select_list":
        for child in node["children"]:
            yield from _network_faults(child, child.get("start", at), {})
        return
    value = _literal(node)
    if isinstance(value, str) and value in lists:
        if trouble := functions.problem_of_networks(sorted(lists[value])):
            yield ExpressionFault(f"the list '{value}' holds something else than networks: {trouble}", at)
        return
    values = value if isinstance(value, list) else [value]
    if node["type"] == "literal" and not all(isinstance(item, str) for item in values):
        yield ExpressionFault("in_cidr() wants a network, a list of networks or the name of a list", at)
        return
    trouble = functions.problem_of_networks(item for item in values if isinstance(item, str))
    if trouble is not None:
        if isinstance(value, str) and "/" not in value and not value[:1].isdigit():
            trouble = _unknown("list", f"'{value}'", value, lists) if lists else f"there is no list '{value}'"
        yield ExpressionFault(trouble, at, code="bad-network")


def _literal(node: Node) -> Any:
    return node["value"] if node["type"] == "literal" else None


def _lists_named(tree: Node) -> Iterator[tuple[str, int]]:
    for node, _, start in walk(tree):
        if node["type"] == "function_expression" and node["value"] in {"in_list", "in_cidr"}:
            name = _literal(node["children"][1]) if len(node["children"]) == 2 else None
            if isinstance(name, str) and (node["value"] == "in_list" or "/" not in name):
                yield name, start


def _finite(value: Any) -> bool:
    if isinstance(value, str):
        return True
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, float) and not math.isfinite(item):
            return False
        todo += item if isinstance(item, list) else item.values() if isinstance(item, dict) else ()
    return True


def _unknown(what: str, shown: str, name: str, known: Any) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 only faults need it

    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"there is no {what} {shown}" + (f"; did you mean '{near[0]}'?" if near else "")


# --- templates ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Template:
    """A text with `{JMESPath}` fields; `{{` and `}}` stand for braces."""

    text: str
    parts: tuple[str | Expression, ...] = field(compare=False, repr=False)
    offsets: tuple[int, ...] = field(default=(), compare=False, repr=False)  # of the parts, in the text

    def render(self, fields: Any) -> str:
        """
        The text; a field that is absent or empty shows as "-". Never raises for the event's sake.

        Lists are joined by ", ", objects shown as JSON, each field cut at 200 characters. Values are shown as they
        are: what they could do to a terminal or a channel is the business of who shows them.
        """
        return "".join(piece if isinstance(piece, str) else _shown(piece, fields) for piece in self.parts)

    def expressions(self) -> list[tuple[Expression, int]]:
        """The fields, each with its offset in the text."""
        pairs = zip(self.parts, self.offsets, strict=True)
        return [(piece, offset) for piece, offset in pairs if isinstance(piece, Expression)]


def parse_template(text: str, *, lists: Lists, place: Place | None = None, known: Known | None = None) -> Template:
    """
    The template that *text* is; *known* as for `parse`.

    Raises ExpressionFault with all faults, their offsets counted in the whole text.
    """
    parts: list[str | Expression] = []
    offsets: list[int] = []
    faults: list[ExpressionFault] = []
    for piece, offset, is_field in _pieces(text, faults):
        if not is_field:
            parts.append(piece)
            offsets.append(offset)
            continue
        try:
            parts.append(parse(piece, lists=lists, place=place, known=known))
            offsets.append(offset)
        except ExpressionFault as fault:
            for found in fault.faults:
                found.offset += offset
            faults += fault.faults
    if faults:
        raise _first(faults)
    return Template(text, tuple(parts), tuple(offsets))


_BRACE: Final = re.compile("[{}]")


def _pieces(text: str, faults: list[ExpressionFault]) -> Iterator[tuple[str, int, bool]]:
    """Literal texts and fields, each with its offset."""
    literal, begun, at = "", 0, 0
    while (found := _BRACE.search(text, at)) is not None:
        literal += text[at : found.start()]
        at = found.start()
        if text[at + 1 : at + 2] == text[at]:
            literal += text[at]
            at += 2
        elif text[at] == "{":
            if literal:
                yield literal, begun, False
            close = _closing(text, at + 1)
            if close is None:
                faults.append(ExpressionFault("the { that opens here is never closed; a brace itself is {{", at))
                return
            yield text[at + 1 : close], at + 1, True
            literal, begun, at = "", close + 1, close + 1
        else:
            faults.append(ExpressionFault("this } closes nothing; a brace itself is }}", at))
            at += 1
    literal += text[at:]
    if literal:
        yield literal, begun, False


def _closing(text: str, at: int) -> int | None:
    """Where the field that began closes: the first } that is in no quotes and closes no { of its own."""
    depth, quote = 0, ""
    while at < len(text):
        char = text[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "'\"`":
            quote = char
        elif char == "{":
            depth += 1
        elif char == "}":
            if depth == 0:
                return at
            depth -= 1
        at += 1
    return None


def _shown(expression: Expression, fields: Any) -> str:
    try:
        value = expression.search(fields)
        shown = ", ".join(_text(item) for item in value) if isinstance(value, list) else _text(value)
    except (EvaluationError, RecursionError):
        return ABSENT
    if len(shown) > MAX_FIELD:
        shown = shown[: MAX_FIELD - 1] + "…"
    return shown or ABSENT


def _text(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
