"""
Names of events in conditions and lists: those that no service is known to have, or that are known under other
spellings too, which the condition leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from engine.catalogue import Catalogue, stem
from engine.expression import Lists, Node, children, item_start, walk
from engine.lint.parts import CASES, HAS_PART
from engine.lint.proof import literal_side, texts_of
from engine.lint.reading import Finding
from engine.lint.terms import path_of

_NAME_PATHS: Final = frozenset({"eventName", "norm.action"})
_SERVICE_PATHS: Final = frozenset({"norm.service", "resourceType", "eventSource"})
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_SAME_VERB: Final = {"update": "modify"}  # the older API of CloudAudit updates what the newer one modifies
UNSEEN: Final = "is the name right? If you have seen it, say so in an ignore"
_FEW: Final = 12  # a list of more names is a topic, not the spellings of one call


@dataclass(frozen=True, slots=True)
class _Asked:
    """How a condition reads the event's name: `lower(eventName)` is its path in one case."""

    path: str
    case: str | None  # "lower", "upper", or None: as it is

    def __str__(self) -> str:
        return f"{self.case}({self.path})" if self.case else self.path

    def cased(self, name: str) -> str:
        """*name* as this reads it."""
        return CASES[self.case](name) if self.case else name


@dataclass(frozen=True, slots=True)
class _Named:
    """A name that a condition tests for."""

    name: str
    offset: int
    wanted: bool  # not under a "!" nor beside "!="
    asked: _Asked
    alone: bool  # compared by itself, not one of a list

    @property
    def exact(self) -> bool:
        """Whether small and capital letters count: eventName == 'X'."""
        return self.asked.case is None


def findings(tree: Node, known: Catalogue, lists: Lists) -> Iterator[Finding]:
    """What is doubtful about the event names that an expression over a whole event tests for."""
    named = list(_named(tree))
    services = frozenset(_services(tree))
    covered = _Covered.by(tree, named, lists)
    yield from _parts_of_names(tree, known)
    yield from _unknown_parts(tree, known)
    for item in named:
        if not item.name:
            continue
        if not known.knows(item.name):
            yield _unknown(item, known, services)
            continue
        yield from _elsewhere(item, known, services)
        yield from _left_out(item, known, lists, covered)


@dataclass(frozen=True, slots=True)
class _Covered:
    """The names that a condition tests for anywhere: whatever their case, and as they are written."""

    folded: frozenset[str]
    exact: frozenset[str]
    any_case: frozenset[str]  # those of *folded* that are tested for in every case

    @classmethod
    def by(cls, tree: Node, named: Iterable[_Named], lists: Lists) -> _Covered:
        named = list(named)
        listed = frozenset().union(*(lists.get(name, frozenset()) for name in _lists_asked(tree)))
        any_case = listed | {item.name.lower() for item in named if not item.exact}
        exact = frozenset(item.name for item in named if item.exact and item.wanted)
        return cls(listed | {item.name.lower() for item in named}, exact, any_case)

    def spelled(self, name: str) -> bool:
        """Whether *name* is tested for in just this spelling."""
        return name in self.exact or name.lower() in self.any_case


def _parts_of_names(tree: Node, known: Catalogue) -> Iterator[Finding]:
    """contains(eventName, 'ConsoleLogin'): the whole of a name as a part of one."""
    for node, _, start in walk(tree):
        if not _is_call(node, "contains"):
            continue
        first, second = node["children"]
        asked, name = _asked(first), second.get("value")
        if asked is None or second["type"] != "literal" or not isinstance(name, str):
            continue
        if known.knows(name) and not _versioned(name, known):
            message = f"'{name}' is the whole name of an event, and this asks for names that contain it"
            yield Finding(start, "contains-equality", message, f"write {asked} == '{name}'", error=False)


def _versioned(name: str, known: Catalogue) -> bool:
    """Whether the call is also recorded with a date behind its name, so that a part of it is rightly asked for."""
    return any(double.startswith(name) and double[len(name)].isdigit() for double in known.doubles(name))


_WORDS: Final[Mapping[str, str]] = {"starts_with": "begins with", "ends_with": "ends with", "contains": "contains"}


