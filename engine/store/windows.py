"""
The windows of rules with memory, their reorder buffer, watermarks and lags: what a store's transaction does for them.

The SQL is the same on every database; whoever runs it gives `_query` and `_many`. All writing belongs to the page's
transaction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from engine.correlate import Arrival, Hit, Key, Window, decode, encode
from engine.correlate.lateness import Lags
from engine.event import Identity

_HIT = msgspec.msgpack.Decoder(Hit)


@dataclass(frozen=True, slots=True)
class SourceWatch:
    """How far a source's windows have come, and how late its events are."""

    watermark: int | None
    late: int  # matches of rules with memory that came behind the watermark
    found_again: int  # events that only a second look found
    overlap: float | None  # seconds, of the last poll
    waiting: int  # matches that wait for the watermark
    windows: int


class Counted(Protocol):
    """The line of the ledger that takes the place of "counted" (an `engine.store.Verdict`)."""

    @property
    def event(self) -> Identity: ...
    @property
    def rule_id(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def alert_id(self) -> str: ...
    @property
    def detail(self) -> str: ...


class WindowRows(Protocol):
    """What a transaction does for rules with memory."""

    def watermark(self, source: str) -> int | None: ...
    def move_watermark(self, source: str, watermark: int) -> None: ...

    def hold(self, source: str, arrivals: Iterable[Arrival]) -> None:
        """Keep matches until the watermark has passed them; one that is there already is kept once."""
        ...

    def held(self, source: str, key: Key) -> int: ...

    def ready(self, source: str, watermark: int) -> list[Arrival]:
        """Take out the matches whose time has come, oldest first."""
        ...

    def due(self, source: str, watermark: int) -> list[Key]: ...
    def windows(self, source: str, keys: Iterable[Key]) -> dict[Key, Window]: ...

    def save_windows(
        self, source: str, windows: Mapping[Key, Window | None], due: Mapping[Key, int], known: Iterable[Key]
    ) -> set[tuple[str, str]]:
        """None deletes. *known* are those that were there before. Returns the (rule, meaning)s that got new windows."""
        ...

    def window_number(self, source: str, rule_id: str, means: str) -> int: ...
    def windows_in_all(self, source: str) -> int: ...

    def evict(self, source: str, rule_id: str, means: str, number: int) -> int:
        """Give up *number* windows, the least busy and then the oldest first, those that told something last."""
        ...

    def retell(self, verdicts: Iterable[Counted], at: float) -> None:
        """Put these in the place of "counted"; what has another outcome keeps it."""
        ...

    def note_lags(self, source: str, measure: str, lags: Mapping[str, Lags]) -> None: ...
    def lags(self, source: str, measure: str) -> dict[str, Lags]: ...
    def note_late(self, source: str, *, late: int = 0, found_again: int = 0) -> None: ...
    def note_overlap(self, source: str, seconds: float) -> None: ...
    def source_watch(self, source: str) -> SourceWatch: ...
    def sources_watched(self) -> list[str]: ...
    def windows_of(self, rule_id: str, limit: int = 100) -> list[tuple[str, Key, Window]]: ...


class SqlWindows(ABC):
    """WindowRows in SQL that SQLite and Postgres both read; placeholders are "?"."""

    @abstractmethod
    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows that the database answers with."""

    @abstractmethod
    def _many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """The same statement for each of *rows*."""

    def watermark(self, source: str) -> int | None:
        rows = self._query("SELECT watermark FROM sources WHERE name=?", (source,))
        return int(rows[0][0]) if rows and rows[0][0] is not None else None

    def move_watermark(self, source: str, watermark: int) -> None:
        self._many(
            "INSERT INTO sources (name, watermark) VALUES (?, ?) ON CONFLICT (name)"
            " DO UPDATE SET watermark=excluded.watermark",
            [(source, float(watermark))],
        )

    def hold(self, source: str, arrivals: Iterable[Arrival]) -> None:
        self._many(
            "INSERT INTO hits (source, time, rule_id, meaning, story, account, event_id, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [
                (source, hit.kept.time, *key, hit.kept.account, hit.kept.event_id, msgspec.msgpack.encode(hit))
                for key, hit in ((one.key, one.hit) for one in arrivals)
            ],
        )

    def held(self, source: str, key: Key) -> int:
        rows = self._query(
            "SELECT count(*) FROM hits WHERE source=? AND rule_id=? AND meaning=? AND story=?", (source, *key)
        )
        return int(rows[0][0])

    def ready(self, source: str, watermark: int) -> list[Arrival]:
        rows = self._query(
            "SELECT rule_id, meaning, story, body FROM hits WHERE source=? AND time<=? ORDER BY time, event_id",
            (source, watermark),
        )
        if rows:
            self._many("DELETE FROM hits WHERE source=? AND time<=?", [(source, watermark)])
        return [Arrival(Key(rule, means, bytes(story)), _HIT.decode(body)) for rule, means, story, body in rows]

    def due(self, source: str, watermark: int) -> list[Key]:
        rows = self._query("SELECT rule_id, meaning, story FROM windows WHERE source=? AND due<=?", (source, watermark))
        return [Key(rule, means, bytes(story)) for rule, means, story in rows]

    def windows(self, source: str, keys: Iterable[Key]) -> dict[Key, Window]:
        found = {}
        for key in keys:
            rows = self._query(
                "SELECT body FROM windows WHERE source=? AND rule_id=? AND meaning=? AND story=?", (source, *key)
            )
            if rows:
                found[key] = decode(bytes(rows[0][0]))
        return found

    def save_windows(
        self, source: str, windows: Mapping[Key, Window | None], due: Mapping[Key, int], known: Iterable[Key]
    ) -> set[tuple[str, str]]:
        before = set(known)
        kept = [(key, window) for key, window in windows.items() if window is not None]
        gone = [key for key, window in windows.items() if window is None and key in before]
        self._many(
            "INSERT INTO windows (source, rule_id, meaning, story, due, busy, last, told, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, rule_id, meaning, story) DO UPDATE SET"
            " due=excluded.due, busy=excluded.busy, last=excluded.last, told=excluded.told, body=excluded.body",
            [
                (source, *key, due[key], window.busy, window.newest, int(window.told), encode(window))
                for key, window in kept
            ],
        )
        self._many(
            "DELETE FROM windows WHERE source=? AND rule_id=? AND meaning=? AND story=?",
            [(source, *key) for key in gone],
        )
        change: dict[tuple[str, str], int] = {}
        for key, _ in kept:
            if key not in before:
                change[key[:2]] = change.get(key[:2], 0) + 1
        grown = {rule for rule, number in change.items() if number}
        for key in gone:
            change[key[:2]] = change.get(key[:2], 0) - 1
        self._count(source, change)
        return grown

    def _count(self, source: str, change: Mapping[tuple[str, str], int]) -> None:
        self._many(
            "INSERT INTO window_counts (source, rule_id, meaning, number) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (source, rule_id, meaning) DO UPDATE SET number=window_counts.number+excluded.number",
            [(source, *rule, number) for rule, number in change.items() if number],
        )

    def window_number(self, source: str, rule_id: str, means: str) -> int:
        rows = self._query(
            "SELECT number FROM window_counts WHERE source=? AND rule_id=? AND meaning=?", (source, rule_id, means)
        )
        return int(rows[0][0]) if rows else 0

    def windows_in_all(self, source: str) -> int:
        rows = self._query("SELECT coalesce(sum(number), 0) FROM window_counts WHERE source=?", (source,))
        return int(rows[0][0])

    def evict(self, source: str, rule_id: str, means: str, number: int) -> int:
        rows = self._query(
            "SELECT story FROM windows WHERE source=? AND rule_id=? AND meaning=? AND story<>?"
            " ORDER BY told, busy, last LIMIT ?",
            (source, rule_id, means, bytes(16), number),
        )
        self._many(
            "DELETE FROM windows WHERE source=? AND rule_id=? AND meaning=? AND story=?",
            [(source, rule_id, means, story) for (story,) in rows],
        )
        self._count(source, {(rule_id, means): -len(rows)})
        return len(rows)

    def retell(self, verdicts: Iterable[Counted], at: float) -> None:
        self._many(
            "UPDATE verdicts SET outcome=?, alert_id=?, detail=?, at=? WHERE event_id=? AND rule_id=? AND kind=?"
            " AND account=? AND outcome='counted'",
            [
                (v.outcome, v.alert_id, v.detail, at, v.event.event_id, v.rule_id, v.event.kind, v.event.account)
                for v in verdicts
            ],
        )

    def note_lags(self, source: str, measure: str, lags: Mapping[str, Lags]) -> None:
        self._many(
            "INSERT INTO lags (source, service, measure, bucket, count, most) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (source, service, measure, bucket) DO UPDATE SET count=lags.count+excluded.count,"
            " most=CASE WHEN lags.most > excluded.most THEN lags.most ELSE excluded.most END",
            [
                (source, service, measure, bucket, count, one.most)
                for service, one in lags.items()
                for bucket, count in one.counts.items()
            ],
        )

    def lags(self, source: str, measure: str) -> dict[str, Lags]:
        found: dict[str, Lags] = {}
        for service, bucket, count, most in self._query(
            "SELECT service, bucket, count, most FROM lags WHERE source=? AND measure=?", (source, measure)
        ):
            found.setdefault(service, Lags()).join({bucket: count}, most)
        return found

    def note_late(self, source: str, *, late: int = 0, found_again: int = 0) -> None:
        self._many(
            "UPDATE sources SET late=late+?, found_again=found_again+? WHERE name=?", [(late, found_again, source)]
        )

    def note_overlap(self, source: str, seconds: float) -> None:
        self._many("UPDATE sources SET overlap=? WHERE name=?", [(seconds, source)])

    def source_watch(self, source: str) -> SourceWatch:
        rows = self._query("SELECT watermark, late, found_again, overlap FROM sources WHERE name=?", (source,))
        ((waiting,),) = self._query("SELECT count(*) FROM hits WHERE source=?", (source,))
        if not rows:
            return SourceWatch(None, 0, 0, None, int(waiting), self.windows_in_all(source))
        watermark, late, found_again, overlap = rows[0]
        reached = None if watermark is None else int(watermark)
        return SourceWatch(reached, late, found_again, overlap, int(waiting), self.windows_in_all(source))

    def sources_watched(self) -> list[str]:
        return [name for (name,) in self._query("SELECT name FROM sources ORDER BY name")]

    def windows_of(self, rule_id: str, limit: int = 100) -> list[tuple[str, Key, Window]]:
        rows = self._query(
            "SELECT source, rule_id, meaning, story, body FROM windows WHERE rule_id=? ORDER BY told DESC, busy DESC,"
            " last DESC LIMIT ?",
            (rule_id, limit),
        )
        return [
            (source, Key(rule, means, bytes(story)), decode(bytes(body))) for source, rule, means, story, body in rows
        ]
