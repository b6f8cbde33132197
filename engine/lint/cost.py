"""
Which conditions the index cannot leave out, asked of the matcher's own analysis (`engine.matching.conditions`), and
which part of them is to blame.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.expression import Expression, Node, children, excerpt, part, walk
from engine.kinds import schema
from engine.lint.reading import Finding, conjuncts
from engine.matching.conditions import Conjunction, may_raise, necessary
from engine.matching.reads import reads

_PATTERNS = frozenset({"matches", "glob"})


def cost(expression: Expression, kind: str) -> Iterator[Finding]:
    """
    Why every event of *kind* has to be decided, if it has to, or why the index has to try a pattern on every event:
    the part that stopped it, and what would help.
    """
    asked = _Asked(expression, kind)
    tree = expression.tree
    found = asked.necessary(tree, positive=True)
    start: int = tree.get("start", 0)
    if () in found:
        node, why, hint = asked.blamed(tree, positive=True)
        said = excerpt(part(node, expression.text), 60)
        message = f"this is decided for every event, because of {said}: {why}"
        yield Finding(int(node.get("start", start)), "costly", message, hint, error=False)
        return
    for conjunction in found:
        if all(map(_tries_pattern, (test.node for test in conjunction))):
            said = excerpt(part(conjunction[0].node, expression.text), 60)
            message = f"nothing but a pattern is necessary here, and it is tried on every event: {said}"
            hint = "say which events it is about, by eventName or in_list(eventName, …), beside it"
            if asked.shadows(tree):
                message += "; it can break, and what stands behind it is only reached if it does not"
                hint = f"put {said} last"
            yield Finding(int(conjunction[0].node.get("start", start)), "costly", message, hint, error=False)
            return


def _tries_pattern(node: Node) -> bool:
    return any(below["type"] == "function_expression" and below["value"] in _PATTERNS for below, _, _ in walk(node))


class _Asked:
    """One expression, and what the matcher says of its parts."""

    def __init__(self, expression: Expression, kind: str) -> None:
        self._expression = expression
        self._types = schema(kind).types

    def necessary(self, node: Node, *, positive: bool) -> tuple[Conjunction, ...]:
        """The conjunctions of which one must hold for *node* to be true, or, not *positive*, false."""
        if not positive:
            node = {"type": "not_expression", "children": [node]}
        return necessary(Expression(self._expression.text, node, self._expression.lists), self._types)

    def shadows(self, node: Node) -> bool:
        """Whether *node* begins with a pattern that can break, with something cheaper to look for behind it."""
        first, *behind = [one for one in conjuncts(node) if one["type"] != "and_expression"]
        return (
            _tries_pattern(first)
            and may_raise(first, self._types)
            and any(
                () not in found and not any(all(_tries_pattern(test.node) for test in tests) for tests in found)
                for found in (self.necessary(one, positive=True) for one in behind)
            )
        )

    def blamed(self, node: Node, *, positive: bool) -> tuple[Node, str, str]:
        """The smallest part of *node* that the index can do nothing with, why, and what would help."""
        kind = node["type"]
        if kind == "not_expression":
            return self.blamed(children(node)[0], positive=not positive)
        if kind not in {"and_expression", "or_expression"}:
            return node, *_about(node)
        parts = children(node)
        idle = [child for child in parts if () in self.necessary(child, positive=positive)]
        if (kind == "and_expression") is not positive:  # one of them is enough for the whole
            if idle:
                inner, why, hint = self.blamed(idle[0], positive=positive)
                return inner, why, f"{hint}; a condition beside one alternative does not help the other"
            return node, "it has more alternatives than an index can hold", "make a list of the values, and ask in_list"
        first = parts[0]
        if len(idle) < len(parts) and may_raise(first, self._types):
            said = excerpt(part(first, self._expression.text), 40)
            return first, "it can break, and what stands behind it is only reached if it does not", f"put {said} last"
        return self.blamed(idle[0], positive=positive)


def _about(node: Node) -> tuple[str, str]:
    """Why the index can do nothing with this part, and what would help."""
    beside = "say which events it is about beside it, by eventName == '…' or in_list(eventName, …)"
    paths = reads(node)
    if paths is None:
        return (
            "it reads the whole event, so that nothing of it can be left undecoded",
            "name the fields that it is about",
        )
    if not paths:
        return "it reads nothing of the event", beside
    return "it reads several fields at once, and the index looks at one at a time", beside
