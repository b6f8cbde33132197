"""A finding about a rule file, before it has a line and a column."""

from __future__ import annotations

from dataclasses import dataclass

from engine.strict_yaml import Loc


@dataclass(frozen=True, slots=True)
class Note:
    """
    Something doubtful at *loc*, the path of keys and indexes of a value in the file: at a character of it (*offset*),
    or at its key. Errors keep the rule from being loaded, warnings do not.
    """

    loc: Loc
    code: str
    message: str
    suggestion: str | None = None
    error: bool = False
    offset: int | None = None
