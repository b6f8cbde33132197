"""
In which order paths are read, and the groups of conjunctions that are made for that order.

A group has, for each reading, a table from the signature to a bit mask of the conjunctions that go on. Masks are joined
reading by reading until none is left; what no remaining conjunction asks about is never read, hence never decoded.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from engine.event import Seen, View
from engine.kinds import Schema
from engine.kinds.decoder import UNREADABLE
from engine.matching.signatures import Reading, Signatures

Candidates = Callable[[Seen], Sequence[int]]
Bits = Sequence[tuple[Signatures, int]]  # the tests of a conjunction

_MAX_NAMES: Final = 4096  # that are remembered
_MAX_TEXT: Final = 512  # characters of a name that is remembered
_MAX_LED: Final = 8192  # names, each with what was read together with it
_MAX_MASKS: Final = 1024  # signatures per group and reading
_MAX_ALL_MASKS: Final = 50_000
_FEW_ALIVE: Final = 32  # conjunctions
_MANY: Final = 64  # tests on one path: from so many on they are looked up by the bits of a signature


class Conjunctions(NamedTuple):
    """What rules demand: of each conjunction its rule and tests, and which conjunctions demand which name or none."""

    all: Sequence[tuple[int, Bits]]
    named: Mapping[str, Sequence[int]]  # by case-folded name
    unnamed: Sequence[int]
    rules: Sequence[int]


class Step(NamedTuple):
    """A reading that a group asks for."""

    asked: int  # who asks
    relevant: int  # about which bits of the signature
    others: int  # everybody else: who goes on where none of these bits is set
    masks: Masks
    read: Callable[[Seen], int]  # the signature that there is
    place: int  # of the reading


class Group(NamedTuple):
    """Conjunctions that are looked at together: their rules, a bit for each, and the readings that they ask for."""

    rules: Sequence[int]
    full: int
    steps: tuple[Step, ...]
    numbers: Sequence[int]  # of the conjunctions


class _After(NamedTuple):
    """What is left of a group after the lead."""

    group: Group | None  # None: nobody
    settled: bool  # whether it asks no more than those who go on do


class Arrangement:
    """An order of readings: some that have a source, then the others. Groups are made as events ask for them."""

    def __init__(
        self, known: Schema, conjunctions: Conjunctions, quick: Sequence[Reading], rest: Sequence[Reading]
    ) -> None:
        self._known = known
        self._conjunctions = conjunctions
        self._quick = tuple(quick)
        self._readings = (*quick, *rest)
        self._where = {  # of the signatures of a path: the place of their reading, and of their first bit in it
            part: (place, offset)
            for place, reading in enumerate(self._readings)
            for part, offset in reading.offsets.items()
        }
        self._lead: Reading | None = None  # the reading that is made together with the event's name
        self._read: list[Callable[[Seen], int]] = [partial(_at, reading) for reading in self._readings]
        self._folded: dict[str, tuple[Group, ...]] = {}
        self._by_name: dict[str, tuple[Group, ...]] = {}
        self._by_named: dict[str, tuple[Group, ...]] = {}  # by what stands for the name
        self._by_token: dict[Any, tuple[Group, ...]] = {}  # as `Reading.by_token`, the name's own first
        self._living: dict[tuple[int, int], _After] = {}  # by the id of a group and who of it goes on after the lead
        self._masks = 0
        unnamed = conjunctions.unnamed
        self._nameless = (self._group(unnamed),) if unnamed else ()

    def slowly(self, seen: Seen) -> Sequence[int]:
        """The rules that what the kind has *seen* may match, or may break, in their order."""
        view = seen.view
        found: Sequence[int] = ()
        for group in self.groups_of(view):
            alive = self._alive(group, view, set())
            if alive:
                found = _numbers(group.rules, alive, found)
        return found

    def dissolve(self) -> None:
        """Let go of all groups, once nobody asks any more: each knows of its arrangement, so they would stay."""
        self._folded.clear()
        self._by_name.clear()
        self._by_named.clear()
        self._by_token.clear()
        self._living.clear()
        self._nameless = ()

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
        return ((step.asked, self._readings[step.place], step.masks) for step in group.steps)

    def groups_of(self, view: View) -> tuple[Group, ...]:
        """The groups whose conjunctions may hold for an event of *view*'s name."""
        name = view[self._known.name_path]
        if name is None:
            return self._nameless
        if name.__class__ is not str:  # the rules' business
            rules = self._conjunctions.rules
            return (Group(rules, (1 << len(rules)) - 1, (), ()),)
        groups = self._by_name.get(name)
        if groups is None:
            folded = name.casefold()
            groups = self._folded.get(folded)
            if groups is None:
                named = self._conjunctions.named.get(folded)
                groups = self._nameless if named is None else (self._group(named), *self._nameless)
                if named is not None:
                    self._folded[folded] = groups
            if len(name) <= _MAX_TEXT:
                if len(self._by_name) >= _MAX_NAMES:
                    self._by_name.clear()
                self._by_name[name] = groups
        return groups

    def _group(self, numbers: Sequence[int]) -> Group:
        conjunctions = [self._conjunctions.all[number] for number in numbers]
        full = (1 << len(conjunctions)) - 1
        tests: dict[int, dict[Signatures, list[int]]] = {}
        for bit_of_it, (_, bits) in enumerate(conjunctions):
            for signatures, bit in bits:
                place, offset = self._where[signatures]
                of_path = tests.setdefault(place, {}).setdefault(signatures, [])
                of_path += (offset + bit, bit_of_it)
        steps = []
        for place in sorted(tests):
            masks = Masks(full, tests[place], self._spend)
            steps.append(Step(masks.asked, masks.relevant, full & ~masks.asked, masks, self._read[place], place))
        return Group(tuple(rule for rule, _ in conjunctions), full, tuple(steps), numbers)

    def generated(self) -> Candidates:
        """
        A function that finds what `slowly` does.

        The name and the first reading, if most events come to it, are looked at together: most groups have few left
        after that, or nobody.

        Its source holds names of this module and the sources of the kind's own schema; no text of a rule or event.
        """
        known = self._known
        name = known.token(known.name_path)
        if name is None:
            return self._otherwise
        if self._quick and not self._quick[0].rarely:
            self._lead = self._quick[0]
        constants: dict[str, Any] = {
            "by_token": self._by_token, "led_by": self._led_by, "otherwise": self._otherwise, "slowly": self.slowly,
            "unreadable": UNREADABLE, "numbers": _numbers, **known.helpers,
        }  # fmt: skip
        readers = []
        for place, reading in enumerate(self._quick):
            constants[f"known{place}"] = reading.by_token
            constants[f"unknown{place}"] = reading.unknown
            readers += [
                f"def read{place}(v):",
                *(f"  {line}" for line in self._token_of(reading)),
                f"  signature = known{place}.get(token)",
                f"  return unknown{place}(v.view, token) if signature is None else signature",
            ]
        sources = name.sources if self._lead is None else (*name.sources, *self._lead.with_types)
        source = [
            f"def made({', '.join(constants)}):",
            *(f"  {line}" for line in readers),
            "  def candidates(v):",
            "    try:",
            *(f"      {line}" for line in known.held(sources)),
            f"      token = {sources[0]}" if self._lead is None else f"      token = ({', '.join(sources)})",
            "      groups = by_token.get(token)",
            "      if groups is None:",
            "        groups = led_by(v.view, token)",
            "      found = ()",
            "      for rules, alive, steps, _ in groups:",
            "        for asked, relevant, others, masks, read, _ in steps:",
            "          if alive & asked:",
            "            signature = read(v) & relevant",
            "            alive &= masks[signature] if signature else others",
            "            if not alive:",
            "              break",
            "        else:",
            "          found = numbers(rules, alive, found)",
            "      return found",
            "    except AttributeError:",  # not decoded like that
            "      return otherwise(v)",
            "    except (TypeError, *unreadable):",  # a token that is no key; a part that had been skipped
            "      return slowly(v)",
            f"  return candidates, ({''.join(f'read{place}, ' for place in range(len(self._quick)))})",
        ]
        namespace: dict[str, Any] = {}
        exec(compile("\n".join(source), "<index>", "exec"), namespace)  # noqa: S102 see above
        made: Candidates
        made, quick = namespace["made"](**constants)
        self._read = [*quick, *self._read[len(quick) :]]
        nameless = bool(self._nameless)
        self.dissolve()
        self._nameless = (self._group(self._conjunctions.unnamed),) if nameless else ()
        return made

    def _token_of(self, reading: Reading) -> list[str]:
        held = self._known.held([reading.source], rarely=reading.rarely)
        return [*held, f"token = {self._known.rarely(reading.source) if reading.rarely else reading.source}"]

    def _led_by(self, view: View, token: Any) -> tuple[Group, ...]:
        """
        The groups of *view* after the reading that leads, each with who goes on, where *token* stands for both.

        It is remembered where it is enough to tell them.
        """
        lead = self._lead
        named, values = (token, ()) if lead is None else (token[0], token[1:])
        groups, known = self._named(view, named)
        if lead is not None and groups:
            given = lead.token(values)
            signature = lead.by_token.get(given)
            if signature is None:
                signature = lead.unknown(view, given)
            known = known and given in lead.by_token
            after = [self._after(group, signature) for group in groups]
            groups = tuple(one.group for one in after if one.group is not None)
            known = known and all(one.settled for one in after)
        elif lead is not None:
            known = known and lead.are_keys(values)
        if known:
            if len(self._by_token) >= _MAX_LED:
                self._by_token.clear()
                self._living.clear()
            self._by_token[token] = groups
        return groups

    def _named(self, view: View, token: Any) -> tuple[tuple[Group, ...], bool]:
        """The groups of *view*, where *token* stands for its name; and whether that is enough to tell them."""
        if token.__class__ is not str:
            return self.groups_of(view), False
        groups = self._by_named.get(token)
        if groups is not None:
            return groups, True
        groups, name = self.groups_of(view), self._known.token(self._known.name_path)
        known = len(token) <= _MAX_TEXT and name is not None and name.determines(token)
        if known:
            if len(self._by_named) >= _MAX_NAMES:
                self._by_named.clear()
            self._by_named[token] = groups
        return groups, known

    def _after(self, group: Group, signature: int) -> _After:
        """*group* without those that fail where the lead has that *signature*."""
        if not group.steps or group.steps[0].place != 0:
            return _After(group, True)
        alive = group.full & group.steps[0].masks.going_on(signature)
        if not alive:
            return _After(None, True)
        place = id(group), alive
        found = self._living.get(place)
        if found is None:  # most come once: no more is made of them than that needs
            if len(self._living) >= _MAX_LED:
                self._living.clear()
            found = _After(group._replace(full=alive, steps=group.steps[1:]), False)
        elif not found.settled:
            found = _After(group._replace(full=alive, steps=self._asked_by(group, alive)), True)
        self._living[place] = found
        return found

    def _asked_by(self, group: Group, alive: int) -> tuple[Step, ...]:
        """
        The steps of *group* after the lead that those who are *alive* ask for.

        Of a few it is worth the time to find the bits that they ask about.
        """
        if alive.bit_count() > _FEW_ALIVE:
            return tuple(step for step in group.steps[1:] if step.asked & alive)
        asked: defaultdict[int, int] = defaultdict(int)  # by place
        relevant: defaultdict[int, int] = defaultdict(int)
        for bit_of_it in _bits(alive):
            for signatures, bit in self._conjunctions.all[group.numbers[bit_of_it]][1]:
                place, offset = self._where[signatures]
                asked[place] |= 1 << bit_of_it
                relevant[place] |= 1 << offset + bit
        return tuple(
            Step(asked[place], relevant[place], alive & ~asked[place], step.masks, step.read, place)
            for step in group.steps
            if (place := step.place) and asked[place]
        )

    def _otherwise(self, seen: Seen) -> Sequence[int]:
        """As `slowly`, with every reading made, so that the next event is decoded with all that they read."""
        view = seen.view
        if not view.uniform:
            return self._conjunctions.rules
        for reading in self._quick:
            reading.prepare(view)
        return self.slowly(seen)

    def _spend(self) -> None:
        """Note that a mask is remembered; at some number all are forgotten."""
        self._masks += 1
        if self._masks > _MAX_ALL_MASKS:
            self._masks = 0
            for groups in (self._nameless, *list(self._folded.values())):
                for group in groups:
                    for _, _, masks in self.steps(group):
                        masks.forget()


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
        parts: list[tuple[_Few | _Many, dict[int, int]]] = []
        for numbers in tests.values():
            part = _Few(numbers) if len(numbers) < 2 * _MANY else _Many(numbers)
            self.asked |= part.asked
            self.relevant |= part.relevant
            parts.append((part, {}))
        self._parts = tuple(parts)

    def going_on(self, signature: int) -> int:
        """The conjunctions that go on where the reading has that *signature*."""
        return self[signature & self.relevant]

    def forget(self) -> None:
        """Let go of everything that came of events."""
        self.clear()
        for _, known in self._parts:
            known.clear()

    def __missing__(self, signature: int) -> int:
        mask = self._full
        for part, known in self._parts:
            of_part = signature & part.relevant
            fails = known.get(of_part)
            if fails is None:
                fails = part.fails(of_part)
                if len(known) < _MAX_MASKS:
                    self._spend()
                    known[of_part] = fails
            mask &= ~fails
        if len(self) >= _MAX_MASKS:
            self.clear()
        self._spend()
        self[signature] = mask
        return mask


