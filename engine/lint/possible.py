"""
A quick look at conditions before the proofs: most can be seen to be satisfiable, and need none.

Parts that read different paths do not exclude each other, so a conjunction of such parts can hold if each of them can;
and the parts of one rule are mostly those of many others. What is not seen here is left to `proof`; what is said to be
possible here is never found impossible there (tests/laws/test_proofs.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.expression import Expression, Node, children, part
from engine.lint.conditions import paths_read
from engine.lint.proof import Prover, literal_side, texts_of
from engine.lint.terms import path_of


class Possible:
    """Whether conditions are quickly seen to be satisfiable, as far as *prover* would know."""

    def __init__(self, prover: Prover) -> None:
        self._prover = prover
        self._known: dict[str, tuple[bool, frozenset[str] | None]] = {}

    def __call__(self, expression: Expression) -> bool:
        """False says nothing."""
        return self._look(expression.tree, expression.text)[0]

    def _look(self, node: Node, text: str) -> tuple[bool, frozenset[str] | None]:
        """Whether *node* is seen to be satisfiable, and the paths it reads, where they can be told."""
        if node["type"] in {"and_expression", "or_expression"}:
            (left, first), (right, second) = (self._look(child, text) for child in children(node))
            read = None if first is None or second is None else first | second
            if node["type"] == "or_expression":
                return left or right, read
            apart = first is not None and second is not None and _apart(first, second)
            return left and right and apart, read
        said = part(node, text) if "start" in node else ""
        found = self._known.get(said)
        if found is None or not said:
            possible = self._has_witness(node) or not self._prover.never(node)
            found = self._known[said] = (possible, self._paths(node))
        return found

    def _paths(self, node: Node) -> frozenset[str] | None:
        """The paths that *node* reads, by one name each."""
        paths, aliases = paths_read(node), self._prover.schema.aliases
        return None if paths is None else frozenset(aliases.get(path, path) for path in paths)

    def _has_witness(self, node: Node) -> bool:
        """Whether *node* plainly asks one path for a text that may stand there, or not for one where it may be null."""
        if node["type"] == "not_expression":
            subject, texts = _asked_for(children(node)[0], self._prover)
            path = path_of(subject) if subject is not None else None
            field = self._prover.schema.certain.get(path or "")
            return path is not None and any(texts) and (field is None or field.nullable)
        subject, texts = _asked_for(node, self._prover)
        path = path_of(subject) if subject is not None else None
        if path is None or not any(texts):
            return False
        certain = self._prover.schema.certain
        names = path.split(".")
        above = (certain.get(".".join(names[:depth])) for depth in range(1, len(names)))
        if any(field is not None and field.type not in {"object", "any"} for field in above):
            return False
        field = certain.get(path)
        return field is None or (field.type in {"string", "any"} and not field.values)


def _asked_for(node: Node, prover: Prover) -> tuple[Node | None, Iterable[str]]:
    """Of a part that holds for a text: what is asked, and texts for which it holds."""
    compared = literal_side(node)
    if compared is not None:
        return (compared[0], [compared[1]]) if node["value"] == "eq" and isinstance(compared[1], str) else (None, ())
    if node["type"] != "function_expression" or len(node["children"]) != 2:
        return None, ()
    first, second = node["children"]
    if node["value"] == "contains" and (texts := texts_of(first)) is not None:
        return second, texts
    if second["type"] != "literal" or not isinstance(second["value"], str):
        return None, ()
    if node["value"] == "in_list":
        return first, prover.lists.get(second["value"], ())
    return (first, [second["value"]]) if node["value"] in _ASKING_FOR_A_TEXT else (None, ())


_ASKING_FOR_A_TEXT: Final = frozenset({"contains", "starts_with", "ends_with", "in_cidr"})


def _apart(first: frozenset[str], second: frozenset[str]) -> bool:
    """Whether no path of one is a path of the other, or stands above or below one."""
    if first & second:
        return False
    return not any(one.startswith(f"{other}.") or other.startswith(f"{one}.") for one in first for other in second)
