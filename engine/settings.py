"""
The configuration: tocsin.yaml, the environment, and what follows from both.

Flags beat the environment (`TOCSIN_STORE`, `TOCSIN_WEB__LISTEN`, …) beat the file beat the defaults. Secrets come by
`{env: NAME}` or `{file: PATH}`; their values are remembered only to be masked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from engine import packs, plugins
from engine.correlate.lateness import Between
from engine.errors import ConfigurationError, Place, Problem
from engine.expression import ExpressionFault, Lists, parse
from engine.route import Route
from engine.store.address import secrets_of
from engine.strict_yaml import Document, Duration, StrictModel, problems_of
from engine.strict_yaml import load as load_yaml


class SecondLook(StrictModel):
    """A slower look back over a longer span, for what became visible very late."""

    every: Duration = timedelta(hours=1)
    span: Duration = timedelta(hours=24)


class Limits(StrictModel):
    """What a person allows of something that is measured."""

    least: Duration
    most: Duration

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError("'least' is more than 'most'")
        return self

    def between(self) -> Between:
        return Between(self.least, self.most)


def _both(value: object) -> object:
    """A single duration is both limits."""
    return {"least": value, "most": value} if isinstance(value, str | int | timedelta) else value


class _Entry(StrictModel):
    """A source or a notifier; the keys of its type, secrets among them, are never shown from here."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={getattr(self, key)!r}' for key in type(self).model_fields)})"

    __str__ = __repr__


class SourceSettings(_Entry):
    """One account to watch. Keys not listed here belong to the source's type."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,48}$")
    type: str
    every: Duration = timedelta(seconds=60)
    overlap: Annotated[Limits, BeforeValidator(_both)] = Limits(least=timedelta(minutes=5), most=timedelta(hours=1))
    lateness: Annotated[Limits, BeforeValidator(_both)] = Limits(
        least=timedelta(seconds=30), most=timedelta(minutes=15)
    )
    second_look: SecondLook = SecondLook()


class NotifierSettings(_Entry):
    """One destination. Keys not listed here belong to the notifier's type."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,48}$")
    type: str


class RouteSettings(StrictModel):
    """
    Who hears of which alerts; the first route that matches takes the alert, unless it says `continue`.

    `then` are its next destinations: who is told when one of `to`, or one before, did not get a critical alert.
    """

    match: str | None = None
    to: list[str]
    then: list[str] = Field(default=[])
    go_on: bool = Field(default=False, alias="continue")


class DeliverySettings(StrictModel):
    """How long a critical alert may lie undelivered before the next destination of its route is told."""

    escalate_after: Duration = timedelta(minutes=5)


class MetaSettings(StrictModel):
    """Who is told when something is wrong with Tocsin itself (default: every notifier), and from when on."""

    to: list[str] | None = None
    source_failing: Duration = timedelta(minutes=5)
    source_silent: Duration = timedelta(hours=24)


class CanarySettings(StrictModel):
    """A test event that goes the whole way, every so often, to a destination of its own."""

    to: str
    every: Duration = timedelta(hours=1)


class WebSettings(StrictModel):
    """Where /healthz, /readyz and /metrics are answered; `"off"` for nowhere."""

    listen: str = Field(default="127.0.0.1:9464", pattern=r"^(off|.+:\d{1,5})$")


class Retention(StrictModel):
    """How long finished things are kept. Seen ids outlive every window that is read again."""

    seen: Duration = timedelta(days=8)
    history: Duration = timedelta(days=90)


