"""What the events of one kind hold, as far as it is documented, and as far as the decode makes sure of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, cast

from engine.event import SEPARATOR
from engine.kinds import NORM_FIELDS, NORM_VALUES, Field, JsonType
from engine.strict_yaml import nearest

# Kinds whose decode gives every documented field its documented type, whatever the record held; CloudTrail's fields
# keep the type that they came with, so nothing can be proven from what is documented about them. Of `norm`, which we
# make ourselves, every kind keeps the types.
UNIFORM: Final = frozenset({"tencent.cloudaudit"})


@dataclass(frozen=True, slots=True)
class Schema:
    """
    The documented fields of a kind, by path; *below* holds the paths that have fields of their own.

    *certain* holds those whose type, closed values and presence the decode enforces: proofs rest on these alone.
    """

    fields: Mapping[str, Field]
    below: frozenset[str]
    certain: Mapping[str, Field] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Paths that hold the same text as another one: null where that is null or '', a text where it is no text."""

    @classmethod
    def of(
        cls, fields: Iterable[Field], *, uniform: bool = False, aliases: Mapping[str, str] = MappingProxyType({})
    ) -> Schema:
        """
        The schema of *fields* and `norm.*`; *uniform*: every field has its documented type in every event.

        *aliases* are those of `engine.kinds.Schema`.
        """
        known = {item.path: item for item in fields}
        for path, kind in NORM_FIELDS.items():
            known.setdefault(path, Field(path, cast("JsonType", kind), "", NORM_VALUES.get(path, ())))
        below = {path.rsplit(".", depth)[0] for path in known for depth in range(1, path.count(".") + 1)}
        certain = {path: replace(item, values=()) for path, item in known.items() if uniform}
        certain |= {path: replace(known[path], values=()) for path in NORM_FIELDS}
        certain |= {path: Field(path, "string", "", values, nullable=False) for path, values in NORM_VALUES.items()}
        dotted = {alias.replace(SEPARATOR, "."): path.replace(SEPARATOR, ".") for alias, path in aliases.items()}
        return cls(known, frozenset(below), certain, dotted)

    def knows(self, path: str) -> bool:
        return path in self.fields or path in self.below

    def open(self, path: str) -> bool:
        """Whether anything may stand below *path* (or below what it stands in)."""
        known = self.fields.get(path)
        return known is not None and (known.open or known.type in {"any", "array"})

    def may_hold(self, path: str) -> bool:
        """Whether an event is known that may have *path*: it is documented, or stands below what nobody documents."""
        if self.knows(path):
            return True
        above = path
        while not self.knows(above) and "." in above:
            above = above.rpartition(".")[0]
        known = self.fields.get(above)
        return known is not None and (self.open(above) or (known.type == "object" and above not in self.below))

    def without(self, paths: Iterable[str]) -> Schema:
        """The same with *paths* certain to be absent."""
        null = {path: Field(path, cast("JsonType", "null"), "") for path in paths}
        return replace(self, certain={**self.certain, **null})

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
        if len(same) == 1:
            return same[0]
        alike = [
            known for known, end in ends.items() if nearest(name, [end], cutoff=0.75)
        ]  # not only what it stands in
        return nearest(path, alike, cutoff=0.85)
