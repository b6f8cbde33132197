"""
What can be proven about conditions: that one never holds, that one always does, that one implies another.

A condition is taken apart at &&, || and ! into atoms: the comparisons, calls and bare paths between them. Against an
event each atom is true, false or broken (an error: the rule does not fire). A *world* is a set of atoms with their
outcomes; `worlds` gives all the worlds in which a condition has an outcome, and `conflict` says why one cannot be.

It is sound because it only ever takes too much for possible. Subjects (the parts of an event that atoms look at) are
taken to be independent of each other but for what is known, types and values count only where the decode enforces
them, and where a value can be tried, the interpreter that decides events tries it. So what is called impossible is
impossible; what is not may be so all the same. tests/laws/test_proofs.py holds it to that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from engine.expression import Lists, Node, children
from engine.functions import Network, parsed_address, wanted
from engine.lint.lengths import Bound, lengths_within
from engine.lint.networks import networks_of, nowhere
from engine.lint.schema import Schema
from engine.lint.terms import (
    Decider,
    Key,
    key,
    may_break,
    node_of,
    path_of,
    put,
    reads_event,
    strict,
    subjects,
    type_of,
    types,
)

MAX_LENGTHS: Final = 100  # that are tried
MAX_WORLDS: Final = 400  # of one condition; more are not looked at, and nothing is claimed

Outcome = str  # "true", "false", "broken"
_TURNED: Final[Mapping[Outcome, Outcome]] = {"true": "false", "false": "true", "broken": "broken"}


@dataclass(frozen=True, slots=True)
class Claim:
    """One atom with the outcome that it has in a world, its name, and its subjects by their names."""

    atom: Node
    outcome: Outcome
    name: Key
    about: tuple[tuple[Key, Node], ...]


World = Mapping[Key, Claim]


def claim_of(atom: Node, outcome: Outcome) -> Claim:
    """The claim that *atom* has this outcome; `a != b` is `a == b` with the other one, so that they are compared."""
    if atom["type"] == "comparator" and atom["value"] == "ne":
        return claim_of({**atom, "value": "eq"}, _TURNED[outcome])
    return Claim(atom, outcome, key(atom), tuple((key(subject), subject) for subject in subjects(atom)))


class TooMany(Exception):
    """The condition has more worlds than anybody wants to look at."""


class Prover:
    """Proves things about conditions against the events of one kind."""

    def __init__(self, schema: Schema, lists: Lists) -> None:
        self.schema = schema
        self.lists = lists
        self._decider = Decider(lists)
        # Conditions are compared with each other many times over. The nodes are kept, so that their ids stay theirs.
        self._possible: dict[int, tuple[Node, list[World]]] = {}
        self._worlds: dict[tuple[int, Outcome], tuple[Node, list[World] | None]] = {}
        self._left: dict[tuple[Key, frozenset[tuple[Key, Outcome]]], frozenset[str]] = {}

    # --- what is asked of it ------------------------------------------------------------------------------------------

    def never(self, node: Node) -> bool:
        """Whether no event satisfies *node*."""
        return self._none_possible(node, ("true",))

    def always(self, node: Node) -> bool:
        """Whether every event satisfies *node*, and none breaks it."""
        return self._none_possible(node, ("false", "broken"))

    def implies(self, narrow: Node, wide: Node) -> bool:
        """Whether every event that satisfies *narrow* satisfies *wide*."""
        try:
            left = self.possible(narrow)
            right = [world for outcome in ("false", "broken") for world in self.worlds(wide, outcome)]
        except TooMany:
            return False
        if len(left) * len(right) > 10 * MAX_WORLDS:
            return False
        return not any(self.agrees(one, other) for one in left for other in right)

    def together(self, *nodes: Node) -> bool:
        """Whether some event may satisfy all *nodes*; False only where none does."""
        try:
            sets = [self.possible(node) for node in nodes]
        except TooMany:
            return True
        if math.prod(map(len, sets)) > 10 * MAX_WORLDS:
            return True
        return any((world := _joined(choice)) is not None and self.conflict(world) is None for choice in product(*sets))

    def possible(self, node: Node) -> list[World]:
        """The worlds in which *node* is true and which are not shown to be impossible. Raises TooMany."""
        known = self._possible.get(id(node))
        if known is None:
            found = [world for world in self.worlds(node, "true") if self.conflict(world) is None]
            known = self._possible[id(node)] = node, found
        return known[1]

    def conflicts(self, node: Node) -> list[tuple[Claim, ...]]:
        """For each world in which *node* would be true, the claims in it that exclude each other. Raises TooMany."""
        return [found for world in self.worlds(node, "true") if (found := self.conflict(world)) is not None]

    def agrees(self, *worlds: World) -> bool:
        """Whether the worlds may be one; False only where they cannot."""
        whole = _joined(worlds)
        return whole is not None and self.conflict(whole) is None

    def outcome_of(self, atom: Node, values: Mapping[Key, Any]) -> Outcome:
        """The outcome of *atom* where each of its subjects has the given value."""
        return self._decider.outcome_of(atom, values)

    def of_nothing(self, node: Node) -> str:
        """The type of *node* where the event is empty, or "broken"."""
        return self._decider.type_of_nothing(node)

    def _none_possible(self, node: Node, outcomes: Iterable[Outcome]) -> bool:
        try:
            return all(self.conflict(world) is not None for outcome in outcomes for world in self.worlds(node, outcome))
        except TooMany:
            return False

    # --- worlds -------------------------------------------------------------------------------------------------------

    def worlds(self, node: Node, outcome: Outcome) -> list[World]:
        """Worlds that together cover every event against which *node* has this outcome. Raises TooMany."""
        known = self._worlds.get((id(node), outcome))
        if known is None:
            try:
                known = node, self._all_worlds(node, outcome)
            except TooMany:
                known = node, None
            self._worlds[id(node), outcome] = known
        if known[1] is None:
            raise TooMany
        return known[1]

    def _all_worlds(self, node: Node, outcome: Outcome) -> list[World]:
        kind = node["type"]
        if kind == "not_expression":
            return self.worlds(children(node)[0], _TURNED[outcome])
        if kind in {"and_expression", "or_expression"}:
            left, right = children(node)
            if outcome == ("true" if kind == "and_expression" else "false"):
                return self._both(left, right, outcome)
            return _capped([*self.worlds(left, outcome), *self.worlds(right, outcome)])
        if not reads_event(node):
            known = self._decider.outcome(node, key(node), "", None)
            return [{}] if known == outcome else []
        if outcome == "broken" and not may_break(node, self.schema):
            return []
        claim = claim_of(node, outcome)
        return [{claim.name: claim}]

    def _both(self, left: Node, right: Node, outcome: Outcome) -> list[World]:
        first, second = self.worlds(left, outcome), self.worlds(right, outcome)
        if len(first) * len(second) > 10 * MAX_WORLDS:
            raise TooMany
        return _capped([world for pair in product(first, second) if (world := _joined(pair)) is not None])

    # --- what a world may be ------------------------------------------------------------------------------------------

    def conflict(self, world: World) -> tuple[Claim, ...] | None:
        """The claims of *world* that exclude each other; None where no contradiction is found."""
        return self._conflict_of_each(world) or self._conflict_of_aliases(world)

    def _conflict_of_each(self, world: World) -> tuple[Claim, ...] | None:
        """As `conflict`, every path taken to be independent of those beside it."""
        about: dict[Key, tuple[Node, list[Claim]]] = {}
        for claim in world.values():
            for name, subject in claim.about:
                about.setdefault(name, (subject, []))[1].append(claim)
        left: dict[str, tuple[frozenset[str], list[Claim]]] = {}
        for name, (subject, claims) in about.items():
            kinds = self._kinds_left(name, subject, claims)
            if not kinds:
                return tuple(claims)
            path = path_of(subject)
            if path is not None:
                left[path] = kinds, claims
        for path, (kinds, claims) in left.items():
            if "null" in kinds:
                continue
            names = path.split(".")
            for depth in range(1, len(names)):  # what has a member is an object
                above = ".".join(names[:depth])
                kinds_above, claims_above = left.get(above, (self._documented(above), []))
                if "object" not in kinds_above:
                    return (*claims_above, *claims)
        return None

    def _conflict_of_aliases(self, world: World) -> tuple[Claim, ...] | None:
        """As `conflict`, of paths that hold the same text: norm.action is eventName, and null where that is empty."""
        for alias, path in self.schema.aliases.items():
            one, other = node_of(alias), node_of(path)
            of_alias, of_path = _about(world, key(one)), _about(world, key(other))
            if not of_alias or not of_path:
                continue
            if self._fits(None, key(one), of_alias) and any(self._fits(empty, key(other), of_path) for empty in _NONE):
                continue
            if self._shown_as_text(one, of_alias) and self._kinds_left(key(other), other, of_path) - {"null", "string"}:
                continue
            if not self._text_is_left(world, one, other):
                return (*of_path, *of_alias)
        return None

    def _shown_as_text(self, alias: Node, claims: list[Claim]) -> bool:
        """Whether *alias* may be the text of what is no text: JSON, as 5, true or {"a": 1} are."""
        texts = folded_texts(key(alias), claims, self.lists)
        if texts is not None and not any(map(_is_json, texts)):
            return False
        return "string" in self._kinds_left(key(alias), alias, claims)

    def _text_is_left(self, world: World, alias: Node, path: Node) -> bool:
        """Whether *path* may be a text that is not empty, and *alias* the same."""
        claims = [claim_of(put(claim.atom, key(alias), path), claim.outcome) for claim in world.values()]
        present = claim_of(path, "true")
        whole = _joined([{claim.name: claim} for claim in (*claims, present)])
        if whole is None or self._conflict_of_each(whole) is not None:
            return False
        return "string" in self._kinds_left(key(path), path, _about(whole, key(path)))

    def _documented(self, path: str) -> frozenset[str]:
        field = self.schema.certain.get(path)
        return frozenset({"object"} if field is None or field.type == "any" else {field.type})

    def _kinds_left(self, name: Key, subject: Node, claims: list[Claim]) -> frozenset[str]:
        """The types that the value of *subject* may have under *claims*, "broken" among them; none: impossible."""
        asked = name, frozenset((claim.name, claim.outcome) for claim in claims)
        found = self._left.get(asked)
        if found is None:
            found = self._left[asked] = self._kinds(name, subject, claims)
        return found

    def _kinds(self, name: Key, subject: Node, claims: list[Claim]) -> frozenset[str]:
        allowed = types(subject, self.schema)
        pinned = self._pinned(name, subject, claims)
        kinds = {kind for kind in allowed if self._kind_is_left(kind, name, subject, claims, pinned)}
        if may_break(subject, self.schema) and all(
            claim.outcome == "broken" or not strict(claim.atom, name) for claim in claims
        ):
            kinds.add("broken")
        return frozenset(kinds)

    def _kind_is_left(
        self, kind: str, name: Key, subject: Node, claims: list[Claim], pinned: tuple[Any, ...] | None
    ) -> bool:
        if kind in _SINGLE:
            return self._fits(_SINGLE[kind], name, claims)
        if pinned is not None:
            return any(
                self._fits(variant, name, claims)
                for value in pinned
                if type_of(value) == kind
                for variant in _variants(value)
            )
        if kind in _EMPTY and self._fits(_EMPTY[kind], name, claims):
            return True
        for claim in claims:
            known = _outcome_for(kind, claim.atom, name)
            if known is not None and known != claim.outcome:
                return False
            if claim.outcome == "broken" and not may_break(claim.atom, self.schema, {name: frozenset({kind})}):
                return False
        if kind in _EMPTY and self._no_length(key(_length_of(subject)), claims, least=1):
            return False
        if kind == "string":
            return not (_no_text(name, claims, self.lists) or _no_address(name, claims, self.lists))
        if kind in {"array", "number"} and _lists_contradict(name, claims, self.lists):
            return False
        if kind == "number":
            is_length = _is_call(subject, "length")
            ordered = is_length or path_of(subject) is not None  # the decode lets no NaN through; functions may give it
            return not (_no_number(name, claims, ordered=ordered) or (is_length and self._no_length(name, claims)))
        return True

    def _no_length(self, length: Key, claims: Iterable[Claim], *, least: int = 0) -> bool:
        """Whether no length from *least* on fits those *claims* that are about the length called so."""
        about = [claim for claim in claims if any(name == length for name, _ in claim.about)]
        if any(claim.outcome == "broken" for claim in about):
            return False
        lengths = lengths_within(_bounds(length, about, ordered=True), least=least)
        if lengths is None or len(lengths) > MAX_LENGTHS:
            return False
        return not any(self._fits(number, length, about) for number in lengths)

    def _fits(self, value: Any, name: Key, claims: list[Claim]) -> bool:
        return all(self._decider.outcome(claim.atom, claim.name, name, value) == claim.outcome for claim in claims)

    def _pinned(self, name: Key, subject: Node, claims: list[Claim]) -> tuple[Any, ...] | None:
        """All values that *subject* may have other than null, true and false; None where they cannot be listed."""
        found: list[Any] | None = None
        path = path_of(subject)
        field = self.schema.certain.get(path) if path is not None else None
        if field is not None and field.values:
            found = list(field.values)
        elif subject["type"] == "function_expression" and subject["value"] == "type":
            found = ["string", "number", "boolean", "array", "object", "null"]
        for claim in claims:
            values = _listed(claim, name)
            if values is not None:
                found = values if found is None else [value for value in found if _among(value, values)]
        if found is None:
            return None
        return tuple(value for value in found if _can_give(subject, value))


def _about(world: World, name: Key) -> list[Claim]:
    """The claims of *world* that are about the subject called *name*."""
    return [claim for claim in world.values() if any(about == name for about, _ in claim.about)]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text.lstrip("-") in {"inf", "nan"}  # how numbers without a JSON form are shown
    return True


_NONE: Final = (None, "")
_SINGLE: Final[Mapping[str, Any]] = {"null": None, "false": False, "true": True}
_EMPTY: Final[Mapping[str, Any]] = {"string": "", "array": [], "object": {}}


def _joined(worlds: Iterable[World]) -> World | None:
    """The world that all *worlds* make together; None where an atom would have two outcomes."""
    whole: dict[Key, Claim] = {}
    for world in worlds:
        for name, claim in world.items():
            if whole.setdefault(name, claim).outcome != claim.outcome:
                return None
    return whole


def _capped(worlds: list[World]) -> list[World]:
    if len(worlds) > MAX_WORLDS:
        raise TooMany
    return worlds


# --- what an atom says about its subject ------------------------------------------------------------------------------


def literal_side(node: Node) -> tuple[Node, Any, bool] | None:
    """Of a comparison with a literal: the other side, the literal's value, and whether the literal stands left."""
    if node["type"] != "comparator":
        return None
    left, right = node["children"]
    if right["type"] == "literal":
        return left, right["value"], False
    return (right, left["value"], True) if left["type"] == "literal" else None


