"""
The store on SQLite: one file, one writer, durable at every commit.

WAL with `synchronous=FULL`: a commit has reached the disk when it returns. Every transaction begins IMMEDIATE: a
deferred one that turns from reading to writing fails at once with SQLITE_BUSY_SNAPSHOT, whatever the busy timeout says.
A lock file, not the database, keeps a second service out, so that `tocsin why` and its like can look in meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from itertools import repeat
from pathlib import Path
from typing import Any, cast

import msgspec

from engine import alert as alerts_
from engine.alert import Alert, Fault
from engine.dedup import Told
from engine.delivery import Delivery
from engine.errors import (
    AlreadyRunningError,
    ConfigurationError,
    Place,
    Problem,
    StoreDamagedError,
    StoreError,
    StoreFatalError,
    StoreFullError,
)
from engine.event import Cursor, Event, Identity, Quarantined
from engine.exceptions import Hidden
from engine.rule import Severity
from engine.store import (
    Attempt,
    Breaker,
    ChangedEvent,
    DeliveryState,
    Ledger,
    Queued,
    SeenEvent,
    Silence,
    SourceState,
    Verdict,
)
from engine.store import rows as rows_
from engine.store.windows import SqlWindows

BUSY_SECONDS = 30.0
REPLACED_MARK = "a damaged store was replaced"
REPLACED_SECONDS = 86400.0  # for so long, what is queued may have been sent under the store that was lost
CHECKED_BYTES = 256 * 2**20  # quick_check reads the whole file: a second or two for so much
AHEAD_SECONDS = 60.0  # what is stamped so much later than now was stamped by a clock that was ahead
FUTURE_SECONDS = 90 * 86400.0  # no event can be asked for longer than this


def open_store(path: str, *, hold: bool = False) -> SqliteStore:
    """
    The store in the file *path* (made with mode 0600 if it is not there; ":memory:" for one that nobody keeps).

    With *hold* no other holder is let in: raises AlreadyRunningError. Raises StoreError when the file cannot be used,
    ConfigurationError when a newer Tocsin wrote it.
    """
    return SqliteStore(path, hold=hold)


def open_or_replace(path: str, now: float) -> tuple[SqliteStore, str]:
    """
    The store in *path*, held; a damaged one is put aside as `PATH.corrupt-TIME` first (its name is the second value).

    It is damaged when it cannot be opened or does not pass a check, or when `damage_mark` says so. What is queued in
    the first day after that may have been sent already: it counts as ambiguous, so that a destination that can be
    asked is asked. Raises as `open_store` does, but for damage.
    """
    mark = damage_mark(path)
    try:
        store = open_store(path, hold=True)
        if not mark.exists():
            return store, ""
        store.close()
    except StoreDamagedError:
        pass  # it is put aside, which is told
    aside = f"{path}.corrupt-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}"
    with _said(path):
        held = _hold(path)  # nobody else may have it open while it moves
        try:
            for end in ("", "-wal", "-shm"):
                if Path(path + end).exists():
                    Path(path + end).rename(aside + end)
            mark.unlink(missing_ok=True)
        finally:
            os.close(held)
    store = open_store(path, hold=True)
    store.mark(REPLACED_MARK, now)
    return store, aside


def damage_mark(path: str) -> Path:
    """The file beside the store whose presence says that the store turned out damaged while it was used."""
    return Path(path + ".damaged")


def open_copy(path: str) -> SqliteStore:
    """A copy of the store in *path*, in memory: what is done to it leaves no trace. Empty if there is no such file."""
    copy = SqliteStore(":memory:")
    if Path(path).is_file():
        with _said(path), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as original:
            original.backup(copy.connection)
        copy.migrate()
    return copy


class SqliteStore:
    """engine.store.Store on one SQLite file. One connection, guarded by a lock: SQLite has one writer anyway."""

    def __init__(self, path: str, *, hold: bool = False) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._held: int | None = None
        with _said(path):
            if path != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if hold:
                    self._held = _hold(path)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            try:
                self._open(check=hold)
            except BaseException:
                self._let_go()
                raise

    def _open(self, *, check: bool) -> None:
        self.connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
            self.connection.execute("PRAGMA foreign_keys=ON")
            if check and _worth_checking(self.path):
                (said,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
                if said != "ok":
                    raise StoreDamagedError(f"store {self.path}: {said}")
            self.migrate()
        except BaseException:
            self.connection.close()
            raise

    def close(self) -> None:
        with self._lock:
            self.connection.close()
            self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    # --- writing

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        with self._lock, _said(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(self.connection)
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def _write(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        with self._lock, _said(self.path):
            return self.connection.execute(sql, parameters).rowcount

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, _said(self.path):
            return self.connection.execute(sql, parameters).fetchall()

    # --- sources

    def source_state(self, source: str) -> SourceState:
        rows = self._rows(
            "SELECT cursor, last_poll, last_error, last_error_at, last_second_look, events, last_event FROM sources"
            " WHERE name=?",
            (source,),
        )
        if not rows:
            return SourceState(source, None, None, "", None, None, 0)
        cursor, *rest = rows[0]
        return SourceState(source, None if cursor is None else Cursor(datetime.fromtimestamp(cursor, UTC)), *rest)

    def source_failed(self, source: str, error: str, at: float) -> None:
        self._write(
            "INSERT INTO sources (name, last_error, last_error_at) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET last_error=excluded.last_error, last_error_at=excluded.last_error_at",
            (source, error, at),
        )

    def hold_source(self, source: str, now: float, lease: float) -> bool:  # noqa: ARG002 nobody else can be there
        return True

    def rewind(self, source: str, cursor: Cursor) -> None:
        moment = cursor.until.timestamp()
        self._write(
            "UPDATE sources SET cursor=min(cursor, ?), last_second_look=min(last_second_look, ?) WHERE name=?",
            (moment, moment, source),
        )

    # --- the outbox

    def claim(self, destination: str, now: float, lease: float) -> Delivery | None:
        rows = self._rows(
            "UPDATE outbox SET ambiguous = ambiguous OR state = 'sending', state='sending', lease=?,"
            " attempts=attempts+1, updated=? WHERE id = ("
            f"  SELECT id FROM outbox WHERE destination=? AND state IN {rows_.OPEN} AND due<=?"
            "   AND (state != 'sending' OR lease<=?)"
            "   AND NOT EXISTS (SELECT 1 FROM breakers b WHERE b.destination=outbox.destination AND b.probe_at>?)"
            "  ORDER BY CASE WHEN destination IN (SELECT destination FROM breakers WHERE NOT refuses)"
            "   THEN attempts END, created, id LIMIT 1)"
            " RETURNING id, alert_id, attempts, ambiguous, created",
            (now + lease, now, destination, now, now, now),
        )
        if not rows:
            return None
        delivery_id, alert_id, attempts, ambiguous, created = rows[0]
        alert = self.find_alert(alert_id)
        if alert is None:  # the foreign key forbids it
            raise StoreError(f"delivery {delivery_id} has no alert {alert_id}: the store {self.path} is damaged")
        return Delivery(
            delivery_id,
            alert,
            destination,
            attempts,
            earlier_ambiguous=bool(ambiguous),
            queued=created,
            thread=self._receipt(alert.retracts, destination) if alert.retracts else "",
        )

    def _receipt(self, alert_id: str, destination: str) -> str:
        rows = self._rows(
            "SELECT receipt FROM outbox WHERE alert_id=? AND destination=? AND state='delivered'",
            (alert_id, destination),
        )
        return str(rows[0][0]) if rows else ""

    def settle(
        self,
        delivery: Delivery,
        state: DeliveryState,
        at: float,
        *,
        due: float = 0.0,
        reason: str = "",
        receipt: str = "",
    ) -> None:
        with self.transaction() as tx:
            tx.settle(delivery, state, at, due=due, reason=reason, receipt=receipt)

    def release(self, now: float) -> int:
        with self.transaction():
            self.connection.execute("UPDATE breakers SET probe_at=min(probe_at, ?) WHERE NOT refuses", (now,))
            return self.connection.execute(
                "UPDATE outbox SET state='ambiguous', ambiguous=1, due=?, lease=0, updated=?,"
                " reason='the process ended while it was being sent' WHERE state='sending'",
                (now, now),
            ).rowcount

    def next_due(self, destination: str) -> float | None:
        rows = self._rows(
            "SELECT min(CASE state WHEN 'sending' THEN max(lease, due) ELSE due END),"
            " (SELECT probe_at FROM breakers WHERE destination=?) FROM outbox"
            f" WHERE destination=? AND state IN {rows_.OPEN}",
            (destination, destination),
        )
        due, probe_at = rows[0]
        return None if due is None else max(due, probe_at or 0.0)

    def break_destination(
        self, destination: str, reason: str, at: float, probe_at: float, *, refuses: bool = True
    ) -> bool:
        with self.transaction():
            new = self.connection.execute(
                "INSERT INTO breakers (destination, since, probe_at, reason, refuses) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (destination) DO NOTHING",
                (destination, at, probe_at, reason, refuses),
            ).rowcount
            if not new:
                self.connection.execute(
                    "UPDATE breakers SET reason=?, probe_at=?, refuses=? WHERE destination=? AND (? OR NOT refuses)",
                    (reason, probe_at, refuses, destination, refuses),
                )
            return new == 1

    def mend_destination(self, destination: str, at: float) -> bool:
        if not self._rows(rows_.TROUBLED.format("?"), (destination, destination)):
            return False
        with self.transaction():
            execute = self.connection.execute
            execute("DELETE FROM failing WHERE destination=?", (destination,))
            broken = execute("DELETE FROM breakers WHERE destination=?", (destination,)).rowcount
            if broken:
                execute(
                    f"UPDATE outbox SET due=? WHERE destination=? AND state IN {rows_.WAITING} AND due>?",
                    (at, destination, at),
                )
            return broken == 1

    def count_failure(self, destination: str, delivery_id: str, at: float, *, gap: float) -> int:
        with self.transaction():
            execute = self.connection.execute
            if execute("DELETE FROM failing WHERE destination=? AND at<?", (destination, at - gap)).rowcount:
                execute("DELETE FROM breakers WHERE destination=? AND NOT refuses", (destination,))
            rows = execute(
                "INSERT INTO failing (destination, failures, delivery_id, at) VALUES (?, 1, ?, ?)"
                " ON CONFLICT (destination) DO UPDATE SET failures=failures"
                "  + (delivery_id!=excluded.delivery_id OR destination IN (SELECT destination FROM breakers)),"
                " delivery_id=excluded.delivery_id, at=excluded.at RETURNING failures",
                (destination, delivery_id, at),
            ).fetchall()
            return int(rows[0][0])

    def give_up(self, destination: str, queued_before: float, at: float, reason: str) -> int:
        return self._write(
            "UPDATE outbox SET state='dead', due=0, updated=?, reason=? WHERE destination=? AND created<=?"
            f" AND state IN {rows_.WAITING}",
            (at, reason, destination, queued_before),
        )

    def postpone_probe(self, destination: str, probe_at: float) -> None:
        self._write("UPDATE breakers SET probe_at=? WHERE destination=?", (probe_at, destination))

    def breakers(self) -> list[Breaker]:
        return [rows_.breaker(row) for row in self._rows(rows_.SELECT_BREAKERS)]

    def escalate(self, delivery_id: str, to: tuple[str, str] | None, at: float, cause: str) -> bool:
        with self.transaction():
            execute = self.connection.execute
            changed = execute("UPDATE outbox SET escalated=1 WHERE id=? AND NOT escalated", (delivery_id,)).rowcount
            if not changed or to is None:
                return False
            new = execute(
                "INSERT INTO outbox (id, alert_id, destination, state, due, created, updated, escalated_from, cause)"
                " SELECT ?, alert_id, ?, 'queued', ?, ?, ?, id, ? FROM outbox WHERE id=? ON CONFLICT (id) DO NOTHING",
                (*to, at, at, at, cause, delivery_id),
            ).rowcount
            return new == 1

    def overdue(self, before: float, *, severity: Severity, limit: int = 100) -> list[Queued]:
        with self.transaction():
            rows = self.connection.execute(
                "SELECT o.id, json_extract(CAST(a.body AS TEXT), '$.severity') FROM ("
                " SELECT id, alert_id FROM outbox WHERE state IN ('dead', 'refused') AND NOT escalated"
                " UNION ALL"
                f" SELECT id, alert_id FROM outbox WHERE state IN {rows_.OPEN} AND NOT escalated"
                "  AND (created<=? OR destination IN (SELECT destination FROM breakers WHERE refuses)) LIMIT 1000"
                ") o JOIN alerts a ON a.id = o.alert_id",
                (before,),
            ).fetchall()
            # The rest is passed over for good, so that a long queue is not looked through again and again.
            self.connection.executemany(
                "UPDATE outbox SET escalated=1 WHERE id=?", [(name,) for name, level in rows if level < severity]
            )
        severe = [name for name, level in rows if level >= severity][:limit]
        found = (self.find_delivery(name) for name in severe)
        return [queued for queued in found if queued is not None]

    def requeue(self, delivery_id: str, at: float) -> bool:
        with self.transaction():
            changed = self.connection.execute(
                "UPDATE outbox SET state='queued', due=?, created=?, updated=?, escalated=0, reason='retried by hand'"
                " WHERE id=? AND state NOT IN ('sending', 'delivered')",
                (at, at, at, delivery_id),
            ).rowcount
            self.connection.execute(  # who asks for it has mended the destination, or wants to know
                "UPDATE breakers SET probe_at=? WHERE destination=(SELECT destination FROM outbox WHERE id=?)",
                (at, delivery_id),
            )
            return changed == 1

    def drop(self, delivery_id: str, at: float, reason: str) -> bool:
        changed = self._write(
            "UPDATE outbox SET state='dropped', updated=?, reason=? WHERE id=?"
            " AND state NOT IN ('sending', 'delivered', 'dropped')",
            (at, reason, delivery_id),
        )
        return changed == 1

    # --- asking

    def alerts(self, *, limit: int = 50, rule_id: str | None = None) -> list[Alert]:
        condition, parameters = ("WHERE rule_id=?", [rule_id]) if rule_id else ("", [])
        rows = self._rows(
            f"SELECT body FROM alerts {condition} ORDER BY created DESC, id LIMIT ?",
            [*parameters, limit],
        )
        return [alerts_.decode(body) for (body,) in rows]

    def find_alert(self, alert_id: str) -> Alert | None:
        rows = self._rows("SELECT body FROM alerts WHERE id=?", (alert_id,))
        return alerts_.decode(rows[0][0]) if rows else None

    def deliveries(
        self, *, states: Sequence[DeliveryState] = (), alert_id: str | None = None, limit: int = 100
    ) -> list[Queued]:
        conditions: list[str] = ["1"]
        parameters: list[Any] = []
        if states:
            conditions.append(f"o.state IN ({', '.join('?' * len(states))})")
            parameters += states
        if alert_id:
            conditions.append("o.alert_id=?")
            parameters.append(alert_id)
        rows = self._rows(
            f"{rows_.SELECT_QUEUED} WHERE {' AND '.join(conditions)} ORDER BY o.created DESC, o.id LIMIT ?",
            [*parameters, limit],
        )
        return [rows_.queued(row) for row in rows]

    def find_delivery(self, delivery_id: str) -> Queued | None:
        rows = self._rows(
            f"{rows_.SELECT_QUEUED} WHERE o.id=?",
            (delivery_id,),
        )
        return rows_.queued(rows[0]) if rows else None

    def attempts(self, delivery_id: str) -> list[Attempt]:
        rows = self._rows(
            "SELECT number, at, state, reason, receipt FROM attempts WHERE delivery_id=? ORDER BY number",
            (delivery_id,),
        )
        return [Attempt(*row) for row in rows]

    def verdicts(self, event_id: str) -> list[tuple[Verdict, float]]:
        rows = self._rows(
            "SELECT kind, account, event_id, rule_id, outcome, alert_id, detail, at FROM verdicts"
            " WHERE event_id=? ORDER BY at, rule_id",
            (event_id,),
        )
        return [
            (Verdict(Identity(kind, account, event), rule_id, outcome, alert_id, detail), at)
            for kind, account, event, rule_id, outcome, alert_id, detail, at in rows
        ]

    def seen(self, event_id: str) -> list[SeenEvent]:
        found = []
        for kind, account in self._rows("SELECT kind, account FROM accounts"):
            identity = Identity(kind, account, event_id)
            rows = self._rows("SELECT at FROM seen WHERE id=?", (rows_.key(identity),))
            found += [SeenEvent(identity, at) for (at,) in rows]
        return found

    def changed(self, event_id: str) -> list[ChangedEvent]:
        found = []
        for kind, account in self._rows("SELECT kind, account FROM accounts"):
            identity = Identity(kind, account, event_id)
            rows = self._rows("SELECT source, at FROM changed WHERE id=? ORDER BY at, body", (rows_.key(identity),))
            found += [ChangedEvent(identity, *row) for row in rows]
        return found

    def faults(self, limit: int = 100) -> list[Mapping[str, Any]]:
        names = ("rule_id", "message", "event_id", "count", "first_at", "last_at")
        rows = self._rows(f"SELECT {', '.join(names)} FROM faults ORDER BY last_at DESC LIMIT ?", (limit,))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def quarantined(self, limit: int = 100) -> list[Mapping[str, Any]]:
        names = ("source", "kind", "reason", "place", "raw", "at")
        rows = self._rows(f"SELECT {', '.join(names)} FROM quarantine ORDER BY at DESC LIMIT ?", (limit,))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def counts(self) -> Mapping[str, int]:
        counted: dict[str, int] = {}
        for name, sql in (
            ("events", "SELECT count(*) FROM seen"),
            ("matches", "SELECT count(*) FROM verdicts"),
            ("alerts", "SELECT count(*) FROM alerts"),
            ("faults", "SELECT coalesce(sum(count), 0) FROM faults"),
            ("quarantined", "SELECT count(*) FROM quarantine"),
        ):
            counted[name] = self._rows(sql)[0][0]
        for outcome, number in self._rows("SELECT outcome, count(*) FROM verdicts GROUP BY outcome"):
            counted[f"verdict.{outcome}"] = number
        for state, number in self._rows("SELECT state, count(*) FROM outbox GROUP BY state"):
            counted[f"delivery.{state}"] = number
        return counted

    def ledger(self) -> Ledger:
        with self._lock, _said(self.path):
            ((matches,),) = self.connection.execute("SELECT value FROM ledger WHERE name='matches'").fetchall()
            outcomes = dict(self.connection.execute("SELECT outcome, count(*) FROM verdicts GROUP BY outcome"))
            ((untold,),) = self.connection.execute(
                "SELECT count(*) FROM verdicts v WHERE outcome='alert'"
                " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.alert_id=v.alert_id)"
            ).fetchall()
        return Ledger(matches, outcomes, untold)

    def faults_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        rows = self._rows(
            "SELECT rule_id, sum(count), message, max(last_at) FROM faults WHERE last_at>? GROUP BY rule_id", (at,)
        )
        return {name: (number, text) for name, number, text, _ in rows}

    def quarantined_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        rows = self._rows("SELECT source, count(*), reason, max(at) FROM quarantine WHERE at>? GROUP BY source", (at,))
        return {name: (number, text) for name, number, text, _ in rows}

    def changed_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        rows = self._rows(
            "SELECT source, count(DISTINCT id), event_id, max(at) FROM changed WHERE at>? GROUP BY source", (at,)
        )
        return {name: (number, event_id) for name, number, event_id, _ in rows}

    def ended_badly_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        rows = self._rows(
            "SELECT o.destination, count(*), o.reason, max(o.updated) FROM outbox o JOIN alerts a ON a.id = o.alert_id"
            " WHERE o.state IN ('dead', 'refused') AND o.updated>? AND a.rule_id NOT LIKE 'tocsin.meta.%'"
            " GROUP BY o.destination",
            (at,),
        )
        return {name: (number, text) for name, number, text, _ in rows}

    def waiting(self) -> Mapping[str, int]:
        rows = self._rows(f"SELECT destination, count(*) FROM outbox WHERE state IN {rows_.OPEN} GROUP BY destination")
        return {destination: number for destination, number in rows}  # noqa: C416 a row is no pair to the type checker

    def last_raised(self, rule_id: str) -> float | None:
        return cast("float | None", self._rows("SELECT max(created) FROM alerts WHERE rule_id=?", (rule_id,))[0][0])

    def last_delivered(self, rule_id: str) -> float | None:
        rows = self._rows(
            "SELECT max(o.updated) FROM outbox o JOIN alerts a ON a.id = o.alert_id"
            " WHERE a.rule_id=? AND o.state='delivered'",
            (rule_id,),
        )
        return cast("float | None", rows[0][0])

    def deliveries_open(self) -> tuple[int, float | None]:
        ((number, oldest),) = self._rows(f"SELECT count(*), min(created) FROM outbox WHERE state IN {rows_.OPEN}")
        return number, oldest

    # --- exceptions

    def exceptions_loaded(self, exceptions: Mapping[str, str], at: float) -> None:
        with self.transaction():
            self.connection.executemany(
                "INSERT INTO exceptions (id, rule_id, loaded) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
                [(key, rule_id, at) for key, rule_id in exceptions.items()],
            )

    def exceptions(self) -> Mapping[str, tuple[float, Hidden | None]]:
        rows = self._rows("SELECT id, loaded, body FROM exceptions")
        return {key: (loaded, rows_.hidden(body)) for key, loaded, body in rows}

    def accept_hidden(self, exception: str) -> bool:
        with self.transaction() as tx:
            rows = self.connection.execute("SELECT rule_id, loaded FROM exceptions WHERE id=?", (exception,)).fetchall()
            hidden = tx.hidden(exception)
            if rows and hidden is not None:
                tx.save_hidden(exception, rows[0][0], replace(hidden, novel=()), rows[0][1])
            return bool(rows)

    # --- silences

    def add_silence(self, silence: Silence) -> None:
        self._write(
            "INSERT INTO silences (id, match, author, comment, starts, ends) VALUES (?, ?, ?, ?, ?, ?)",
            (silence.id, silence.match, silence.author, silence.comment, silence.starts, silence.ends),
        )

    def silences(self, at: float | None = None) -> list[Silence]:
        rows = self._rows("SELECT id, match, author, comment, starts, ends FROM silences ORDER BY starts, id")
        found = [Silence(*row) for row in rows]
        return found if at is None else [s for s in found if s.starts <= at < s.ends]

    def expire_silence(self, silence_id: str, at: float) -> bool:
        return self._write("UPDATE silences SET ends=? WHERE id=? AND ends>?", (at, silence_id, at)) == 1

    # --- upkeep

    def mark(self, name: str, at: float | None = None) -> float | None:
        if at is not None:
            self._write(
                "INSERT INTO marks (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at=excluded.at", (name, at)
            )
        rows = self._rows("SELECT at FROM marks WHERE name=?", (name,))
        return rows[0][0] if rows else None

    def shift_clock(self, step: float, now: float) -> None:
        with self.transaction():
            execute = self.connection.execute
            execute(
                "UPDATE outbox SET due=due+?, created=created+?, lease=lease+?, updated=updated+?"
                f" WHERE state IN {rows_.OPEN}",
                (step,) * 4,
            )
            execute(  # what is stamped later than now was written under a clock that nobody saw being set back
                "UPDATE outbox SET due=due-(updated-:now), lease=max(0, lease-(updated-:now)),"
                f" created=min(created, :now), updated=:now WHERE updated>:ahead AND state IN {rows_.OPEN}",
                {"now": now, "ahead": now + AHEAD_SECONDS},
            )
            execute("UPDATE breakers SET since=since+?, probe_at=probe_at+?", (step, step))
            execute("UPDATE breakers SET since=?, probe_at=? WHERE since>?", (now, now, now))
            execute("UPDATE failing SET at=min(at+?, ?)", (step, now))
            execute("UPDATE told SET at=? WHERE at>?", (now, now))
            execute("UPDATE sources SET last_poll=min(last_poll, ?) WHERE last_poll>?", (now, now))
            execute("UPDATE sources SET last_event=? WHERE last_event>?", (now, now))
            execute("UPDATE sources SET last_second_look=? WHERE last_second_look>?", (now, now))

    def probe(self) -> None:
        with self.transaction():
            # Pages of its own, so that a few free bytes in a page that is there do not tell of space that is not.
            self.connection.execute("CREATE TABLE space_probe AS SELECT zeroblob(65536) AS filling")
            self.connection.execute("DROP TABLE space_probe")

    def redaction_key(self) -> bytes:
        with self.transaction():
            rows = self.connection.execute("SELECT value FROM meta WHERE name='redaction_key'").fetchall()
            if rows:
                return bytes(rows[0][0])
            key = secrets.token_bytes(32)
            self.connection.execute("INSERT INTO meta (name, value) VALUES ('redaction_key', ?)", (key,))
            return key

    def expire(self, *, seen_before: float, history_before: float) -> None:
        with self.transaction():
            delete = self.connection.execute
            delete("DELETE FROM seen WHERE at<?", (int(seen_before),))
            delete("DELETE FROM changed WHERE at<?", (history_before,))
            delete("DELETE FROM silences WHERE ends<?", (history_before,))
            delete("DELETE FROM quarantine WHERE at<?", (history_before,))
            delete("DELETE FROM faults WHERE last_at<?", (history_before,))
            forgotten = delete("DELETE FROM verdicts WHERE at<?", (history_before,)).rowcount
            delete("UPDATE ledger SET value=value-? WHERE name='matches'", (forgotten,))
            delete("DELETE FROM told WHERE at<?", (history_before,))
            delete(f"DELETE FROM outbox WHERE updated<? AND state NOT IN {rows_.OPEN}", (history_before,))
            delete(
                "DELETE FROM alerts WHERE created<?"
                " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.alert_id = alerts.id)"
                " AND NOT EXISTS (SELECT 1 FROM told t WHERE t.alert_id = alerts.id)",
                (history_before,),
            )

    def migrate(self) -> None:
        """Numbered SQL files, each in its own transaction; `user_version` says how far it has come."""
        steps = sorted(
            (p for p in files("engine.store").joinpath("migrations").iterdir() if p.name.endswith(".sql")),
            key=lambda p: p.name,
        )
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version > len(steps):
            raise ConfigurationError(
                [
                    Problem(
                        Place(self.path),
                        "newer-store",
                        f"this store has schema {version}, of a newer Tocsin; this one knows up to {len(steps)}",
                        suggestion="upgrade Tocsin, or point `store` at another file",
                    )
                ]
            )
        for number, step in enumerate(steps[version:], start=version + 1):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                (current,) = self.connection.execute("PRAGMA user_version").fetchone()
                if current < number:  # another process may have been faster
                    for statement in _statements(step.read_text(encoding="utf-8")):
                        self.connection.execute(statement)
                    self.connection.execute(f"PRAGMA user_version={number}")
                self.connection.execute("COMMIT")
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise


class SqliteTransaction(SqlWindows):
    """engine.store.Transaction: lives between BEGIN IMMEDIATE and COMMIT of one store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, parameters).fetchall()

    def _many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self._db.executemany(sql, rows)

    def unseen(self, events: Sequence[Event], at: float, bodies: Sequence[int] = ()) -> list[Event]:
        fresh = []
        for event, body in zip(events, bodies or repeat(None), strict=False):  # repeat() has no end
            new = self._db.execute(
                "INSERT INTO seen (id, at, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                # Kept until its own time and ours are past, so that a future-dated event is not forgotten too soon.
                (rows_.key(event.identity), int(min(max(event.time, at), at + FUTURE_SECONDS)), body),
            ).rowcount
            if new:
                fresh.append(event)
        self._db.executemany(
            "INSERT INTO accounts (kind, account) VALUES (?, ?) ON CONFLICT DO NOTHING",
            {(event.kind, event.account) for event in fresh},
        )
        return fresh

    def note_changed(self, source: str, events: Sequence[Event], at: float, bodies: Sequence[int]) -> int:
        return sum(
            self._db.execute(
                "INSERT INTO changed (id, body, event_id, source, at) SELECT id, ?, ?, ?, ? FROM seen"
                " WHERE id=? AND body!=? ON CONFLICT DO NOTHING",
                (body, event.event_id, source, at, rows_.key(event.identity), body),
            ).rowcount
            for event, body in zip(events, bodies, strict=True)
        )

    def told(self, fingerprint: str) -> Told | None:
        row = self._db.execute("SELECT alert_id, severity, at FROM told WHERE fingerprint=?", (fingerprint,)).fetchone()
        return Told(row[0], Severity(row[1]), row[2]) if row else None

    def alert(self, alert_id: str) -> Alert | None:
        row = self._db.execute("SELECT body FROM alerts WHERE id=?", (alert_id,)).fetchone()
        return alerts_.decode(row[0]) if row else None

    def save_alert(self, alert: Alert) -> None:
        self._db.execute(
            "INSERT INTO alerts (id, rule_id, fingerprint, created, body) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body=excluded.body",
            (alert.id, alert.rule_id, alert.fingerprint, alert.created, alerts_.encode(alert)),
        )

    def save_told(self, fingerprint: str, told: Told) -> None:
        self._db.execute(
            "INSERT INTO told (fingerprint, alert_id, severity, at) VALUES (?, ?, ?, ?) ON CONFLICT (fingerprint)"
            " DO UPDATE SET alert_id=excluded.alert_id, severity=excluded.severity, at=excluded.at",
            (fingerprint, told.alert_id, int(told.severity), told.at),
        )

    def queue(self, delivery_id: str, alert_id: str, destination: str, due: float) -> None:
        self._db.execute(
            "INSERT INTO outbox (id, alert_id, destination, state, due, created, updated, ambiguous)"
            " VALUES (?, ?, ?, 'queued', ?, ?, ?, EXISTS (SELECT 1 FROM marks WHERE name=? AND at>?))"
            " ON CONFLICT (id) DO NOTHING",
            (delivery_id, alert_id, destination, due, due, due, REPLACED_MARK, due - REPLACED_SECONDS),
        )

    def record(self, verdicts: Iterable[Verdict], at: float, *, matches: int | None = None) -> None:
        rows = [(*v.event, v.rule_id, v.outcome, v.alert_id, v.detail, at) for v in verdicts]
        written = self._db.executemany(
            "INSERT INTO verdicts (kind, account, event_id, rule_id, outcome, alert_id, detail, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            rows,
        ).rowcount
        known = len(rows) - max(written, 0)
        found = (len(rows) if matches is None else matches) - known
        if found:
            self._db.execute("UPDATE ledger SET value=value+? WHERE name='matches'", (found,))

    def save_faults(self, faults: Iterable[Fault], at: float) -> None:
        self._db.executemany(
            "INSERT INTO faults (rule_id, message, event_id, count, first_at, last_at) VALUES (?, ?, ?, 1, ?, ?)"
            " ON CONFLICT (rule_id, message) DO UPDATE SET count=count+1, event_id=excluded.event_id,"
            " last_at=excluded.last_at",
            [(fault.rule_id, fault.message, fault.event.event_id, at, at) for fault in faults],
        )

    def quarantine(self, source: str, items: Iterable[Quarantined], at: float) -> int:
        new = 0
        for item in items:
            new += self._db.execute(
                "INSERT INTO quarantine (digest, source, kind, reason, place, raw, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (digest) DO NOTHING",
                (rows_.digest(item.raw), source, item.kind, item.reason, item.place, item.raw, at),
            ).rowcount
        return new

    def move_cursor(self, source: str, cursor: Cursor) -> None:
        self._db.execute(
            "INSERT INTO sources (name, cursor) VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
            " SET cursor=max(coalesce(cursor, excluded.cursor), excluded.cursor)",
            (source, cursor.until.timestamp()),
        )

    def polled(self, source: str, at: float, *, new_events: int, second_look: bool = False) -> None:
        self._db.execute(
            "INSERT INTO sources (name, last_poll, last_second_look, events, last_event) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET last_poll=excluded.last_poll, last_error='',"
            " last_second_look=coalesce(excluded.last_second_look, last_second_look), events=events+excluded.events,"
            " last_event=CASE WHEN excluded.events>0 THEN excluded.last_event"
            " ELSE coalesce(last_event, excluded.last_event) END",
            (source, at, at if second_look else None, new_events, at),
        )

    def hidden(self, exception: str) -> Hidden | None:
        row = self._db.execute("SELECT body FROM exceptions WHERE id=?", (exception,)).fetchone()
        return rows_.hidden(row[0]) if row else None

    def save_hidden(self, exception: str, rule_id: str, hidden: Hidden, at: float) -> None:
        self._db.execute(
            "INSERT INTO exceptions (id, rule_id, loaded, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body=excluded.body",
            (exception, rule_id, at, msgspec.json.encode(hidden)),
        )

    def settle(
        self, delivery: Delivery, state: DeliveryState, at: float, *, due: float, reason: str, receipt: str
    ) -> None:
        self._db.execute(
            "UPDATE outbox SET state=?, due=?, lease=0, ambiguous = ambiguous OR ?, updated=?, reason=?, receipt=?"
            " WHERE id=?",
            (state, due, state == "ambiguous", at, reason, receipt, delivery.id),
        )
        self._db.execute(
            "INSERT INTO attempts (delivery_id, number, at, state, reason, receipt) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (delivery.id, delivery.attempt, at, state, reason, receipt),
        )