class LogSettings(StrictModel):
    """Logs on stderr: text for people or JSON lines."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "text", "json"] = "auto"


class Settings(StrictModel):
    """tocsin.yaml. docs/operations.md has every key."""

    store: str = Field(default_factory=lambda: f"sqlite:///{state_directory() / 'tocsin.db'}")
    rules: list[str] = Field(default=["builtin:tencent"])
    sources: list[SourceSettings] = Field(default=[])
    notifiers: list[NotifierSettings] = Field(default=[])
    routes: list[RouteSettings] = Field(default=[])
    delivery: DeliverySettings = DeliverySettings()
    meta: MetaSettings = MetaSettings()
    canary: CanarySettings | None = None
    web: WebSettings = WebSettings()
    retention: Retention = Retention()
    log: LogSettings = LogSettings()


Entry = TypeVar("Entry", SourceSettings, NotifierSettings, RouteSettings)


MISSING = "(missing)"  # stands in for a secret that is not there, while the rest is checked


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that was checked as a whole."""

    settings: Settings
    file: str
    source_settings: Mapping[str, Any]  # source name -> its type's settings
    notifier_settings: Mapping[str, Any]  # destination name -> its type's settings
    route_places: tuple[Place, ...]
    secrets: frozenset[str] = field(default_factory=frozenset, repr=False)

    def routes(self, lists: Lists) -> tuple[Route, ...]:
        """The compiled routes; their conditions were checked by `load` already."""
        return tuple(
            Route(
                tuple(route.to),
                parse(route.match, place=place, lists=lists) if route.match else None,
                route.go_on,
                tuple(route.then),
            )
            for route, place in zip(self.settings.routes, self.route_places, strict=True)
        )


def state_directory() -> Path:
    """Where the store lies by default: systemd's STATE_DIRECTORY, else XDG's state folder."""
    if directory := os.environ.get("STATE_DIRECTORY"):
        return Path(directory.split(":")[0])
    try:
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError:
        message = "this user has no home folder to keep the store in"
        hint = "say where: `store: sqlite:///var/lib/tocsin/tocsin.db`, or TOCSIN_STORE"
        raise ConfigurationError([Problem(Place("store"), "no-home", message, suggestion=hint)]) from None
    return Path(base) / "tocsin"


def config_file() -> Path | None:
    """The configuration that is used when none is named: TOCSIN_CONFIG, ./tocsin.yaml, XDG's, /etc's; None if none."""
    if named := os.environ.get("TOCSIN_CONFIG"):
        return Path(named)
    # Not Path.home(): a user without a home has no configuration there, and that is no error.
    home = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))  # noqa: PTH111
    candidates = (Path("tocsin.yaml"), home / "tocsin" / "tocsin.yaml", Path("/etc/tocsin/tocsin.yaml"))
    return next((path for path in candidates if path.is_file()), None)


def load(
    path: str | Path | None,
    *,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    secrets_needed: bool = True,
) -> Loaded:
    """
    The configuration in *path* (None: the environment and defaults alone). *overrides* are flags: top-level keys.

    Without *secrets_needed*, secrets that are not there now are let pass, for commands that only look at the store.

    Raises ConfigurationError with every problem found, each at its line.
    """
    environment = os.environ if environment is None else environment
    document = _document(path)
    problems: list[Problem] = []
    secrets: set[str] = set()
    data = dict(document.data)
    _from_environment(data, environment)
    data |= overrides or {}
    data = _resolved(data, (), document, environment, secrets, problems)
    settings = None
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        problems += problems_of(error, document, Settings)
    # Each entry that is right by itself is looked into even where another is wrong: every problem is said at once.
    sources = _typed("sources", _right(data, "sources", SourceSettings), document, problems)
    notifiers = _right(data, "notifiers", NotifierSettings)
    destinations = _typed("notifiers", notifiers, document, problems)
    names = {str(entry.get("name")) for entry in _mappings(data, "notifiers")}
    routes = _right(data, "routes", RouteSettings)
    places = _check_routes(routes, names, _lists(data, routes), document, problems)
    if settings is None:
        raise ConfigurationError(problems)
    _check_own(settings, names, document, problems)
    _check_spans(settings, document, problems)
    if any(secrets_needed or problem.code != "missing-secret" for problem in problems):
        raise ConfigurationError(problems)
    secrets.update(secrets_of(settings.store))
    return Loaded(settings, document.file, sources, destinations, places, frozenset(secrets))