def texts_of(node: Node) -> list[str] | None:
    """The texts in a list of literals, however it is written; None for anything else."""
    if node["type"] == "literal" and isinstance(node["value"], list):
        values = node["value"]
    elif node["type"] == "multi_select_list" and all(child["type"] == "literal" for child in node["children"]):
        values = [child["value"] for child in node["children"]]
    else:
        return None
    return values if all(isinstance(value, str) for value in values) else None


def _listed(claim: Claim, name: Key) -> list[Any] | None:
    """All values that the subject called *name* can have under *claim*, where it lists them; scalars only."""
    if claim.outcome != "true":
        return None
    atom = claim.atom
    compared = literal_side(atom)
    if compared is not None and atom["value"] == "eq" and key(compared[0]) == name:
        return None if isinstance(compared[1], list | dict) else [compared[1]]
    if atom["type"] == "function_expression" and atom["value"] == "contains" and key(atom["children"][1]) == name:
        return texts_of(atom["children"][0])
    return None


def _among(value: Any, values: list[Any]) -> bool:
    return any(type_of(value) == type_of(other) and value == other for other in values)


def _variants(value: Any) -> tuple[Any, ...]:
    """The values that equal *value* and may still be told apart: 1 and 1.0, 0.0 and -0.0."""
    if type_of(value) != "number":
        return (value,)
    found = [value]
    try:
        found += [int(value)] if int(value) == value else []
        found += [float(value)] if float(value) == value else []
    except (OverflowError, ValueError):
        pass
    return tuple(found) if value != 0 else (*found, -0.0)


