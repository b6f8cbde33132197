"""
In which order paths are read, and the groups of conjunctions that are made for that order.

A group has, for each reading, a table from the signature to a bit mask of the conjunctions that go on. Masks are joined
reading by reading until none is left; what no remaining conjunction asks about is never read, hence never decoded.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from engine.event import View
from engine.kinds import Schema, Token
from engine.kinds.decoder import UNREADABLE
from engine.matching.signatures import Reading, Signatures

Candidates = Callable[[View], Sequence[int]]
Bits = Sequence[tuple[Signatures, int]]  # the tests of a conjunction

_MAX_NAMES: Final = 4096  # that are remembered
_MAX_TEXT: Final = 512  # characters of a name that is remembered
_MAX_MASKS: Final = 1024  # signatures per group and reading
_MAX_ALL_MASKS: Final = 50_000


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
    quick: tuple[Any, ...]  # of each with one, in their order: who asks (0: nobody), about which bits, and who goes on


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
        unnamed = conjunctions.unnamed
        self._nameless = (self._group(unnamed),) if unnamed else ()

    def slowly(self, view: View) -> Sequence[int]:
        """The rules that *view* may match, or may break, in their order."""
        found: Sequence[int] = ()
        for group in self.groups_of(view):
            alive = self._alive(group, view, set())
            if alive:
                found = _numbers(group.rules, alive, found)
        return found

    def readings_of(self, view: View) -> set[Reading]:
        """The readings that `slowly` makes of *view*."""
        made: set[Reading] = set()
        for group in self.groups_of(view):
            self._alive(group, view, made)
        return made

    def _alive(self, group: Group, view: View, made: set[Reading]) -> int:
        """The conjunctions of *group* of which no test fails; the readings that it took are added to *made*."""
        alive = group.full
        for asked, reading, masks in self.steps(group):
            if alive & asked:
                made.add(reading)
                alive &= masks.going_on(reading.at(view))
        return alive

    def steps(self, group: Group) -> Iterable[tuple[int, Reading, Masks]]:
        """The readings that *group* asks for, each with who asks and who goes on."""
        for place, reading in enumerate(self._quick):
            if group.quick[3 * place]:
                yield group.quick[3 * place], reading, group.quick[3 * place + 2]
        yield from group.rest

    def groups_of(self, view: View) -> tuple[Group, ...]:
        """The groups whose conjunctions may hold for an event of *view*'s name."""
        name = view[self._known.name_path]
        if name is None:
            return self._nameless
        if name.__class__ is not str:  # the rules' business
            rules = self._conjunctions.rules
            return (Group(rules, (1 << len(rules)) - 1, (), (0, 0, None) * len(self._quick)),)
        groups = self._by_name.get(name)
        if groups is None:
            folded = name.casefold()
            groups = self._folded.get(folded)
            if groups is None:
                named = self._conjunctions.named.get(folded)
                groups = self._nameless if named is None else (self._group(named), *self._nameless)
                if named is not None:
                    self._folded[folded] = groups
            _remember(self._by_name, name, groups)
        return groups

    def _group(self, numbers: Iterable[int]) -> Group:
        conjunctions = [self._conjunctions.all[number] for number in numbers]
        full = (1 << len(conjunctions)) - 1
        tests: dict[Reading, dict[Signatures, list[int]]] = {}
        for place, (_, bits) in enumerate(conjunctions):
            for signatures, bit in bits:
                reading = self._reading_of[signatures]
                of_path = tests.setdefault(reading, {}).setdefault(signatures, [])
                of_path += (reading.offsets[signatures] + bit, place)
        masks = {reading: Masks(full, found, self._spend) for reading, found in tests.items()}
        quick: list[Any] = []
        for reading in self._quick:
            found = masks.get(reading)
            quick += (0, 0, None) if found is None else (found.asked, found.relevant, found)
        rest = tuple((masks[reading].asked, reading, masks[reading]) for reading in self._rest if reading in masks)
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
            "slowly": self.slowly, "unreadable": UNREADABLE, "numbers": _numbers,
        }  # fmt: skip
        lines = []
        for place, reading in enumerate(self._quick):
            constants[f"known{place}"] = reading.by_token
            constants[f"unknown{place}"] = reading.unknown
            lines += [
                f"if alive & quick[{3 * place}]:",
                f"  if signature{place} is None:",
                *(f"    {line}" for line in self._token_of(reading, name)),
                f"    signature{place} = known{place}.get(token)",
                f"    if signature{place} is None:",
                f"      signature{place} = unknown{place}(v, token)",
                f"  alive &= quick[{3 * place + 2}][signature{place} & quick[{3 * place + 1}]]",
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
            "            alive &= masks.going_on(reading.at(v))",
            "            if not alive:",
            "              break",
            "        if alive:",
            "          found = numbers(rules, alive, found)",
            "      return found",
            "    except AttributeError:",  # not decoded like that
            "      return otherwise(v)",
            "    except (TypeError, *unreadable):",  # a token that is no key; a part that had been skipped
            "      return slowly(v)",
            "  return candidates",
        ]
        namespace: dict[str, Any] = {}
        exec(compile("\n".join(source), "<index>", "exec"), namespace)  # noqa: S102 see above
        made: Candidates = namespace["made"](**constants)
        return made

    def _token_of(self, reading: Reading, name: Token) -> list[str]:
        if reading.rarely:
            lines = self._known.held([reading.source], rarely=True)
            return [*lines, f"token = {self._known.rarely(reading.source)}"]
        return [*self._known.held([reading.source], above=name.sources), f"token = {reading.source}"]

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
            for groups in (self._nameless, *list(self._folded.values())):
                for group in groups:
                    for _, _, masks in self.steps(group):
                        masks.forget()

    def _name_of(self, view: View, token: Any) -> tuple[Group, ...]:
        groups = self.groups_of(view)
        name = self._known.token(self._known.name_path)
        if token.__class__ is str and name is not None and name.determines(token):
            _remember(self._by_token, token, groups)
        return groups


