"""
In which order paths are read, and the groups of conjunctions that are made for that order.

A group has, for each reading, a table from the signature to a bit mask of the conjunctions that go on. Masks are joined
reading by reading until none is left; what no remaining conjunction asks about is never read, hence never decoded.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from engine.event import View
from engine.kinds import Schema
from engine.matching.signatures import Reading, Signatures

Candidates = Callable[[View], Sequence[int]]
Bits = Sequence[tuple[Signatures, int]]  # the tests of a conjunction

_MAX_NAMES: Final = 4096  # that are remembered
_MAX_TEXT: Final = 512  # characters of a name that is remembered
_MAX_MASKS: Final = 1024  # signatures per group and reading
_MAX_ALL_MASKS: Final = 50_000
_FEW: Final = 64  # conjunctions without a name that join every group rather than be a group of their own


class Conjunctions(NamedTuple):
    """What rules demand: of each conjunction its rule and tests, and which conjunctions demand which name or none."""

    all: Sequence[tuple[int, Bits]]
    named: Mapping[str, Sequence[int]]  # by case-folded name
    unnamed: Sequence[int]
    rules: Sequence[int]


class Group(NamedTuple):
    """Conjunctions that are looked at together: their rules, a bit for each, and the readings that they ask for."""

    rules: Sequence[int]
    full: int
    rest: tuple[tuple[int, Reading, Masks], ...]  # of each reading without a source: who asks, and who goes on
    quick: tuple[Any, ...]  # of each with one, in their order: who asks (0 for nobody), and who goes on


class Arrangement:
    """An order of readings: some that have a source, then the others. Groups are made as events ask for them."""

    def __init__(
        self, known: Schema, conjunctions: Conjunctions, quick: Sequence[Reading], rest: Sequence[Reading]
    ) -> None:
        self._known = known
        self._conjunctions = conjunctions
        self._quick = tuple(quick)
        self._rest = tuple(rest)
        self._reading_of = {part: reading for reading in (*quick, *rest) for part in reading.parts}
        self._folded: dict[str, tuple[Group, ...]] = {}
        self._by_name: dict[str, tuple[Group, ...]] = {}
        self._by_token: dict[str, tuple[Group, ...]] = {}
        self._masks = 0
        self._nameless = self._groups(())

    def slowly(self, view: View) -> Sequence[int]:
        """The rules that *view* may match, or may break, in their order."""
        found: Sequence[int] = ()
        for group in self.groups_of(view):
            alive = group.full
            for asked, reading, masks in self.steps(group):
                if alive & asked:
                    alive &= masks[reading.at(view)]
                    if not alive:
                        break
            if alive:
                found = _numbers(group.rules, alive, found)
        return found

    def steps(self, group: Group) -> Iterable[tuple[int, Reading, Masks]]:
        """The readings that *group* asks for, each with who asks and who goes on."""
        for place, reading in enumerate(self._quick):
            if group.quick[2 * place]:
                yield group.quick[2 * place], reading, group.quick[2 * place + 1]
        yield from group.rest

    def groups_of(self, view: View) -> tuple[Group, ...]:
        """The groups whose conjunctions may hold for an event of *view*'s name."""
        name = view[self._known.name_path]
        if name is None:
            return self._nameless
        if name.__class__ is not str:  # the rules' business
            rules = self._conjunctions.rules
            return (Group(rules, (1 << len(rules)) - 1, (), (0, None) * len(self._quick)),)
        groups = self._by_name.get(name)
        if groups is None:
            folded = name.casefold()
            groups = self._folded.get(folded)
            if groups is None:
                named = self._conjunctions.named.get(folded)
                groups = self._nameless if named is None else self._groups(named)
                if named is not None:
                    self._folded[folded] = groups
            _remember(self._by_name, name, groups)
        return groups

    def _groups(self, named: Sequence[int]) -> tuple[Group, ...]:
        unnamed = self._conjunctions.unnamed
        together = [[*named, *unnamed]] if len(unnamed) <= _FEW else [named, unnamed]
        return tuple(self._group(numbers) for numbers in together if numbers)

    def _group(self, numbers: Iterable[int]) -> Group:
        conjunctions = [self._conjunctions.all[number] for number in numbers]
        full = (1 << len(conjunctions)) - 1
        tests: dict[Reading, list[tuple[int, int]]] = {}
        for place, (_, bits) in enumerate(conjunctions):
            for signatures, bit in bits:
                reading = self._reading_of[signatures]
                tests.setdefault(reading, []).append((reading.offsets[signatures] + bit, place))
        quick: list[Any] = []
        for reading in self._quick:
            masks = Masks(full, tests[reading], self._spend) if reading in tests else None
            quick += (0 if masks is None else masks.asked, masks)
        made = ((reading, Masks(full, tests[reading], self._spend)) for reading in self._rest if reading in tests)
        rest = tuple((masks.asked, reading, masks) for reading, masks in made)
        return Group(tuple(rule for rule, _ in conjunctions), full, rest, tuple(quick))

    def generated(self) -> Candidates:
        """
        A function that finds what `slowly` does.

        Its source holds names of this module and the sources of the kind's own schema; no text of a rule or event.
        """
        known = self._known
        name = known.token(known.name_path)
        if name is None:
            return self.slowly
        constants: dict[str, Any] = {
            "by_token": self._by_token, "name_of": self._name_of, "otherwise": self._otherwise,
            "slowly": self.slowly, "numbers": _numbers,
        }  # fmt: skip
        lines = []
        for place, reading in enumerate(self._quick):
            constants[f"known{place}"] = reading.by_token
            constants[f"unknown{place}"] = reading.unknown
            lines += [
                f"if alive & quick[{2 * place}]:",
                f"  if signature{place} is None:",
                *(f"    {line}" for line in known.held([reading.source], above=name.sources)),
                f"    token = {reading.source}",
                f"    signature{place} = known{place}.get(token)",
                f"    if signature{place} is None:",
                f"      signature{place} = unknown{place}(v, token)",
                f"  alive &= quick[{2 * place + 1}][signature{place}]",
                "  if not alive:",
                "    continue",
            ]
        source = [
            f"def made({', '.join(constants)}):",
            "  def candidates(v):",
            "    try:",
            *(f"      {line}" for line in known.held(name.sources)),
            f"      token = {name.sources[0]}",
            "      groups = by_token.get(token)",
            "      if groups is None:",
            "        groups = name_of(v, token)",
            "      found = ()",
            f"      {''.join(f'signature{place} = ' for place in range(len(self._quick)))}None",
            "      for rules, alive, rest, quick in groups:",
            *("        " + line for line in lines),
            "        for asked, reading, masks in rest:",
            "          if alive & asked:",
            "            alive &= masks[reading.at(v)]",
            "            if not alive:",
            "              break",
            "        if alive:",
            "          found = numbers(rules, alive, found)",
            "      return found",
            "    except AttributeError:",  # not decoded like that
            "      return otherwise(v)",
            "    except TypeError:",  # a token that is no key
            "      return slowly(v)",
            "  return candidates",
        ]
        namespace: dict[str, Any] = {}
        exec(compile("\n".join(source), "<index>", "exec"), namespace)  # noqa: S102 see above
        made: Candidates = namespace["made"](**constants)
        return made

    def _otherwise(self, view: View) -> Sequence[int]:
        """As `slowly`, with every reading made, so that the next event is decoded with all that they read."""
        for reading in self._quick:
            reading.prepare(view)
        return self.slowly(view)

    def _spend(self) -> None:
        """Note that a mask is remembered; at some number all are forgotten."""
        self._masks += 1
        if self._masks > _MAX_ALL_MASKS:
            self._masks = 0
            for groups in list(self._folded.values()):
                for group in groups:
                    for _, _, masks in self.steps(group):
                        masks.clear()

    def _name_of(self, view: View, token: Any) -> tuple[Group, ...]:
        groups = self.groups_of(view)
        name = self._known.token(self._known.name_path)
        if token.__class__ is str and name is not None and name.determines(token):
            _remember(self._by_token, token, groups)
        return groups