def _can_give(subject: Node, value: Any) -> bool:
    """Whether a function can give this value at all: lower() gives no capitals, length() nothing below 0."""
    if subject["type"] != "function_expression":
        return True
    if subject["value"] == "length" and type_of(value) == "number":
        return bool(value >= 0 and value == math.floor(value))
    if not isinstance(value, str):
        return True
    if subject["value"] == "lower":
        return value == value.lower()
    return subject["value"] != "upper" or value == value.upper()


def _outcome_for(kind: str, atom: Node, name: Key) -> Outcome | None:
    """The outcome of *atom* for every value of *kind* (empty texts, arrays and objects apart), where it is the same."""
    if key(atom) == name:
        return "true"
    if atom["type"] == "comparator" and atom["value"] == "eq" and all(key(side) == name for side in children(atom)):
        return (
            "true" if path_of(children(atom)[0]) is not None else None
        )  # functions may give NaN, which equals nothing
    compared = literal_side(atom)
    if compared is not None and key(compared[0]) == name:
        return _compared(kind, atom["value"], compared[1])
    if _is_call(atom, "contains") and key(atom["children"][1]) == name and _never_in(kind, atom["children"][0]):
        return "false"
    return "broken" if _breaks_on(kind, atom, name) else None


def _is_call(node: Node, name: str) -> bool:
    return bool(node["type"] == "function_expression" and node["value"] == name)