class Masks(dict[int, int]):
    """
    From the signature of a reading, as far as the group asks about it, to the conjunctions that go on.

    Filled as signatures come. A new one is put together from those of its paths, which come again and again.
    """

    __slots__ = ("_full", "_parts", "_spend", "asked", "relevant")

    def __init__(self, full: int, tests: Mapping[Signatures, list[int]], spend: Callable[[], None]) -> None:
        """*tests* are, of each path, bits of the reading and with each the place of a conjunction that demands it."""
        super().__init__()
        self._full = full
        self._spend = spend  # called when a mask is remembered
        self.asked = self.relevant = 0
        parts: list[tuple[int, array[int], dict[int, int]]] = []
        for numbers in tests.values():
            relevant = 0
            for bit, place in zip(numbers[::2], numbers[1::2], strict=True):
                relevant |= 1 << bit
                self.asked |= 1 << place
            self.relevant |= relevant
            # Packed: there are many groups, and most are rarely looked at.
            parts.append((relevant, array("H" if max(numbers) < 2**16 else "L", numbers), {}))
        self._parts = tuple(parts)

    def going_on(self, signature: int) -> int:
        """The conjunctions that go on where the reading has that *signature*."""
        return self[signature & self.relevant]

    def forget(self) -> None:
        """Let go of everything that came of events."""
        self.clear()
        for _, _, known in self._parts:
            known.clear()

    def __missing__(self, signature: int) -> int:
        mask = self._full
        for relevant, tests, known in self._parts:
            of_part = signature & relevant
            fails = known.get(of_part)
            if fails is None:
                fails, numbers = 0, iter(tests)
                for bit, place in zip(numbers, numbers, strict=True):
                    if not of_part >> bit & 1:
                        fails |= 1 << place
                if len(known) < _MAX_MASKS:
                    self._spend()
                    known[of_part] = fails
            mask &= ~fails
        if len(self) >= _MAX_MASKS:
            self.clear()
        self._spend()
        self[signature] = mask
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