def _document(path: str | Path | None) -> Document:
    if path is None:
        return load_yaml("{}", file="(defaults)")
    try:
        document = load_yaml(Path(path))
    except OSError as error:
        message = f"cannot be read: {error.strerror or type(error).__name__}"
        raise ConfigurationError([Problem(Place(str(path)), "unreadable", message)]) from None
    if not isinstance(document.data, dict):
        message = "the configuration is a mapping of keys: store, rules, sources, notifiers, routes …"
        raise ConfigurationError([Problem(Place(document.file), "not-a-mapping", message)])
    return document


def _from_environment(data: dict[str, Any], environment: Mapping[str, str]) -> None:
    """TOCSIN_STORE, TOCSIN_RULES (comma-separated), TOCSIN_WEB__LISTEN, TOCSIN_LOG__LEVEL … over the file's values."""
    for key, model in Settings.model_fields.items():
        name = f"TOCSIN_{key.upper()}"
        if key == "rules" and name in environment:
            data[key] = [part.strip() for part in environment[name].split(",") if part.strip()]
        elif key == "store" and name in environment:
            data[key] = environment[name]
        kind = model.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for inner in kind.model_fields:
                if (nested := f"{name}__{inner.upper()}") in environment:
                    data[key] = {**(data.get(key) or {}), inner: environment[nested]}


def _resolved(
    value: Any,
    loc: tuple[str | int, ...],
    document: Document,
    environment: Mapping[str, str],
    secrets: set[str],
    problems: list[Problem],
) -> Any:
    """*value* with every `{env: …}` and `{file: …}` replaced by what it names."""
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in ("env", "file"):
            return _secret(value, loc, document, environment, secrets, problems)
        return {k: _resolved(v, (*loc, k), document, environment, secrets, problems) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolved(v, (*loc, i), document, environment, secrets, problems) for i, v in enumerate(value)]
    return value


def _secret(
    value: Mapping[str, Any],
    loc: tuple[str | int, ...],
    document: Document,
    environment: Mapping[str, str],
    secrets: set[str],
    problems: list[Problem],
) -> str:
    ((how, name),) = value.items()
    found = ""
    if how == "env":
        found = environment.get(str(name), "")
        missing = f"the environment variable {name} is not set, or empty"
    else:
        missing = f"the file {name} cannot be read, or is empty"
        try:
            found = Path(str(name)).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            missing = f"the file {name} cannot be read: {type(error).__name__}"
    if not found:
        problems.append(document.problem(loc, "missing-secret", missing))
        return MISSING
    secrets.add(found)
    return found


def _mappings(data: Mapping[str, Any], section: str) -> list[Mapping[str, Any]]:
    found = data.get(section)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _right(data: Mapping[str, Any], section: str, model: type[Entry]) -> list[tuple[int, Entry]]:
    """The entries of *section* that are right by themselves, with their index; the others have been reported."""
    right = []
    entries = data.get(section)
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        try:
            right.append((index, model.model_validate(entry)))
        except ValidationError:
            # A wrong value of ours need not hide what is wrong among the keys of its type.
            if isinstance(entry, dict) and issubclass(model, SourceSettings | NotifierSettings):
                known = {"name": "x", "type": entry.get("type")}
                rest = {key: value for key, value in entry.items() if key not in model.model_fields}
                if isinstance(known["type"], str):
                    right.append((index, model.model_validate(rest | known)))
    return right