def _length_of(node: Node) -> Node:
    return {"type": "function_expression", "value": "length", "children": [node]}


def _never_in(kind: str, node: Node) -> bool:
    """Whether a list of literals holds nothing of this kind; for numbers, true and false count as 1 and 0."""
    if node["type"] == "literal" and isinstance(node["value"], list):
        held = {type_of(value) for value in node["value"]}
    elif node["type"] == "multi_select_list" and all(child["type"] == "literal" for child in node["children"]):
        held = {type_of(child["value"]) for child in node["children"]}
    else:
        return False
    return not held & ({"number", "true", "false"} if kind == "number" else {kind})


def _compared(kind: str, operator: str, literal: Any) -> Outcome | None:
    other = type_of(literal)
    if operator in {"eq", "ne"}:
        return None if kind == other else ("false" if operator == "eq" else "true")
    if kind in {"array", "object"} or other not in {"string", "number"}:
        return "false"  # null: such values have no order
    return None if kind == other else "broken"


def _breaks_on(kind: str, node: Node, name: Key) -> bool:
    """Whether a function in *node* is given the subject itself, which must not be of this kind."""
    if node["type"] not in {"function_expression", "comparator", "not_expression"}:
        return False
    if node["type"] == "function_expression":
        arguments: list[Node] = node["children"]
        others_given = all(
            key(argument) == name
            or (argument["type"] == "literal" and argument["value"] is not None)
            or texts_of(argument) is not None
            for argument in arguments
        )
        for argument, allowed in zip(arguments, wanted(node["value"], len(arguments)), strict=False):
            plain = {word.split("-")[0] for word in allowed}
            if key(argument) == name and others_given and plain and kind not in plain:
                return True
    return any(_breaks_on(kind, child, name) for child in children(node))