class _Few:
    """Which conjunctions demand which bits of a path, packed: there are many groups, most of them rarely looked at."""

    __slots__ = ("_numbers", "asked", "relevant")

    def __init__(self, numbers: Sequence[int]) -> None:
        """*numbers* are bits, and behind each the place of a conjunction that demands it."""
        self.asked = self.relevant = 0
        for bit, place in zip(numbers[::2], numbers[1::2], strict=True):
            self.relevant |= 1 << bit
            self.asked |= 1 << place
        self._numbers = array("H" if max(numbers) < 2**16 else "L", numbers)

    def fails(self, signature: int) -> int:
        """The conjunctions that demand a bit which is not set."""
        fails, numbers = 0, iter(self._numbers)
        for bit, place in zip(numbers, numbers, strict=True):
            if not signature >> bit & 1:
                fails |= 1 << place
        return fails


class _Many:
    """The same by bits: of many tests on a path, such as for one address each, a value passes few, or all but few."""

    __slots__ = ("_by_bit", "_several", "asked", "relevant")

    def __init__(self, numbers: Sequence[int]) -> None:
        self._by_bit: dict[int, int] = {}  # who demands it
        demanded: dict[int, int] = {}
        for bit, place in zip(numbers[::2], numbers[1::2], strict=True):
            self._by_bit[bit] = self._by_bit.get(bit, 0) | 1 << place
            demanded[place] = demanded.get(place, 0) | 1 << bit
        self.relevant, self.asked = sum(1 << bit for bit in self._by_bit), sum(1 << place for place in demanded)
        self._several = [(bits, 1 << place) for place, bits in demanded.items() if bits & bits - 1]

    def fails(self, signature: int) -> int:
        unset = self.relevant & ~signature
        if unset.bit_count() <= signature.bit_count():
            fails = 0
            for bit in _bits(unset):
                fails |= self._by_bit[bit]
            return fails
        passes = 0
        for bit in _bits(signature):
            passes |= self._by_bit[bit]
        fails = self.asked & ~passes
        for bits, place in self._several:
            if bits & unset:
                fails |= place
        return fails


def _at(reading: Reading, seen: Seen) -> int:
    return reading.at(seen.view)


def _numbers(rules: Sequence[int], alive: int, before: Sequence[int]) -> Sequence[int]:
    """The rules of the conjunctions in *alive*, with those *before*, in order and once."""
    found = dict.fromkeys([rules[bit] for bit in _bits(alive)])
    return sorted({*before, *found}) if before else list(found)


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found