def _statements(script: str) -> Iterator[str]:
    """The statements of a migration, one by one: executescript would commit the transaction around them."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _hold(path: str) -> int:
    """Hold *path* for this process; the kernel lets go of it when the process ends, however it ends."""
    lock = os.open(path + ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise AlreadyRunningError(f"another tocsin (process {owner}) holds the store {path}") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


@contextmanager
def _said(path: str) -> Iterator[None]:
    """Failures of disk and database under the name of the store they happened to, by what can be done about them."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _failure(error)(f"store {path}: {error}") from error


def _failure(error: sqlite3.Error | OSError) -> type[StoreError]:
    if isinstance(error, OSError):
        return StoreFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
    code = getattr(error, "sqlite_errorcode", 0)  # extended result codes: sqlite.org/rescode.html
    if code in (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC):
        return StoreFatalError
    return {
        sqlite3.SQLITE_FULL: StoreFullError,
        sqlite3.SQLITE_CORRUPT: StoreDamagedError,
        sqlite3.SQLITE_NOTADB: StoreDamagedError,
    }.get(code & 0xFF, StoreError)


def _worth_checking(path: str) -> bool:
    """Whether a check of the whole file at the start takes no longer than people wait for a start."""
    return path != ":memory:" and Path(path).stat().st_size <= CHECKED_BYTES