# --- texts and numbers ------------------------------------------------------------------------------------------------


def _no_text(name: Key, claims: list[Claim], lists: Lists) -> bool:
    """Whether no text fits all *claims*: they want others without regard to case, or other parts of the text."""
    folded = folded_texts(name, claims, lists)
    return (folded is not None and not folded) or _parts_contradict(name, claims)


def folded_texts(name: Key, claims: Iterable[Claim], lists: Lists) -> frozenset[str] | None:
    """
    The texts, case-folded, that the subject called *name* can have if it is a text; None where that may be any.

    It rests on casefold(lower(x)) == casefold(x), which holds for every character of Unicode; upper() has no such law
    (a dotless i). What a text begins with, ends with or holds, its folded form does so folded: each character is folded
    by itself. An address has no letters but those of ASCII, and is the same folded.
    """
    claims = tuple(claims)
    wanted_texts: frozenset[str] | None = None
    excluded: set[str] = set()
    for claim in claims:
        values = _folded_by(claim, name, lists)
        if values is not None:
            wanted_texts = values if wanted_texts is None else wanted_texts & values
        atom = claim.atom
        if claim.outcome == "false" and _is_in_list(atom) and _folds_to(atom["children"][0], name):
            excluded |= lists.get(atom["children"][1]["value"], frozenset())
    if wanted_texts is None:
        return None
    fits = [test for claim in claims if (test := _part_wanted(claim, name) or _address_wanted(claim, name, lists))]
    return frozenset(text for text in wanted_texts - excluded if all(test(text) for test in fits))


