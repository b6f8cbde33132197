"""Which files `--rules` and the settings name, and whether they have changed since."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from engine.errors import Place, Problem

BUILTIN = "builtin:"
PACK_NAMES = ("pack.yaml", "pack.yml")
LEVELS = 4  # how far above a file its pack may be
SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Found:
    """One YAML file: what it is by its place, and the folder of the pack it belongs to."""

    path: Path
    role: Literal["rule", "list", "pack"]
    pack: Path | None = None  # the pack file that governs it
    whole: bool = True  # the whole folder of its pack is being loaded
    named: bool = True  # it stands in one of the paths; False: a list that comes along with them


def builtin_root() -> Path:
    """The folder of what Tocsin brings along."""
    return Path(str(resources.files("rules")))


def builtin_packs() -> list[str]:
    """The names of the built-in packs: "aws", "tencent"."""
    root = builtin_root()
    return sorted(entry.name for entry in root.iterdir() if _pack_file(entry) is not None)


def find(paths: Sequence[str], problems: list[Problem]) -> list[Found]:
    """
    The files of *paths* (files, folders, `builtin:NAME`; none: every built-in pack), each once, in a stable order.

    The built-in lists always come first. A path that names nothing is a Problem.
    """
    found: dict[Path, Found] = {}
    for item in _built_in_lists():
        found.setdefault(item.path.resolve(), item)
    for path in paths or [BUILTIN + name for name in builtin_packs()]:
        root = _root(path, problems)
        if root is None:
            continue
        known = list(_below(root))
        for item in known:
            path_to = item.path.resolve()
            if path_to not in found or (item.named and not found[path_to].named):
                found[path_to] = item
        if not any(item.path.is_relative_to(root) for item in known):
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
            stat = item.path.stat()
        except OSError:
            continue
        digest.update(f"{item.path}\0{stat.st_mtime_ns}\0{stat.st_size}\0{stat.st_ino}\n".encode(errors="replace"))
    return digest.hexdigest()


def _built_in_lists() -> Iterator[Found]:
    folder = builtin_root() / "lists"
    if folder.is_dir():
        yield from (Found(path, "list", named=False) for path in _yaml_files(folder))


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


def _below(root: Path) -> Iterator[Found]:
    """The files of one path, after the lists that stand beside them: `lists` in their pack's folder and next to it."""
    above = _pack_above(root.parent if root.is_file() else root)
    if above is not None:
        for folder in (above.absolute().parent / "lists", above.absolute().parent.parent / "lists"):
            yield from (Found(path, "list", named=False) for path in _yaml_files(folder))
    if root.is_file():
        yield _classified(root, above, whole=False)
        return
    packs: dict[Path, Path | None] = {}
    for path in _yaml_files(root):
        if path.parent not in packs:
            packs[path.parent] = _nearest_pack(path.parent, root)
        mine = packs[path.parent]
        yield _classified(path, mine or above, whole=mine is not None)


def _classified(path: Path, pack: Path | None, *, whole: bool) -> Found:
    if path.name in PACK_NAMES:
        return Found(path, "pack", path, whole)
    return Found(path, "list" if path.parent.resolve().name == "lists" else "rule", pack, whole)


def _yaml_files(root: Path) -> Iterator[Path]:
    """Below *root*, pack files first, in the order of their names; hidden files and folders are left out."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names, key=_pack_first) if _is_yaml(name))


def _pack_first(name: str) -> tuple[bool, str]:
    return (name not in PACK_NAMES, name)


def _is_yaml(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.startswith(".")


def _pack_file(folder: Path) -> Path | None:
    return _first_file(folder / name for name in PACK_NAMES)


def _first_file(candidates: Iterable[Path]) -> Path | None:
    return next((path for path in candidates if path.is_file()), None)


def _nearest_pack(folder: Path, root: Path) -> Path | None:
    while True:
        if (found := _pack_file(folder)) is not None:
            return found
        if folder == root:
            return None
        folder = folder.parent


def _pack_above(folder: Path) -> Path | None:
    """The pack of what is named alone: in its own folder, or in one of the few above."""
    nearby = [folder, *folder.absolute().parents[:LEVELS]]
    return next((found for parent in nearby if (found := _pack_file(parent)) is not None), None)
