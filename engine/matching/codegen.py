"""
From an expression to a Python function that gives the same.

The source that is generated holds names only: `f` is the View, `t1 …` are values, `k1 …` stand for constants (paths,
literals, sets, patterns) that are passed in beside it. No text of a rule ever becomes part of it.

How exactness is kept: code is made for the types that an operation is meant for, and for null; whatever else turns up
is handed, with the part of the tree, to jmespath's own interpreter, which gives its value or raises its error. A part
that this module does not know is handed over whole. So the code decides nothing that the interpreter would decide
otherwise, and its speed is a matter of coverage only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, Final

from engine.errors import EvaluationError
from engine.event import SEPARATOR, View
from engine.expression import Expression, Interpreter, Node, excerpt, visitor
from engine.functions import Functions, globbed, regex
from engine.matching.reads import path_of, reads

Value = Callable[[View], Any]
Truth = Callable[[View], bool]

_MAX_INDENT: Final = 40  # levels: CPython's own limits are 100 of them, and 20 loops in one another
_MAX_LOOPS: Final = 8
_MAX_LINES: Final = 2000
_ORDER: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_NUMBERS: Final = frozenset((int, float))


def truth_of(expression: Expression, node: Node | None = None) -> Truth:
    """
    The function that says whether *expression*, or a *node* of it, holds for a View.

    It raises EvaluationError exactly where `Expression.holds` does.
    """
    return made(expression, node or expression.tree, truth=True)


def value_of(expression: Expression, node: Node | None = None) -> Value:
    """As `truth_of`, for the value: the same as `Expression.search`."""
    return made(expression, node or expression.tree, truth=False)


def truth_at(expression: Expression, node: Node, path: str) -> Callable[[Any], bool]:
    """As `truth_of`, for a *node* that reads nothing but *path*: a function of the value there."""
    return made(expression, node, truth=True, path=path)


def made(
    expression: Expression,
    node: Node,
    *,
    truth: bool,
    path: str | None = None,
    writing: Callable[[Expression, str | None], Writer] | None = None,
) -> Callable[[Any], Any]:
    """The function of a View, or of the value at *path*; *writing* gives another Writer (`engine.matching.tracing`)."""
    writing = writing or Writer
    writer = writing(expression, path)
    try:
        result = writer.verdict(node) if truth else writer.value(node, _ROOT)
    except _TooBig:
        writer = writing(expression, path)
        value = writer.handed_over(node, _ROOT)
        result = f"True if {writer.truth_of(value)} else False" if truth else value
    too_deep = writer.constant(_too_deep(expression))
    names = list(writer.constants)
    lines = [
        f"def made({', '.join(names)}):",
        "  def decide(f):",
        "    try:",
        *("      " + line for line in writer.lines),
        f"      return {result}",
        "    except RecursionError:",
        f"      raise {too_deep}() from None",
        "  return decide",
    ]
    namespace: dict[str, Any] = {}
    exec(_code("\n".join(lines)), _NAMESPACE, namespace)  # noqa: S102 our own text
    decide: Callable[[View], Any] = namespace["made"](*writer.constants.values())
    return decide


def _code(source: str) -> CodeType:
    return compile(source, "<rule>", "exec")


def _too_deep(expression: Expression) -> Callable[[], EvaluationError]:
    return lambda: EvaluationError(f"nested too deeply to be decided: {excerpt(expression.text)}")


# What the generated code calls by name. Expressions cannot name these: their words are constants.
_NAMESPACE: Final[dict[str, Any]] = {
    "__builtins__": {"RecursionError": RecursionError, "len": len, "int": int, "float": float, "str": str, "list": list,
                     "dict": dict, "bool": bool, "IndexError": IndexError},
    "equal": visitor._equals,  # noqa: SLF001 jmespath's own, with its care for true and 1
    "numbers": _NUMBERS,
}  # fmt: skip


class _TooBig(Exception):
    """The code would be larger than CPython takes, or than is worth compiling."""


class Context:
    """What a part of the tree is asked of: the whole event, or a value inside it."""

    __slots__ = ("root", "var")

    def __init__(self, var: str, *, root: bool) -> None:
        self.var = var
        self.root = root


_ROOT: Final = Context("f", root=True)


class Writer:
    """The lines of one function, and the constants that they speak of."""

    def __init__(self, expression: Expression, path: str | None = None) -> None:
        """With a *path*, `f` is the value of that path, not the View."""
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self._expression = expression
        self._path = path
        self._interpreter: Interpreter | None = None
        self._indent = 0
        self._loops = 0
        self._variables = 0
        self._plain: set[str] = set()  # variables that never hold a number: Python's truth is JMESPath's for them

    # --- writing

    def _line(self, text: str) -> None:
        if len(self.lines) >= _MAX_LINES:
            raise _TooBig
        self.lines.append("  " * self._indent + text)

    @contextmanager
    def _block(self, head: str) -> Iterator[None]:
        self._line(head)
        self._indent += 1
        if self._indent > _MAX_INDENT:
            raise _TooBig
        yield
        self._indent -= 1

    def _loop(self, head: str) -> Any:
        self._loops += 1
        if self._loops > _MAX_LOOPS:  # counted over the whole function: simpler, and more than rules have
            raise _TooBig
        return self._block(head)

    def _variable(self) -> str:
        self._variables += 1
        return f"t{self._variables}"

    def _set(self, text: str) -> str:
        name = self._variable()
        self._line(f"{name} = {text}")
        return name

    def _set_plain(self, text: str) -> str:
        name = self._set(text)
        self._plain.add(name)
        return name

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants) + 1}"
        self.constants[name] = value
        return name

    def handed_over(self, node: Node, at: Context) -> str:
        """The value of *node* as jmespath's interpreter gives it."""
        return self._set(self._asking(node, at))

    def _asking(self, node: Node, at: Context) -> str:
        if self._interpreter is None:
            expression = self._expression
            self._interpreter = Interpreter(expression.text, Functions(expression.lists))
        visit = self.constant(self._interpreter.visit)
        return f"{visit}({self.constant(node)}, {self._given(node, at)})"

    def _given(self, node: Node, at: Context) -> str:
        """What the interpreter is given to look at for *node*."""
        if at.root and self._path is not None:
            return f"{self.constant(_standing_at(self._path))}(f)"
        return "f.whole" if at.root and reads(node) is None else at.var

    # --- truth

    def verdict(self, node: Node) -> str:
        """As `truth` of the whole event, for the end of a function: parts of a conjunction that fail return at once."""
        if node["type"] == "and_expression":
            first, second = node["children"]
            self._line(f"if not ({self.verdict(first)}): return False")
            return self.verdict(second)
        return f"True if {self.truth(node, _ROOT)} else False"

    def truth(self, node: Node, at: Context) -> str:
        """A variable that Python takes for true where JMESPath does so of *node*."""
        kind = node["type"]
        if kind in ("and_expression", "or_expression"):
            first, second = node["children"]
            result = self._set(self.truth(first, at))
            with self._block(f"if {result}:" if kind == "and_expression" else f"if not {result}:"):
                self._line(f"{result} = {self.truth(second, at)}")
            return result
        if kind == "not_expression":
            return self._set(f"not {self.truth(node['children'][0], at)}")
        return self.truth_of(self.value(node, at))

    def truth_of(self, value: str) -> str:
        """As `truth`, of a value: "", [], {}, null and false are false to both languages, 0 to Python only."""
        if value in self._plain:
            return value
        return self._set(f"True if {value} else ({value}.__class__ is int or {value}.__class__ is float)")

    # --- values

    def value(self, node: Node, at: Context) -> str:
        """A variable or constant that holds the value of *node*."""
        write = getattr(self, f"_{node['type']}", None)
        return self.handed_over(node, at) if write is None else str(write(node, at))

    def _field(self, node: Node, at: Context) -> str:
        if at.root:
            path = path_of(node)
            return self.handed_over(node, at) if path is None else self._read(path)
        return self._set(f"{at.var}.get({self.constant(node['value'])}) if {at.var}.__class__ is dict else None")

    def _subexpression(self, node: Node, at: Context) -> str:
        if at.root and (path := path_of(node)) is not None:
            return self._read(path)
        return self._chain(node, at)

    def _read(self, path: str) -> str:
        return "f" if path == self._path else self._set(f"f[{self.constant(path)}]")

    def _chain(self, node: Node, at: Context) -> str:
        value = at.var
        for child in node["children"]:
            value = self.value(child, at)
            at = Context(value, root=False)
        return value

    _index_expression = _chain
    _pipe = _chain

    def _current(self, _node: Node, at: Context) -> str:
        return self._set("f.whole") if at.root else at.var

    _identity = _current

    def _literal(self, node: Node, _at: Context) -> str:
        return self.constant(node["value"])

    def _key_val_pair(self, node: Node, at: Context) -> str:
        return self.value(node["children"][0], at)

    def _and_expression(self, node: Node, at: Context) -> str:
        return self._either(node, at, "if {}:")

    def _or_expression(self, node: Node, at: Context) -> str:
        return self._either(node, at, "if not {}:")

    def _either(self, node: Node, at: Context, head: str) -> str:
        first, second = node["children"]
        result = self._set(self.value(first, at))
        with self._block(head.format(self.truth_of(result))):
            self._line(f"{result} = {self.value(second, at)}")
        return result

    def _not_expression(self, node: Node, at: Context) -> str:
        return self._set_plain(f"not {self.truth(node['children'][0], at)}")

    def _multi_select_list(self, node: Node, at: Context) -> str:
        return self._collected(at, "[{}]", lambda: [self.value(child, at) for child in node["children"]])

    def _multi_select_dict(self, node: Node, at: Context) -> str:
        def pairs() -> list[str]:
            return [f"{self.constant(child['value'])}: {self.value(child, at)}" for child in node["children"]]

        return self._collected(at, "{{{}}}", pairs)

    def _collected(self, at: Context, shape: str, items: Callable[[], list[str]]) -> str:
        if at.root:  # an event is never null
            return self._set(shape.format(", ".join(items())))
        result = self._set_plain("None")
        with self._block(f"if {at.var} is not None:"):
            self._line(f"{result} = " + shape.format(", ".join(items())))
        return result

    def _index(self, node: Node, at: Context) -> str:
        if at.root:
            return self._set("None")
        number = int(node["value"])
        enough = f"len({at.var}) > {number}" if number >= 0 else f"len({at.var}) >= {-number}"
        return self._set(f"{at.var}[{number}] if {at.var}.__class__ is list and {enough} else None")

    def _slice(self, node: Node, at: Context) -> str:
        if at.root:
            return self._set("None")
        return self._set(f"{at.var}[{self.constant(slice(*node['children']))}] if {at.var}.__class__ is list else None")

    def _flatten(self, node: Node, at: Context) -> str:
        base = self.value(node["children"][0], at)
        result = self._set_plain("None")
        with self._block(f"if {base}.__class__ is list:"):
            self._line(f"{result} = []")
            item = self._variable()
            with self._loop(f"for {item} in {base}:"):
                self._line(f"{result}.extend({item}) if {item}.__class__ is list else {result}.append({item})")
        return result

    def _projection(self, node: Node, at: Context) -> str:
        base = self.value(node["children"][0], at)
        return self._projected(f"{base}.__class__ is list", base, node["children"][1])

    def _value_projection(self, node: Node, at: Context) -> str:
        base = self.value(node["children"][0], at)
        return self._projected(f"{base}.__class__ is dict", f"{base}.values()", node["children"][1])

    def _filter_projection(self, node: Node, at: Context) -> str:
        base = self.value(node["children"][0], at)
        return self._projected(f"{base}.__class__ is list", base, node["children"][1], node["children"][2])

    def _projected(self, fits: str, items: str, shown: Node, only: Node | None = None) -> str:
        result = self._set_plain("None")
        with self._block(f"if {fits}:"):
            self._line(f"{result} = []")
            item = self._variable()
            with self._loop(f"for {item} in {items}:"):
                inside = Context(item, root=False)
                if only is not None:
                    self._line(f"if not {self.truth(only, inside)}: continue")
                value = self.value(shown, inside)
                self._line(f"if {value} is not None: {result}.append({value})")
        return result

    # --- comparing

    def _comparator(self, node: Node, at: Context) -> str:
        left, right = node["children"]
        if node["value"] in _ORDER:
            return self._ordered(node, at)
        same = self._same(left, right, at)
        return self._set_plain(same if node["value"] == "eq" else f"not ({same})")

    def _same(self, left: Node, right: Node, at: Context) -> str:
        if left["type"] == "literal":
            left, right = right, left
        if left["type"] == "literal" or right["type"] != "literal":
            first = self.value(left, at)
            return f"equal({first}, {self.value(right, at)})"
        value, literal = self.value(left, at), right["value"]
        if literal is None or isinstance(literal, bool):
            return f"{value} is {literal}"
        if isinstance(literal, str):
            return f"{value} == {self.constant(literal)}"
        if isinstance(literal, int | float) and literal not in (0, 1):
            return f"{value} == {self.constant(literal)}"
        return f"equal({value}, {self.constant(literal)})"

    def _ordered(self, node: Node, at: Context) -> str:
        first = self.value(node["children"][0], at)
        second = self.value(node["children"][1], at)
        both = f"{first}.__class__ in numbers and {second}.__class__ in numbers"
        neither = f"{first} is None or {second} is None"
        compared = f"{first} {_ORDER[node['value']]} {second}"
        return self._set_plain(f"{compared} if {both} else None if {neither} else {self._asking(node, at)}")

    # --- functions

    def _function_expression(self, node: Node, at: Context) -> str:
        write = getattr(self, f"_call_{node['value']}", None)
        result = None if write is None else write(node, at)
        return self.handed_over(node, at) if result is None else str(result)

    def _call_starts_with(self, node: Node, at: Context) -> str | None:
        return self._of_text(node, at, "{}.startswith({})")

    def _call_ends_with(self, node: Node, at: Context) -> str | None:
        return self._of_text(node, at, "{}.endswith({})")

    def _call_lower(self, node: Node, at: Context) -> str | None:
        return self._of_text(node, at, "{}.lower()")

    def _call_upper(self, node: Node, at: Context) -> str | None:
        return self._of_text(node, at, "{}.upper()")

    def _of_text(self, node: Node, at: Context, shape: str) -> str | None:
        """A function of a text, and perhaps of a second that is written in the rule."""
        subject, *rest = node["children"]
        if not all(other["type"] == "literal" and isinstance(other["value"], str) for other in rest):
            return None
        value = self.value(subject, at)
        result = shape.format(value, *(self.constant(other["value"]) for other in rest))
        return self._set_plain(
            f"{result} if {value}.__class__ is str else None if {value} is None else {self._asking(node, at)}"
        )

    def _call_matches(self, node: Node, at: Context) -> str | None:
        return self._of_pattern(node, at, regex, "search")

    def _call_glob(self, node: Node, at: Context) -> str | None:
        return self._of_pattern(node, at, globbed, "fullmatch")

    def _of_pattern(self, node: Node, at: Context, compiled: Callable[[str], Any], how: str) -> str | None:
        subject, pattern = node["children"]
        if pattern["type"] != "literal" or not isinstance(pattern["value"], str):
            return None
        value = self.value(subject, at)
        found = f"{self.constant(getattr(compiled(pattern['value']), how))}({value}) is not None"
        plain = f"{value}.__class__ is str and {value}.isascii()"  # lone surrogates are the interpreter's business
        return self._set_plain(f"{found} if {plain} else None if {value} is None else {self._asking(node, at)}")

    def _call_in_list(self, node: Node, at: Context) -> str | None:
        subject, name = node["children"]
        values = self._expression.lists.get(name["value"]) if name["type"] == "literal" else None
        if values is None:
            return None
        value = self.value(subject, at)
        found = f"{value}.casefold() in {self.constant(values)}"
        return self._set_plain(
            f"{found} if {value}.__class__ is str else None if {value} is None else {self._asking(node, at)}"
        )

    def _call_contains(self, node: Node, at: Context) -> str | None:
        subject, searched = node["children"]
        texts = literal_texts(subject, at_root=at.root)
        if texts is not None:
            value = self.value(searched, at)
            return self._set_plain(f"{value}.__class__ is str and {value} in {self.constant(texts)}")
        if searched["type"] != "literal" or not isinstance(searched["value"], str):
            return None
        value = self.value(subject, at)
        found = f"{self.constant(searched['value'])} in {value}"
        fits = f"{value}.__class__ is str or {value}.__class__ is list"
        return self._set_plain(f"{found} if {fits} else None if {value} is None else {self._asking(node, at)}")

    def _call_length(self, node: Node, at: Context) -> str:
        value = self.value(node["children"][0], at)
        fits = " or ".join(f"{value}.__class__ is {kind}" for kind in ("list", "str", "dict"))
        return self._set(f"len({value}) if {fits} else None if {value} is None else {self._asking(node, at)}")

    def _call_to_string(self, node: Node, at: Context) -> str:
        value = self.value(node["children"][0], at)
        null = self.constant("null")
        return self._set_plain(
            f"{value} if {value}.__class__ is str else {null} if {value} is None else {self._asking(node, at)}"
        )


def _standing_at(path: str) -> Callable[[Any], View]:
    """A function of a value: an event that has it at *path*, and nothing else."""
    names = path.split(SEPARATOR)[::-1]

    def event(value: Any) -> View:
        for name in names:
            value = {name: value}
        return View(value)

    return event


def literal_texts(node: Node, *, at_root: bool) -> frozenset[str] | None:
    """The texts of a list that is written in the rule, as JSON or as ['a', 'b']; None if it is anything else."""
    if node["type"] == "literal" and isinstance(node["value"], list):
        items = node["value"]
    elif node["type"] == "multi_select_list" and at_root and all(c["type"] == "literal" for c in node["children"]):
        items = [child["value"] for child in node["children"]]
    else:
        return None
    return frozenset(items) if all(isinstance(item, str) for item in items) else None
