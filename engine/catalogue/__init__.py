"""
The names of events that a cloud is known to record, per service, and the spellings under which one call appears.

The catalogue is never complete: services get new calls every week. An unknown name is doubtful, not wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Final

_FILES: Final[Mapping[str, str]] = {
    "tencent.cloudaudit": "tencent_cloudaudit.txt",
    "aws.cloudtrail": "aws_cloudtrail.txt",
}
# Where each call has one name, but for a date behind it: the plural is another call (GetParameters reads many), and so
# is the second version (EnableSecurityHubV2).
_ONE_NAME: Final = frozenset({"aws.cloudtrail"})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Event names of one kind: by service as spelled, and every spelling by its name in small letters."""

    kind: str
    services: Mapping[str, frozenset[str]]
    sensitive: frozenset[str]  # names that the vendor lists as sensitive
    spellings: Mapping[str, tuple[str, ...]] = field(repr=False)  # "createtopic" -> CreateTopic, createTopic
    homes: Mapping[str, frozenset[str]] = field(repr=False)  # "createtopic" -> cls
    stems: Mapping[tuple[str, str], tuple[str, ...]] = field(repr=False)  # (service, stem) -> names

    @property
    def one_name(self) -> bool:
        """Whether each call has one name, but for its case and a date behind it."""
        return self.kind in _ONE_NAME

    def knows(self, name: str) -> bool:
        """Whether an event has this name, in whatever case."""
        return name.lower() in self.spellings

    def doubles(self, name: str) -> tuple[str, ...]:
        """
        The other names that the same call of the same service has: in another case, in the plural, with a version.

        DeleteSnapshot and DeleteSnapshots, CreateTopic and createTopic, ModifyRecordBatch and ModifyRecordBatchV3,
        CreateFunction and CreateFunction20150331.
        """
        found = {
            other
            for service in self.homes.get(name.lower(), ())
            for other in self.stems.get((service, stem(name, one_name=self.one_name)), ())
            if other != name
        }
        return tuple(sorted(found))

    def spelled_too(self, name: str) -> list[str]:
        """The other spellings of *name* that differ from it only in case, and that a service has beside it."""
        others = [other for other in self.spellings.get(name.lower(), ()) if other != name]
        return [other for other in others if any({name, other} <= names for names in self.services.values())]

    def nearest(self, name: str, services: Iterable[str] = ()) -> str | None:
        """The known name most like *name*, of *services* if any are given."""
        from engine.strict_yaml import nearest  # noqa: PLC0415 only doubtful names need it

        known = [other for service in services for other in self.services.get(service, ())]
        folded = {other.lower(): other for other in sorted(known)}
        folded = folded or {lower: names[0] for lower, names in self.spellings.items()}
        lengths = range(len(name) - 4, len(name) + 5)
        near = nearest(name.lower(), sorted(other for other in folded if len(other) in lengths), cutoff=0.8)
        return None if near is None else folded[near]

    def nearest_part(self, part: str, *, end: bool = False) -> str | None:
        """The beginning of a known name, or, with *end*, the end of one, that is most like *part*."""
        from engine.strict_yaml import nearest  # noqa: PLC0415 only doubtful names need it

        lower = part.lower()
        found: dict[str, str] = {}
        for names in self.spellings.values():
            for length in range(max(1, len(part) - 1), len(part) + 2):
                piece = names[0][-length:] if end else names[0][:length]
                found.setdefault(piece.lower(), piece)
        near = nearest(lower, sorted(found), cutoff=0.8)
        return None if near is None else found[near]


@cache
def catalogue(kind: str) -> Catalogue | None:
    """The catalogue of a kind of event; None where there is none. Read once."""
    name = _FILES.get(kind)
    if name is None:
        return None
    return _read(kind, resources.files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines())


def _read(kind: str, lines: Iterable[str]) -> Catalogue:
    services: dict[str, frozenset[str]] = {}
    spellings: dict[str, list[str]] = {}
    homes: dict[str, set[str]] = {}
    sensitive: set[str] = set()
    stems: dict[tuple[str, str], list[str]] = {}
    for service, names in _rows(lines):
        plain = []
        for written in names:
            name = written.rstrip("!")
            plain.append(name)
            stems.setdefault((service, stem(name, one_name=kind in _ONE_NAME)), []).append(name)
            if name != written:
                sensitive.add(name)
            known = spellings.setdefault(name.lower(), [])
            if name not in known:
                known.append(name)
            homes.setdefault(name.lower(), set()).add(service)
        services[service] = frozenset(plain)
    return Catalogue(
        kind,
        services,
        frozenset(sensitive),
        {name: tuple(known) for name, known in spellings.items()},
        {name: frozenset(known) for name, known in homes.items()},
        {pair: tuple(known) for pair, known in stems.items()},
    )


def _rows(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    for line in lines:
        service, colon, names = line.partition(":")
        if colon and not line.startswith("#"):
            yield service.strip(), names.split()


_DATE: Final = re.compile(r"20\d{6}(v\d+)?$")
_VERSION: Final = re.compile(r"(V\d+|New|Ex)$")
_PLURAL: Final = re.compile(r"(?<=[a-z])(ies|s)(?=[A-Z]|$)")


def stem(name: str, *, lower: bool = True, one_name: bool = False) -> str:
    """
    *name* without what tells the spellings of one call apart: case (if *lower*), a date, and, unless calls have *one
    name*, plurals and a version at its end.
    """
    bare = _DATE.sub("", name)
    if not one_name:
        bare = _PLURAL.sub(lambda found: "y" if found[1] == "ies" else "", _VERSION.sub("", bare))
    return bare.lower() if lower else bare
