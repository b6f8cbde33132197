"""What can be proven about one condition: that it never or always holds, that null makes it true."""

from __future__ import annotations

from collections.abc import Iterator

from engine.expression import Node, children, excerpt, part
from engine.lint.parts import CASES
from engine.lint.proof import Claim, Prover, TooMany, World, claim_of, folded_texts, literal_side
from engine.lint.reading import Finding, conjuncts
from engine.lint.terms import SHARES, key, node_of, path_of, reads_event, subjects


def truths_of_unknown(tree: Node, text: str, prover: Prover) -> Iterator[Finding]:
    """
    As `truths`, for conditions on fields that no event is known to have, taken to be absent: a typo behind "!" or "!=".
    """
    unknown = {path for path in paths_read(tree) or () if not prover.schema.may_hold(path)}
    if not unknown:
        return
    names = " and ".join(sorted(unknown))
    absent = Prover(prover.schema.without(unknown), prover.lists)
    for finding in truths(tree, text, absent):
        if finding.code == "always-holds":
            message = f"{finding.message}: {names} is in no event that is known, and null is not what it must not be"
            yield Finding(finding.offset, finding.code, message, "is the name right?", error=False)


def truths(tree: Node, text: str, prover: Prover) -> Iterator[Finding]:
    """The condition, or parts of it, that no event or every event satisfies."""
    if prover.never(tree):
        yield Finding(tree.get("start", 0), "never-holds", *_never(tree, text, prover))
        return
    if prover.always(tree):
        yield _always(tree, text)
        return
    yield from _parts(tree, text, prover, tree.get("start", 0))


def _always(tree: Node, text: str) -> Finding:
    start: int = tree.get("start", 0)
    for alone in _disjuncts(tree):
        if alone["type"] == "literal" and alone is not tree:  # eventName == 'A' || 'B'
            said = part(alone, text)
            message, hint = f"every event satisfies this: {said} is true by itself", f"compare it: … || … == {said}"
            return Finding(alone.get("start", start), "always-holds", message, hint, error=False)
    return Finding(start, "always-holds", "every event satisfies this", "say which events it is about", error=False)


def _disjuncts(node: Node) -> Iterator[Node]:
    if node["type"] != "or_expression":
        yield node
        return
    for child in children(node):
        yield from _disjuncts(child)


def _parts(node: Node, text: str, prover: Prover, offset: int) -> Iterator[Finding]:
    if node["type"] not in {"and_expression", "or_expression", "not_expression"}:
        return
    for child in children(node):
        at = child.get("start", offset)
        if child["type"] == "literal":
            continue
        said = excerpt(part(child, text), 60)
        if prover.never(child):
            hint = _never(child, text, prover)[1]
            yield Finding(at, "never-holds", f"no event satisfies this part: {said}", hint, error=False)
        elif prover.always(child):
            hint = "remove it, or correct it"
            yield Finding(at, "always-holds", f"every event satisfies this part: {said}", hint, error=False)
        else:
            yield from _parts(child, text, prover, at)


def _never(tree: Node, text: str, prover: Prover) -> tuple[str, str]:
    """Why no event satisfies *tree*, where there is one reason, and what to do about it."""
    message = "no event satisfies this condition"
    if not reads_event(tree):
        return f"{message}: it reads nothing of the event, and is false", "say what it asks of the event"
    for needed in conjuncts(tree):
        if not reads_event(needed) and prover.never(needed):
            return f"{message}: {excerpt(part(needed, text), 60)} reads nothing of the event, and is false", "remove it"
    try:
        reasons = prover.conflicts(tree)
    except TooMany:  # pragma: no cover - then nothing was proven
        reasons = []
    if not reasons:
        return f"{message}: it asks for something and for its opposite", "remove one of the two"
    if len(reasons) != 1:
        return message, "correct it, or remove what cannot be"
    claims = [_said(claim, text) for claim in reasons[0]]
    if len(claims) == 1:
        return f"{message}: {claims[0]} is impossible", _other_case(reasons[0][0].atom) or "correct it"
    return (
        f"{message}: {' and '.join(claims[:3])} exclude each other",
        "remove one of them, or join them with || if either is enough",
    )