def _unknown_parts(tree: Node, known: Catalogue) -> Iterator[Finding]:
    """starts_with(eventName, 'Delet_'): a part that no known name has, or a pattern that none fits."""
    for node, _, start in walk(tree):
        if node["type"] != "function_expression" or node["value"] not in HAS_PART or len(node["children"]) != 2:
            continue
        first, second = node["children"]
        asked, text = _asked(first), second.get("value")
        if asked is None or second["type"] != "literal" or not isinstance(text, str):
            continue
        has = HAS_PART[node["value"]]
        names = (asked.cased(name) for names in known.spellings.values() for name in names)
        if not any(has(name, text) for name in names):
            message = f"no event is known whose name {_WORDS.get(node['value'], 'fits')} '{text}'"
            hint = _part_meant(node["value"], asked, text, known)
            yield Finding(second.get("start", start), "unknown-event", message, hint, error=False)


def _part_meant(function: str, asked: _Asked, text: str, known: Catalogue) -> str | None:
    """What to write where no known name has this part: the same in another case, or what is most like it."""
    has = HAS_PART[function]
    if function == "matches":
        other = any(has(name, f"(?i){text}") for name in known.spellings)
        return f"case counts here: write '(?i){text}'" if other else None
    if any(has(name, text.lower()) for name in known.spellings):
        if asked.case:
            return f"write '{asked.cased(text)}'"
        return f"case counts here: ask lower({asked.path}) for the text in small letters"
    if function not in {"starts_with", "ends_with"}:
        return None
    near = known.nearest_part(text, end=function == "ends_with")
    return None if near is None else f"did you mean '{asked.cased(near)}'?"


def unknown_values(values: Iterable[str], known: Catalogue) -> Iterator[tuple[str, str | None]]:
    """The names in a list of events that no service is known to have, each with the nearest that one has."""
    for value in values:
        if not known.knows(value):
            yield value, known.nearest(value)


def doubles_missing(value: str, values: Iterable[str], known: Catalogue) -> list[str]:
    """The other names of the call *value* that a list of events leaves out; none where each call has one name."""
    if known.one_name or not known.knows(value):
        return []
    have = {other.lower() for other in values}
    found = {double for name in known.spellings[value.lower()] for double in known.doubles(name)}
    return sorted(double for double in found if double.lower() not in have)


def lists_of_events(tree: Node) -> Iterator[str]:
    """The lists that an expression looks the names of events up in."""
    for node, _, _ in walk(tree):
        if _is_call(node, "in_list") and _asked(node["children"][0]) is not None:
            name = node["children"][1].get("value")
            if isinstance(name, str):
                yield name


_lists_asked = lists_of_events


def _unknown(item: _Named, known: Catalogue, services: frozenset[str]) -> Finding:
    if (meant := _several_meant(item)) is not None:
        message = f"no event is called '{item.name}', and {'==' if item.alone else 'a list'} knows no patterns"
        return Finding(item.offset, "unknown-event", message, meant, error=False)
    near = known.nearest(item.name, services)
    where = f" of {', '.join(sorted(services))}" if services and near else ""
    message = f"no event{where} is known to be called '{item.name}'"
    hint = f"did you mean '{item.asked.cased(near)}'?" if near else UNSEEN
    return Finding(item.offset, "unknown-event", message, hint, error=False)


def _several_meant(item: _Named) -> str | None:
    """What was meant by a name that looks like several: 'Delete*', 'CreateUser|DeleteUser'."""
    names = [name.strip() for name in re.split(r"[|,]", item.name)]
    if len(names) > 1 and all(name.isalnum() for name in names):
        every = ", ".join(f"'{name}'" for name in names)
        return f"write contains([{every}], {item.asked})"
    return f"write glob({item.asked}, '{item.name}')" if "*" in item.name or "?" in item.name else None


def _elsewhere(item: _Named, known: Catalogue, services: frozenset[str]) -> Iterator[Finding]:
    homes = known.homes[item.name.lower()]
    if services and not services & homes and services <= known.services.keys():
        message = f"'{item.name}' is an event of {', '.join(sorted(homes))}, not of {', '.join(sorted(services))}"
        near = known.nearest(item.name, services)
        yield Finding(item.offset, "unknown-event", message, f"did you mean '{near}'?" if near else None, error=False)