_HAS_PART: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": str.__contains__,
}


def _part_wanted(claim: Claim, name: Key) -> Callable[[str], bool] | None:
    """Whether a folded text has the part that *claim* wants of the subject called *name*; None where it wants none."""
    atom = claim.atom
    if claim.outcome != "true" or atom["type"] != "function_expression" or atom["value"] not in _HAS_PART:
        return None
    subject, wanted_part = atom["children"]
    if wanted_part["type"] != "literal" or not isinstance(wanted_part["value"], str) or not _folds_to(subject, name):
        return None
    has, folded = _HAS_PART[atom["value"]], wanted_part["value"].casefold()
    return lambda text: has(text, folded)


def _address_wanted(claim: Claim, name: Key, lists: Lists) -> Callable[[str], bool] | None:
    """As _part_wanted, of in_cidr()."""
    if claim.outcome != "true" or not _is_call(claim.atom, "in_cidr") or key(claim.atom["children"][0]) != name:
        return None
    networks = networks_of(claim.atom["children"][1], lists)
    if networks is None:
        return None
    return lambda text: (found := parsed_address(text)) is not None and any(found in network for network in networks)


def _folded_by(claim: Claim, name: Key, lists: Lists) -> frozenset[str] | None:
    atom = claim.atom
    if claim.outcome != "true":
        return None
    if _is_in_list(atom) and _folds_to(atom["children"][0], name):
        return lists.get(atom["children"][1]["value"], frozenset())
    compared = literal_side(atom)
    if compared is not None and atom["value"] == "eq" and _folds_to(compared[0], name):
        return frozenset({compared[1].casefold()}) if isinstance(compared[1], str) else frozenset()
    if atom["type"] == "function_expression" and atom["value"] == "contains" and _folds_to(atom["children"][1], name):
        texts = texts_of(atom["children"][0])
        return None if texts is None else frozenset(text.casefold() for text in texts)
    return None


def _lists_contradict(name: Key, claims: list[Claim], lists: Lists) -> bool:
    """Whether a value of one list must be there, and none of a list that has all of these: one item decides both."""
    asked: dict[bool, list[frozenset[str]]] = {True: [], False: []}
    for claim in claims:
        atom = claim.atom
        if _is_in_list(atom) and key(atom["children"][0]) == name and atom["children"][1]["value"] in lists:
            asked[claim.outcome == "true"].append(lists[atom["children"][1]["value"]])
    return any(narrow <= wide for narrow in asked[True] for wide in asked[False])


