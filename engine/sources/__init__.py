"""
Sources: where records come from.

A source gives pages of raw records. It may give a record twice and in any order; it must never skip one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel

from engine.coverage import Coverage
from engine.event import Cursor, Page


class Source(Protocol):
    """One configured source, used by one thread at a time."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str:
        """The kind of its records."""
        ...

    def fetch(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        """
        Pages of records that happened from *since* up to *until* (UTC, aware), one network call at a time.

        The caller has already moved *since* back by the overlap. Without a cursor, begins an hour before *until*.
        Long spans are read in slices, oldest first; the last page of each slice carries the cursor that it completes.

        Raises SourceRefusedError when the key may not read audit events, SourceError for all else that keeps
        the pages from coming; what was yielded before stays good.
        """
        ...

    def coverage(self) -> Coverage | None:
        """
        Whether the account's write events are also delivered to a place where they stay; None if it has no such thing.

        Raises SourceError when the source cannot tell.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SourcePlugin:
    """What a module in `engine/sources/` exports as PLUGIN: its settings (strict) and how to build one from them."""

    settings: type[BaseModel]
    build: Callable[[str, Any], Source]  # (source name, settings instance)