def _left_out(item: _Named, known: Catalogue, lists: Lists, covered: _Covered) -> Iterator[Finding]:
    same = known.spellings[item.name.lower()]
    path = item.asked.path
    if item.exact and item.name not in same:
        message = f"the event is known as {same[0]}: '{item.name}' differs in case, and == tells case apart"
        yield Finding(item.offset, "event-spelling", message, _in_any_case(item), False)
        return
    if not item.wanted:
        return
    # What another service calls nearly the same is another call.
    others = [name for name in known.spelled_too(item.name) if not covered.spelled(name)] if item.exact else []
    if others:
        message = f"'{item.name}' is also recorded as {', '.join(others)}, which this leaves out"
        yield Finding(item.offset, "event-spelling", message, _in_any_case(item), False)
        return
    names = {item.name, *same}
    doubles = {double for name in names for double in known.doubles(name)}
    missing = sorted(double for double in doubles if double.lower() not in covered.folded)
    home = _list_with(same[0], lists, known)
    if home is not None and not lists[home] <= covered.folded:
        also = sorted(lists[home] - covered.folded)
        shown = ", ".join(also[:3]) + (", …" if len(also) > 3 else "")
        message = f"'{item.name}' is one of the calls in the list '{home}'; this leaves out {shown}"
        yield Finding(item.offset, "event-alias", message, f"write in_list({path}, '{home}')", error=False)
    elif missing:
        every = ", ".join(f"'{name.lower()}'" for name in [item.name, *missing])
        message = f"'{item.name}' is also known as {', '.join(missing)}, which this leaves out"
        hint = f"write contains([{every}], lower({path})), or make a list of them"
        yield Finding(item.offset, "event-alias", message, hint, error=False)


def _in_any_case(item: _Named) -> str:
    if not item.alone:
        return f"ask lower({item.asked.path}), and write '{item.name.lower()}'"
    return f"write lower({item.asked.path}) {'==' if item.wanted else '!='} '{item.name.lower()}'"


def _list_with(name: str, lists: Lists, known: Catalogue) -> str | None:
    """
    The smallest list that has this name and is called like it: that of the names of one call, not of a topic. A list
    that has names of another cloud is none of this one.
    """
    homes = [
        (len(values), home)
        for home, values in lists.items()
        if name.casefold() in values
        and 1 < len(values) <= _FEW
        and _called_like(home.removeprefix(f"{known.kind.partition('.')[0]}_"), name)
        and all(map(known.knows, values))
        and (not known.one_name or {stem(value) for value in values} == {stem(name)})
    ]
    return min(homes)[1] if homes else None


def _called_like(home: str, name: str) -> bool:
    """`create_access_key` is called like CreateApiKey: the same verb, and most of the words."""
    words = [_SAME_VERB.get(word.lower(), word.lower()) for word in _WORD.findall(stem(name, lower=False))]
    others = [_SAME_VERB.get(word, word) for word in home.lower().split("_")]
    shared = set(words) & set(others)
    return words[:1] == others[:1] and len(shared) >= 2 and 2 * len(shared) >= len(set(others))


# --- where names stand ------------------------------------------------------------------------------------------------


def _named(node: Node, offset: int = 0, *, wanted: bool = True) -> Iterator[_Named]:
    offset = node.get("start", offset)
    if node["type"] == "not_expression":
        yield from _named(children(node)[0], offset, wanted=not wanted)
        return
    compared = literal_side(node)
    if compared is not None and node["value"] in {"eq", "ne"} and isinstance(compared[1], str):
        asked = _asked(compared[0])
        if asked is not None:
            literal = next(child for child in children(node) if child["type"] == "literal")
            meant = wanted == (node["value"] == "eq")
            yield _Named(compared[1], literal.get("start", offset), meant, asked, alone=True)
        return
    if _is_call(node, "contains"):
        first, second = node["children"]
        asked, texts = _asked(second), texts_of(first)
        if asked is not None and texts is not None:
            for index, text in enumerate(texts):
                start = item_start(first, index)
                yield _Named(text, offset if start is None else start, wanted, asked, alone=False)
            return
    if node["type"] in {"and_expression", "or_expression"}:
        for child in children(node):
            yield from _named(child, offset, wanted=wanted)


def _asked(node: Node) -> _Asked | None:
    """How *node* reads the event's name; None where it does not."""
    if node["type"] == "function_expression" and node["value"] in CASES:
        inner = path_of(node["children"][0])
        return _Asked(inner, node["value"]) if inner in _NAME_PATHS else None
    path = path_of(node)
    return _Asked(path, None) if path in _NAME_PATHS else None


def _services(node: Node) -> Iterator[str]:
    """The services that a condition asks for, where it names any at its top."""
    if node["type"] == "and_expression":
        for child in children(node):
            yield from _services(child)
    compared = literal_side(node)
    if compared is not None and node["value"] == "eq" and isinstance(compared[1], str):
        side = compared[0]
        inner = side["children"][0] if _is_call(side, "lower", 1) else side
        if path_of(inner) in _SERVICE_PATHS:
            yield compared[1].lower().removesuffix(".amazonaws.com")


def _is_call(node: Node, name: str, arguments: int = 2) -> bool:
    return node["type"] == "function_expression" and node["value"] == name and len(node["children"]) == arguments
