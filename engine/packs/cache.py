"""
Rules that were loaded before, without reading their YAML again.

Checking a thousand rule files takes seconds, and they seldom change. What `load` made of them is kept in one file,
named by a digest of everything that it was made from: the bytes of every file, the code that read them, the versions
below it. When anything differs the name differs, so nothing that is stale can be found; there is no other invalidation.

The file holds data and no code (`engine.packs.packed`). It is believed only if this user owns it and its folder and
nobody else may write there, and if its own digest is right: who could write there could as well change the rules.
Whatever is wrong with it, the rules are read from their files.

Importing this module imports neither YAML nor the models of rule files: with the cache, nothing needs them.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

import engine
from engine.packs.files import Sources, gathered
from engine.packs.packed import decode, encode
from engine.rule import RuleSet
from engine.unwatched import unwatched

KEPT: Final = 8  # files; each is one state of one set of rules
_DIGEST: Final = 32
_BELOW: Final = ("jmespath", "msgspec", "pydantic", "re2", "yaml")  # what decides how files are read


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
    with unwatched(afresh=True):
        sources = gathered(paths)
        try:
            kept = folder / f"rules-{key(paths, sources)}.bin"
        except OSError:  # a program without files to be known by, in an archive: nothing to tell its versions apart
            return load_files(paths, sources)
        rules = _kept(kept)
        if rules is None:
            rules = load_files(paths, sources)
            with suppress(OSError):
                _keep(kept, encode(rules))
        return rules


def load_files(paths: Sequence[str], sources: Sources | None = None) -> RuleSet:
    """`engine.packs.load`."""
    from engine.packs.loader import load as load_them  # noqa: PLC0415 what reads YAML is only needed here

    return load_them(paths, sources)


def key(paths: Sequence[str], sources: Sources) -> str:
    """A digest of all that the rules of *paths* are made from."""
    digest = hashlib.blake2b(digest_size=16)

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8, "big") + data)

    add(sys.version, sys.implementation.cache_tag or "", *_program(), *paths)
    for item in sources.found:
        add(item.path, item.role, item.pack or "", f"{item.whole}{item.named}")
    for path, text in sources.texts.items():
        add(path, text if isinstance(text, bytes) else f"unreadable: {text}")
    add(*(str(problem) for problem in sources.problems))
    return digest.hexdigest()


def _program() -> Iterator[str | bytes]:
    """What reads the files: this program's own modules and tables, and the packages below it."""
    for path in _modules(str(Path(engine.__file__).parent)):
        yield path
        yield Path(path).read_bytes()
    for name in _BELOW:
        spec = find_spec(name)  # imports nothing
        home = Path(spec.origin).parent if spec is not None and spec.origin is not None else Path()
        for said in ("__init__.py", "version.py", "_version.py"):  # where a package says its version
            with suppress(OSError):
                yield f"{name}/{said}"
                yield (home / said).read_bytes()


def _modules(folder: str) -> Iterator[str]:
    """The modules and tables in a folder and those below. All: what decides how a rule is read is not one module's."""
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        if entry.is_dir():
            yield from _modules(entry.path)
        elif entry.name.endswith((".py", ".txt")):
            yield entry.path


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
    import tempfile  # noqa: PLC0415 as above

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
