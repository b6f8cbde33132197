"""The functions that test a part of a text, as Python has them: to try a literal on the texts that are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from engine.functions import globbed, regex

HAS_PART: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": str.__contains__,
    "matches": lambda text, pattern: regex(pattern).search(text) is not None,
    "glob": lambda text, pattern: globbed(pattern).fullmatch(text) is not None,
}
CASES: Final[Mapping[str, Callable[[str], str]]] = {"lower": str.lower, "upper": str.upper}
