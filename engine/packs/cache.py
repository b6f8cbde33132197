"""
Rules that were loaded before, without reading their YAML again.

Checking a thousand rule files takes seconds, and they seldom change. What `load` made of them is kept in one file,
named by a digest of everything that it was made from: the bytes of every file, the code that read them, the versions
below it. When anything differs the name differs, so nothing that is stale can be found; there is no other invalidation.

The file holds data and no code: classes are numbers in a fixed table, expressions are their syntax trees, and reading
it runs nothing but constructors. It is believed only if this user owns it and its folder and nobody else may write
there, and if its own digest is right. Whatever is wrong with it, the rules are read from their files.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

import engine
from engine import rule as nouns
from engine.errors import Place, Problem
from engine.expression import Expression, Lists, Template
from engine.packs.files import find
from engine.packs.loader import load as load_files
from engine.rule import RuleSet

KEPT: Final = 8  # files; each is one state of one set of rules
_DIGEST: Final = 32
_BELOW: Final = ("jmespath", "msgspec", "pydantic", "pyyaml")  # what decides how files are read


def default_folder() -> Path:
    """Where the cache is: $XDG_CACHE_HOME/tocsin (XDG Base Directory 0.8). RuntimeError without a home."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".cache") / "tocsin"


def load(paths: Sequence[str] = (), folder: Path | None = None) -> RuleSet:
    """
    As `engine.packs.load`, from the cache in *folder* where it has these very rules, else from the files.

    Raises ConfigurationError as that does; never for the cache's sake.
    """
    try:
        folder = folder or default_folder()
    except RuntimeError:  # a user without a home has no cache
        return load_files(paths)
    try:
        kept = folder / f"rules-{key(paths)}.bin"
    except OSError:
        return load_files(paths)  # it says which file cannot be read
    rules = _kept(kept)
    if rules is None:
        rules = load_files(paths)
        with suppress(OSError):
            _keep(kept, encode(rules))
    return rules


def key(paths: Sequence[str]) -> str:
    """A digest of all that the rules of *paths* are made from. Raises OSError when a file cannot be read."""
    digest = hashlib.blake2b(digest_size=16)

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8, "big") + data)

    add(platform.python_version(), sys.implementation.cache_tag or "", *(version(name) for name in _BELOW))
    root = Path(engine.__file__).parent
    for path in sorted(root.rglob("*.py")):
        stat = path.stat()
        add(str(path), str(stat.st_mtime_ns), str(stat.st_size))
    problems: list[Problem] = []
    add(*paths)
    for item in find(paths, problems):
        add(str(item.path), item.role, str(item.pack), f"{item.whole}{item.named}", item.path.read_bytes())
        if item.pack is not None:
            add(item.pack.read_bytes())
    add(*(str(problem) for problem in problems))
    return digest.hexdigest()


# --- the file


def _kept(path: Path) -> RuleSet | None:
    try:
        if not (_ours(path.parent) and _ours(path)):
            return None
        data = path.read_bytes()
    except OSError:
        return None
    if hashlib.blake2b(data[_DIGEST:], digest_size=_DIGEST).digest() != data[:_DIGEST]:
        return None
    try:
        rules = decode(data[_DIGEST:])
    except (msgspec.MsgspecError, TypeError, ValueError, LookupError, AttributeError, RecursionError):
        return None
    with suppress(OSError):
        os.utime(path)  # the oldest go first
    return rules


def _ours(path: Path) -> bool:
    """Whether nobody but this user can have written *path*."""
    stat = path.lstat()
    return stat.st_uid == os.geteuid() and not stat.st_mode & 0o022


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".rules-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.blake2b(data, digest_size=_DIGEST).digest() + data)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    aged = sorted(path.parent.glob("rules-*.bin"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in aged[KEPT:]:
        old.unlink(missing_ok=True)


# --- its content

_CLASSES: Final[tuple[Any, ...]] = (
    Expression,
    Template,
    Place,
    *sorted(
        (
            found
            for found in vars(nouns).values()
            if isinstance(found, type)
            and found.__module__ == nouns.__name__
            and found is not RuleSet
            and (is_dataclass(found) or issubclass(found, Enum))
        ),
        key=lambda found: found.__name__,
    ),
)
_NUMBERS: Final = {found: number for number, found in enumerate(_CLASSES)}
_GIVEN: Final[dict[Any, tuple[str, ...]]] = {
    found: tuple(field.name for field in fields(found) if field.init) for found in _CLASSES if is_dataclass(found)
}
_LIST, _TUPLE, _OBJECT, _SPAN, _DAY, _WORD, _SET, _EXPRESSION = range(8)


def encode(rules: RuleSet) -> bytes:
    """*rules* as bytes for `decode`."""
    lists = {name: sorted(values) for name, values in rules.lists.items()}
    return msgspec.msgpack.encode([lists, [_packed(rule) for rule in rules.rules]])


def decode(data: bytes) -> RuleSet:
    """
    The rules in *data*; all of them share one mapping of lists.

    Raises msgspec's errors, TypeError, ValueError, LookupError or AttributeError when it holds something else.
    """
    packed_lists, packed_rules = msgspec.msgpack.decode(data)
    lists: Lists = {name: frozenset(values) for name, values in packed_lists.items()}
    unpack = _unpacker(lists)
    return RuleSet(tuple(unpack(rule) for rule in packed_rules), lists)


def _packed(value: Any) -> Any:  # scalars and mappings as themselves, everything else as [tag, …]
    if value is None or value.__class__ in (str, int, bool, float):
        return value
    if isinstance(value, Expression):
        return [_EXPRESSION, value.text, value.tree, _packed(value.place)]
    if isinstance(value, Enum):
        return [_WORD, _NUMBERS[type(value)], value.value]
    if is_dataclass(value):
        kind: Any = type(value)
        return [_OBJECT, _NUMBERS[kind], *(_packed(getattr(value, name)) for name in _GIVEN[kind])]
    if isinstance(value, Mapping):
        return {name: _packed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_LIST if isinstance(value, list) else _TUPLE, *map(_packed, value)]
    if isinstance(value, frozenset):
        return [_SET, *map(_packed, sorted(value))]
    if isinstance(value, timedelta):
        return [_SPAN, value.days, value.seconds, value.microseconds]
    if isinstance(value, date):
        return [_DAY, value.toordinal()]
    raise TypeError(f"a rule holds a {type(value).__name__}, which the cache does not know")


def _unpacker(lists: Lists) -> Callable[[Any], Any]:
    def unpack(value: Any) -> Any:
        kind = value.__class__
        if kind is dict:
            return {name: unpack(item) for name, item in value.items()}
        if kind is not list:
            return value
        tag = value[0]
        if tag == _OBJECT:
            return _CLASSES[value[1]](*map(unpack, value[2:]))
        if tag == _EXPRESSION:
            return Expression(value[1], value[2], lists, unpack(value[3]))
        if tag == _TUPLE:
            return tuple(map(unpack, value[1:]))
        if tag == _LIST:
            return list(map(unpack, value[1:]))
        if tag == _WORD:
            return _CLASSES[value[1]](value[2])
        if tag == _SET:
            return frozenset(map(unpack, value[1:]))
        if tag == _SPAN:
            return timedelta(*value[1:])
        if tag == _DAY:
            return date.fromordinal(value[1])
        raise ValueError(f"unknown tag {tag!r}")

    return unpack