def _typed(
    section: Literal["sources", "notifiers"],
    entries: Sequence[tuple[int, SourceSettings | NotifierSettings]],
    document: Document,
    problems: list[Problem],
) -> dict[str, Any]:
    """Each entry's own keys, checked by the settings of its type."""
    find = plugins.source if section == "sources" else plugins.notifier
    typed: dict[str, Any] = {}
    for index, entry in entries:
        loc: tuple[str | int, ...] = (section, index)
        if entry.name in typed:
            message = f"the name {entry.name!r} is used twice"
            problems.append(document.problem((*loc, "name"), "duplicate-name", message))
        try:
            plugin = find(entry.type)
        except KeyError as error:
            message = f"there is no {section.removesuffix('s')} of type {entry.type!r}"
            types = f"types: {error.args[0]}"
            problems.append(document.problem((*loc, "type"), "unknown-type", message, suggestion=types))
            continue
        try:
            typed[entry.name] = plugin.settings.model_validate(entry.model_extra or {})
        except ValidationError as error:
            also = tuple(type(entry).model_fields)
            found = problems_of(error, document, plugin.settings, prefix=loc, also_known=also)
            # A value that is missing is reported as such already; what its stand-in breaks is only a consequence.
            missing = MISSING in (entry.model_extra or {}).values()
            problems += [one for one in found if not missing or one.code in ("unknown-key", "missing-key")]
    return typed


def _lists(data: Mapping[str, Any], routes: Sequence[tuple[int, RouteSettings]]) -> Lists:
    """The lists that conditions of routes may name; the rules are only read when one does."""
    if not any(route.match and "in_" in route.match for _, route in routes):
        return {}
    paths = data.get("rules", Settings.model_fields["rules"].default)
    try:
        return packs.load([str(path) for path in paths]).lists
    except ConfigurationError:  # reported by whoever loads the rules
        return packs.load().lists


def _check_routes(
    routes: Sequence[tuple[int, RouteSettings]],
    names: set[str],
    lists: Lists,
    document: Document,
    problems: list[Problem],
) -> tuple[Place, ...]:
    places = []
    says = (document, problems)
    for index, route in routes:
        spot = ("routes", index, "match")
        place = document.place(spot)
        places.append(place)
        for key, called in (("to", route.to), ("then", route.then)):
            _check_names([(("routes", index, key, number), name) for number, name in enumerate(called)], names, *says)
        if route.match is not None:
            try:
                parse(route.match, place=place, lists=lists)
            except ExpressionFault as found:
                problems += [document.problem(spot, f.code, f.message, offset=f.offset) for f in found.faults]
    return tuple(places)


def _check_names(
    called: Sequence[tuple[tuple[str | int, ...], str]], names: set[str], document: Document, problems: list[Problem]
) -> None:
    for where, name in called:
        if name not in names:
            known = f"notifiers: {', '.join(sorted(names)) or 'none'}"
            message = f"no notifier is called {name!r}"
            problems.append(document.problem(where, "unknown-notifier", message, suggestion=known))


def _check_own(settings: Settings, names: set[str], document: Document, problems: list[Problem]) -> None:
    """The destinations of what Tocsin says about itself."""
    called: list[tuple[tuple[str | int, ...], str]] = []
    called += [(("meta", "to", number), name) for number, name in enumerate(settings.meta.to or ())]
    if settings.canary is not None:
        called.append((("canary", "to"), settings.canary.to))
        if settings.canary.every < timedelta(minutes=1):
            problems.append(document.problem(("canary", "every"), "too-often", "a canary flies at most once a minute"))
    _check_names(called, names, document, problems)


def _check_spans(settings: Settings, document: Document, problems: list[Problem]) -> None:
    for index, source in enumerate(settings.sources):
        longest = max(source.overlap.most, source.second_look.span)
        if settings.retention.seen < longest + timedelta(days=1):
            message = f"retention.seen must be at least a day longer than what {source.name} reads again ({longest})"
            problems.append(document.problem(("sources", index), "seen-too-short", message))
        if source.every < timedelta(seconds=1):
            message = "a source is asked at most once a second"
            problems.append(document.problem(("sources", index, "every"), "too-often", message))