class Masks(dict[int, int]):
    """From the signature of a reading to the conjunctions of a group that go on; filled as signatures come."""

    __slots__ = ("_full", "_spend", "_tests", "asked")

    def __init__(self, full: int, tests: Sequence[tuple[int, int]], spend: Callable[[], None]) -> None:
        """*tests* are bits of the reading, each with the place of a conjunction that demands it."""
        super().__init__()
        self._full = full
        self._spend = spend  # called when a mask is remembered
        numbers = tuple(chain.from_iterable(tests))  # packed: there are many groups, and most are rarely looked at
        self._tests = array("H" if max(numbers) < 2**16 else "L", numbers)
        self.asked = 0
        for _, place in tests:
            self.asked |= 1 << place

    def __missing__(self, signature: int) -> int:
        fails, tests = 0, iter(self._tests)
        for bit, place in zip(tests, tests, strict=True):
            if not signature >> bit & 1:
                fails |= 1 << place
        if len(self) >= _MAX_MASKS:
            self.clear()
        self._spend()
        mask = self[signature] = self._full & ~fails
        return mask


def _numbers(rules: Sequence[int], alive: int, before: Sequence[int]) -> list[int]:
    """The rules of the conjunctions in *alive*, with those *before*, in order and once."""
    found = set(before)
    while alive:
        lowest = alive & -alive
        found.add(rules[lowest.bit_length() - 1])
        alive ^= lowest
    return sorted(found)


def _remember(known: dict[str, tuple[Group, ...]], name: str, groups: tuple[Group, ...]) -> None:
    if len(name) <= _MAX_TEXT:
        if len(known) >= _MAX_NAMES:
            known.clear()
        known[name] = groups
