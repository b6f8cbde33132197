"""Noun: are the events of an account also kept somewhere? It is what a thief switches off first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether every write event of the account is delivered somewhere; *reason* is one sentence for a person."""

    covered: bool
    reason: str
    by: tuple[str, ...] = ()  # names of the tracking sets that cover all of them