def _other_case(atom: Node) -> str | None:
    """What was meant by `lower(eventName) == 'ConsoleLogin'`."""
    compared = literal_side(atom)
    if compared is None or compared[0]["type"] != "function_expression" or not isinstance(compared[1], str):
        return None
    case = CASES.get(compared[0]["value"])
    if case is None or case(compared[1]) == compared[1]:
        return None
    return f"write '{case(compared[1])}'"


def _said(claim: Claim, text: str) -> str:
    said = excerpt(part(claim.atom, text), 60) if "start" in claim.atom else "a part of it"
    return said if claim.outcome == "true" or "!=" in said else f"not {said}"


# --- null -------------------------------------------------------------------------------------------------------------


def nulls(tree: Node, text: str, prover: Prover) -> Iterator[Finding]:
    """Comparisons of two fields that hold where both are absent, and make the condition hold there."""
    pairs = [(node, start) for node, _, start in _at_root(tree, 0) if _compares_fields(node)]
    if not pairs:
        return
    try:
        worlds = prover.possible(tree)
    except TooMany:
        return
    for compared, start in pairs:
        node = {**compared, "value": "eq"}  # !(a != b) holds where they are equal, too
        left, right = (_innermost(child, prover) for child in node["children"])
        if left is None or right is None or key(left) == key(right):
            continue
        if not _holds_of_nulls(node, left, right, prover):
            continue
        both = _absent(left, right)
        if any(_allows(world, node, both, prover) for world in worlds):
            first, second = part(left, text), part(right, text)
            message = f"{first} and {second} may both be absent, and null equals null: this is true then, too"
            hint = f"add {first} && before it"
            yield Finding(start, "null-equality", message, hint, error=False)


def _compares_fields(node: Node) -> bool:
    return node["type"] == "comparator" and node["value"] in {"eq", "ne"} and all(map(reads_event, node["children"]))


def _at_root(node: Node, offset: int) -> Iterator[tuple[Node, None, int]]:
    """The parts of *node* that are read against the whole event, each with its place."""
    offset = node.get("start", offset)
    yield node, None, offset
    if node["type"] in SHARES:
        for child in children(node):
            yield from _at_root(child, offset)


def _innermost(node: Node, prover: Prover) -> Node | None:
    """The part of the event that decides *node*, if it is one that can be absent."""
    last = list(subjects(node))[-1]
    if path_of(last) is not None:
        return last
    return last if last["type"] in {"index_expression", "subexpression"} and prover.of_nothing(last) == "null" else None


def _holds_of_nulls(node: Node, left: Node, right: Node, prover: Prover) -> bool:
    return prover.outcome_of(node, {key(left): None, key(right): None}) == "true"


def _absent(*paths: Node) -> World:
    null: Node = {"type": "literal", "value": None, "children": []}
    atoms = [{"type": "comparator", "value": "eq", "children": [path, null]} for path in paths]
    return {claim.name: claim for claim in (claim_of(atom, "true") for atom in atoms)}


def _allows(world: World, node: Node, both: World, prover: Prover) -> bool:
    claim = world.get(key(node))
    if claim is None or claim.outcome != "true":
        return False
    return prover.agrees(world, both)


# --- names ------------------------------------------------------------------------------------------------------------


def event_names(tree: Node, prover: Prover) -> frozenset[str] | None:
    """The case-folded names of the events that can satisfy *tree*; None where they may be any."""
    paths = ["eventName", *(alias for alias, path in prover.schema.aliases.items() if path == "eventName")]
    keys = [key(node_of(path)) for path in paths]
    found: set[str] = set()
    try:
        for world in prover.possible(tree):
            names = [folded_texts(name, world.values(), prover.lists) for name in keys]
            known = [texts for texts in names if texts is not None]
            if not known:
                return None
            found |= frozenset.intersection(*known)
    except TooMany:
        return None
    return frozenset(found)


def paths_read(tree: Node) -> frozenset[str] | None:
    """The paths that *tree* reads of the event; None where it may read any."""
    found: set[str] = set()
    todo = [tree]
    while todo:
        node = todo.pop()
        path = path_of(node)
        if path is not None:
            found.add(path)
        elif node["type"] in SHARES:
            todo += [child for child in children(node) if child["type"] != "expref"]
        elif node["type"] in {"current", "identity"}:
            return None
        elif node["type"] not in {"literal", "expref"}:
            todo += children(node)[:1]
    return frozenset(found)
