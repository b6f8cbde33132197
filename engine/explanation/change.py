"""
The least change of an event that turns a rule's answer: which fields would have to be something else.

Values that could matter are read off the condition (`engine.explanation.proposals`); then one field after the other,
then two together and so on are changed, and the compiled rule is asked again. Where it takes more fields, proposals
for the whole condition are tried, and whatever they change for nothing is taken back. What is given was tried: each
set of changes turns the answer, and no part of it alone does. That no smaller one exists is only known of the values
that were tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations, islice, product
from typing import Any, Final

from engine.errors import EvaluationError
from engine.event import SEPARATOR, Fields
from engine.explanation.compiled import compiled
from engine.explanation.proposals import ABSENT, NoPlaceError, Path, Proposal, Reader, changed, found
from engine.expression import Expression
from engine.kinds import NORM_VALUES, schema
from engine.rule import Rule

MAX_FIELDS: Final = 3  # changed together, of all that could be
MAX_TRIALS: Final = 4000
MAX_VALUES: Final = 12  # tried for one field
MAX_SETS: Final = 3  # given
_WHOLE: Final = 256  # proposals for a whole condition


@dataclass(frozen=True, slots=True)
class Change:
    """One field, its value, and one that it would have to have; either may be ABSENT."""

    path: Path
    value: Any
    wanted: Any

    @property
    def field(self) -> str:
        """`rules[0].port`."""
        names = [f"[{name}]" if isinstance(name, int) else f".{name}" for name in self.path]
        return "".join(names).removeprefix(".")


Changes = tuple[tuple[Change, ...], ...]
_Settings = Mapping[Path, Any]


def answer(rule: Rule, fields: Fields, today: date) -> str:
    """What *rule* says to an event by itself: "alert", "excepted", "nothing" or "fault"; *today* is UTC."""
    try:
        if not compiled(rule.match).holds(fields):
            return "nothing"
    except EvaluationError:
        return "fault"
    for exception in rule.unless:
        if not exception.holds_on(today):
            continue
        try:
            if compiled(exception.match).holds(fields):
                return "excepted"
        except EvaluationError:
            continue  # a broken exception hides nothing
    return "alert"


def least_changes(
    rule: Rule,
    fields: Fields,
    today: date,
    *,
    trials: int = MAX_TRIALS,
    sets: int = MAX_SETS,
    matched: bool = False,
) -> Changes:
    """
    Sets of changes each of which turns the answer: to an alert where there is none, to none where there is one, to a
    decision where the rule breaks. At most *sets* of them, all of one size, the smallest with which any was found;
    empty if none was found in so many *trials*. *matched*: it is known already that the rule raises an alert.
    """
    search = _Search(rule, fields, today, trials, "alert" if matched else answer(rule, fields, today))
    given = tuple(islice(search.single(), sets))
    if given:
        return given
    candidates = search.candidates()
    for size in range(2, min(MAX_FIELDS, len(candidates)) + 1):
        given = tuple(islice(search.together(size, candidates), sets))
        if given or search.spent:
            break
    return given or tuple(islice(search.larger(), 1))


class _Search:
    """One rule and one event."""

    def __init__(self, rule: Rule, fields: Fields, today: date, trials: int, given: str) -> None:
        self._rule = rule
        self._fields = fields
        self._today = today
        self._left = trials
        self._given = given
        self._exceptions = [exception.match for exception in rule.unless if exception.holds_on(today)]
        self._types = schema(rule.kind).types

    @property
    def spent(self) -> bool:
        return self._left <= 0

    def settings(self) -> Iterator[tuple[Path, Any]]:
        """The fields that the rule reads, those of the condition first, with the values that could matter."""
        told: dict[Path, list[Any]] = {}
        for expression in (self._rule.match, *self._exceptions):
            for path, mentioned in Reader(expression, self._fields).mentioned():
                values = told.setdefault(path, [])
                for value in self._closed(path) or (mentioned,):
                    if len(values) < MAX_VALUES and self._may_be(path, value) and not _among(value, values):
                        values.append(value)
                        yield path, value

    def candidates(self) -> dict[Path, list[Any]]:
        """`settings` by their fields."""
        tried: dict[Path, list[Any]] = {}
        for path, value in self.settings():
            tried.setdefault(path, []).append(value)
        return tried

    def single(self) -> Iterator[tuple[Change, ...]]:
        """Single fields that turn the answer, each once."""
        told: set[Path] = set()
        for path, value in self.settings():
            if path in told:
                continue
            self._left -= 1
            if self._left < 0:
                return
            if self._turns({path: value}):
                told.add(path)
                yield self._changes({path: value})

    def together(self, size: int, candidates: dict[Path, list[Any]]) -> Iterator[tuple[Change, ...]]:
        """Sets of *size* fields, changed together, that turn the answer; of the same fields one only."""
        for paths in combinations(candidates, size):
            if any(_within(one, other) for one in paths for other in paths):
                continue
            for values in product(*(candidates[path] for path in paths)):
                self._left -= 1
                if self._left < 0:
                    return
                settings = dict(zip(paths, values, strict=True))
                if self._turns(settings):
                    yield self._changes(settings)
                    break

    def larger(self) -> Iterator[tuple[Change, ...]]:
        """Sets of any size, from proposals for the whole condition, without what they change for nothing."""
        best: tuple[Change, ...] = ()
        for proposal in islice(self._whole(), _WHOLE):
            settings = {path: value for path, value in proposal if self._may_be(path, value)}
            if not any(_within(one, other) for one in settings for other in settings) and self._turns(settings):
                least = self._changes(self._needed(settings))
                if not best or len(least) < len(best):
                    best = least
        if best:
            yield best

    def _whole(self) -> Iterator[Proposal]:
        match = Reader(self._rule.match, self._fields)
        wanted = self._given in {"nothing", "excepted", "fault"}
        yield from match.turning(wanted=wanted)
        for expression in self._exceptions:
            yield from Reader(expression, self._fields).turning(wanted=not wanted)
        lifted = [list(islice(self._refused(expression), 4)) for expression in self._exceptions]
        for several in product(islice(match.turning(wanted=True), 16), *lifted) if lifted and wanted else ():
            yield tuple({path: value for proposal in several for path, value in proposal}.items())

    def _refused(self, expression: Expression) -> Iterator[Proposal]:
        yield ()
        yield from Reader(expression, self._fields).turning(wanted=False)

    def _needed(self, settings: _Settings) -> _Settings:
        for path in list(settings):
            fewer = {other: value for other, value in settings.items() if other != path}
            if self._turns(fewer):
                settings = fewer
        return settings

    def _turns(self, settings: _Settings) -> bool:
        try:
            fields = self._fields
            for path, value in settings.items():
                fields = changed(fields, path, value)
        except NoPlaceError:
            return False
        now = answer(self._rule, fields, self._today)
        return now == "alert" if self._given in {"nothing", "excepted"} else now not in {self._given, "fault"}

    def _changes(self, settings: _Settings) -> tuple[Change, ...]:
        return tuple(Change(path, _value(self._fields, path), value) for path, value in settings.items())

    # --- what a field can be

    def _closed(self, path: Path) -> tuple[str, ...]:
        return NORM_VALUES.get(".".join(map(str, path)), ())

    def _is(self, path: Path, value: Any) -> bool:
        return _same(value, _value(self._fields, path))

    def _may_be(self, path: Path, value: Any) -> bool:
        """Whether *value* is another one, of those that a kind's events can have there."""
        if not path or self._is(path, value):
            return False
        closed = self._closed(path)
        if closed:
            return value in closed
        known = self._types.get(SEPARATOR.join(map(str, path)))
        return value is ABSENT or known is None or (isinstance(value, _PYTHON[known]) and not _odd(value, known))


_PYTHON: Final[Mapping[str, Any]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list, "any": object
}  # fmt: skip


def _odd(value: Any, known: str) -> bool:
    return isinstance(value, bool) and known in {"integer", "number"}


def _within(one: Path, other: Path) -> bool:
    return len(one) < len(other) and other[: len(one)] == one


def _value(fields: Any, path: Path) -> Any:
    value = found(fields, path)
    return ABSENT if value is None else value


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _among(value: Any, values: Iterable[Any]) -> bool:
    return any(_same(value, known) for known in values)
