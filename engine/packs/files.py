"""Which files `--rules` and the settings name, and whether they have changed since."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from engine.errors import Place, Problem

BUILTIN = "builtin:"
PACK_NAMES = ("pack.yaml", "pack.yml")
LEVELS = 4  # how far above a file its pack may be
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Found:
    """One YAML file: what it is by its place, and the pack it belongs to."""

    path: str
    role: Literal["rule", "list", "pack"]
    pack: str | None = None  # the path of the pack file that governs it
    whole: bool = True  # the whole folder of its pack is being loaded
    named: bool = True  # it stands in one of the paths; False: a list that comes along with them


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of some paths, each read once: what was digested is what is parsed."""

    found: tuple[Found, ...]
    problems: tuple[Problem, ...]
    texts: Mapping[str, bytes | OSError]  # by path, those of packs included; the error where one cannot be read


def gathered(paths: Sequence[str]) -> Sources:
    """The files of *paths* (as for `find`) with their bytes. Never raises for the files' sake."""
    problems: list[Problem] = []
    found = find(paths, problems)
    texts: dict[str, bytes | OSError] = {}
    for item in found:
        for path in (item.path, item.pack):
            if path is not None and path not in texts:
                texts[path] = _bytes_of(path)
    return Sources(tuple(found), tuple(problems), texts)


def _bytes_of(path: str) -> bytes | OSError:
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            data = os.read(handle, _PIECE)
            while len(data) < _MOST and (more := os.read(handle, _PIECE)):
                data += more
            return data
        finally:
            os.close(handle)
    except OSError as error:
        return error


_PIECE: Final = 16 * 1024
_MOST: Final = 512 * 1024  # more than any file may have: what is cut here is refused when it is parsed


def builtin_root() -> Path:
    """The folder of what Tocsin brings along."""
    spec = find_spec("rules")  # importlib.resources would take longer than reading a hundred rules
    if spec is None or spec.origin is None:
        raise RuntimeError("the built-in rules are not installed")  # they are a part of this distribution
    return Path(spec.origin).parent


def builtin_packs() -> list[str]:
    """The names of the built-in packs: "aws", "tencent"."""
    root = builtin_root()
    return sorted(entry.name for entry in root.iterdir() if _pack_file(entry) is not None)


def find(paths: Sequence[str], problems: list[Problem]) -> list[Found]:
    """
    The files of *paths* (files, folders, `builtin:NAME`; none: every built-in pack), each once, in a stable order.

    The built-in lists always come first. A path that names nothing is a Problem.
    """
    found: dict[str, Found] = {}  # by the real path: what is reached in two ways is one file
    for item, real in _in_folder(builtin_root() / "lists", named=False):
        found.setdefault(real, item)
    for path in paths or [BUILTIN + name for name in builtin_packs()]:
        root = _root(path, problems)
        if root is None:
            continue
        any_named = False
        for item, real in _below(root):
            any_named = any_named or item.named
            if real not in found or (item.named and not found[real].named):
                found[real] = item
        if not any_named:
            problems.append(Problem(Place(path), "no-rules", "there is no YAML file in this folder"))
    return list(found.values())


def fingerprint(paths: Sequence[str]) -> str:
    """
    A digest of the names, sizes, times and inodes of the files of *paths*: another one means that something changed.

    Reads no file and never raises; what cannot be looked at counts as absent.
    """
    digest = hashlib.blake2b(digest_size=16)
    for item in find(paths, []):
        try:
            stat = Path(item.path).stat()
        except OSError:
            continue
        digest.update(f"{item.path}\0{stat.st_mtime_ns}\0{stat.st_size}\0{stat.st_ino}\n".encode(errors="replace"))
    return digest.hexdigest()


def _root(path: str, problems: list[Problem]) -> Path | None:
    if path.startswith(BUILTIN):
        name = path.removeprefix(BUILTIN)
        if name in builtin_packs():
            return builtin_root() / name
        known = ", ".join(BUILTIN + pack for pack in builtin_packs())
        message = f"there is no built-in pack '{name}'"
        problems.append(Problem(Place(path), "no-rules", message, suggestion=f"there are: {known}"))
        return None
    root = Path(path).expanduser()
    if not root.exists():
        problems.append(Problem(Place(path), "no-rules", "there is no such file or folder"))
        return None
    return root


def _below(root: Path) -> Iterator[tuple[Found, str]]:
    """
    The files of one path, after the lists that stand beside them: `lists` in their pack's folder and next to it; each
    with its real path.
    """
    above = _pack_above(root.parent if root.is_file() else root)
    if above is not None:
        for folder in (above.absolute().parent / "lists", above.absolute().parent.parent / "lists"):
            yield from _in_folder(folder, named=False)
    pack = str(above) if above is not None else None
    if root.is_file():
        yield _classified(str(root), root.name, root.parent.resolve().name, pack, whole=False), os.path.realpath(root)
        return
    yield from _in_folder(root, above=pack)


def _in_folder(root: Path, *, above: str | None = None, named: bool = True) -> Iterator[tuple[Found, str]]:
    """
    The YAML files below *root*, pack files first, in the order of their names; hidden ones and linked folders are left
    out. Not *named*: all of them are lists.
    """
    prefix = "" if root == Path() else f"{root}/".replace("//", "/")
    yield from _walked(prefix, f"{os.path.realpath(root)}/".replace("//", "/"), None, above, named=named)


# Texts, not Paths, from here on: a thousand rules are to be found in a few milliseconds.


def _walked(prefix: str, real: str, mine: str | None, above: str | None, *, named: bool) -> Iterator[tuple[Found, str]]:
    """The files of the folder that *prefix* begins the paths of, and *real* the real ones; *mine*: its pack."""
    try:
        with os.scandir(prefix or ".") as entries:
            listed = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return
    subfolders = sorted(entry.name for entry in listed if entry.is_dir(follow_symlinks=False))
    files = [entry for entry in listed if entry.name.endswith(SUFFIXES) and not entry.is_dir()]
    files.sort(key=lambda entry: _pack_first(entry.name))
    names = {entry.name for entry in files if entry.is_file()}
    mine = next((prefix + name for name in PACK_NAMES if name in names), mine)
    home = real.rstrip("/").rpartition("/")[2]
    for entry in files:
        path = prefix + entry.name
        if named:
            item = _classified(path, entry.name, home, mine or above, whole=mine is not None)
        else:
            item = Found(path, "list", named=False)
        yield item, os.path.realpath(path) if entry.is_symlink() else real + entry.name
    for name in subfolders:
        yield from _walked(f"{prefix}{name}/", f"{real}{name}/", mine, above, named=named)


def _classified(path: str, name: str, home: str, pack: str | None, *, whole: bool) -> Found:
    """What a file called *name*, in a folder called *home*, is."""
    if name in PACK_NAMES:
        return Found(path, "pack", path, whole)
    return Found(path, "list" if home == "lists" else "rule", pack, whole)


def _pack_first(name: str) -> tuple[bool, str]:
    return (name not in PACK_NAMES, name)


def _pack_file(folder: Path) -> Path | None:
    return _first_file(folder / name for name in PACK_NAMES)


def _first_file(candidates: Iterable[Path]) -> Path | None:
    return next((path for path in candidates if path.is_file()), None)


def _pack_above(folder: Path) -> Path | None:
    """The pack of what is named alone: in its own folder, or in one of the few above."""
    nearby = [folder, *folder.absolute().parents[:LEVELS]]
    return next((found for parent in nearby if (found := _pack_file(parent)) is not None), None)
