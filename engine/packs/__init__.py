"""
Rules, lists and packs from files: everything that is wrong with any of them is reported at once.

A rule file is one rule. A list file stands in a folder called `lists`. `pack.yaml` says what the rules in its folder
and below have in common. The models of all three are in `engine.packs.authored`; docs/rules.md is for their authors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.packs.files import builtin_packs, fingerprint

if TYPE_CHECKING:
    from engine.packs.loader import Examined, examine, load

DEFAULT: tuple[str, ...] = ()  # what `load` takes when nothing is named: every built-in pack

__all__ = ["DEFAULT", "Examined", "builtin_packs", "examine", "fingerprint", "load"]


def __getattr__(name: str) -> Any:
    """The loader's names, imported when they are asked for: rules from the cache need neither YAML nor models."""
    if name not in {"Examined", "examine", "load"}:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from engine.packs import loader  # noqa: PLC0415 see above

    return getattr(loader, name)