def _is_in_list(atom: Node) -> bool:
    if atom["type"] != "function_expression" or atom["value"] != "in_list":
        return False
    return bool(atom["children"][1]["type"] == "literal")


def _folds_to(node: Node, name: Key) -> bool:
    """Whether *node* is the subject, or lower() or to_string() of it: the same text but for its case."""
    if key(node) == name:
        return True
    return (
        node["type"] == "function_expression"
        and node["value"] in {"lower", "to_string"}
        and _folds_to(node["children"][0], name)
    )


def _parts_contradict(name: Key, claims: list[Claim]) -> bool:
    parts: dict[tuple[str, Outcome], list[str]] = {}
    for claim in claims:
        atom = claim.atom
        if atom["type"] != "function_expression" or atom["value"] not in {"starts_with", "ends_with", "contains"}:
            continue
        subject, part = atom["children"]
        if key(subject) == name and part["type"] == "literal" and isinstance(part["value"], str):
            parts.setdefault((atom["value"], claim.outcome), []).append(part["value"])
    heads, tails = parts.get(("starts_with", "true"), []), parts.get(("ends_with", "true"), [])
    inside = [*heads, *tails, *parts.get(("contains", "true"), [])]
    return (
        any(not (a.startswith(b) or b.startswith(a)) for a in heads for b in heads)
        or any(not (a.endswith(b) or b.endswith(a)) for a in tails for b in tails)
        or any(a.startswith(b) for a in heads for b in parts.get(("starts_with", "false"), []))
        or any(a.endswith(b) for a in tails for b in parts.get(("ends_with", "false"), []))
        or any(b in a for a in inside for b in parts.get(("contains", "false"), []))
    )


def _no_address(name: Key, claims: list[Claim], lists: Lists) -> bool:
    """Whether no text is an address in all networks that it must be in, and in none that it must not."""
    inside: list[tuple[Network, ...]] = []
    outside: list[Network] = []
    for claim in claims:
        atom = claim.atom
        if not _is_call(atom, "in_cidr") or key(atom["children"][0]) != name:
            continue
        networks = networks_of(atom["children"][1], lists)
        if networks is not None and claim.outcome == "true":
            inside.append(networks)
        elif networks is not None and claim.outcome == "false":
            outside += networks
    return bool(inside) and nowhere(inside, outside)  # a text that is no address is in no network


def _bounds(name: Key, claims: Iterable[Claim], *, ordered: bool) -> Iterator[Bound]:
    """The bounds that *claims* set to the number called *name*; *ordered*: it is not NaN, which is in no bounds."""
    for claim in claims:
        compared = literal_side(claim.atom)
        if compared is None or key(compared[0]) != name or type_of(compared[1]) != "number":
            continue
        _, bound, literal_first = compared
        operator = claim.atom["value"]
        if literal_first:
            operator = _FROM_THE_OTHER_SIDE.get(operator, operator)
        if claim.outcome == "true":
            yield operator, bound
        elif claim.outcome == "false" and ordered and operator in _OPPOSITE:
            yield _OPPOSITE[operator], bound


_FROM_THE_OTHER_SIDE: Final[Mapping[str, str]] = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}
_OPPOSITE: Final[Mapping[str, str]] = {"lt": "gte", "lte": "gt", "gt": "lte", "gte": "lt"}


def _no_number(name: Key, claims: list[Claim], *, ordered: bool) -> bool:
    """Whether no number fits the bounds in *claims*; *ordered* as for `_bounds`."""
    low, high = -math.inf, math.inf
    open_low = open_high = False
    for operator, bound in _bounds(name, claims, ordered=ordered):
        if operator in {"gt", "gte"} and (bound > low or (bound == low and operator == "gt")):
            low, open_low = bound, operator == "gt"
        if operator in {"lt", "lte"} and (bound < high or (bound == high and operator == "lt")):
            high, open_high = bound, operator == "lt"
    return low > high or (low == high and (open_low or open_high))
