"""
The store on Postgres: the same contract, for several processes at once.

A page's events are claimed by INSERT … ON CONFLICT DO NOTHING: a second worker with the same event waits for the first
one's COMMIT and then finds it known, or, when that worker died, takes it over. Fetching, decoding and evaluating go on
side by side; whatever is decided from what is remembered (told, windows, ledger) is decided by one worker at a time, by
an advisory lock that every transaction takes with its first such step and keeps to its COMMIT. Rows are locked in one
order only (seen ids, sorted; that lock; all else), so that two workers with the same events cannot block each other.

Deliveries are claimed by FOR UPDATE SKIP LOCKED, so any number of senders may run; sources are polled by whoever holds
their lease. Leases are in the callers' time: the machines' clocks must agree to within a few seconds.

A connection that is cut at COMMIT leaves open whether it happened. Every write here may therefore be done twice: known
ids conflict with themselves, a claim carries a mark of its own, and an attempt's number fences what is settled late.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import repeat
from typing import Any, Final, cast

import msgspec

from engine import alert as alerts_
from engine.alert import Alert, Fault
from engine.correlate.lateness import Lags
from engine.dedup import Told
from engine.delivery import Delivery
from engine.errors import ConfigurationError, Place, Problem, StoreError
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
from engine.store.postgres_link import Connection, Link, Parameters
from engine.store.sqlite import SqliteStore
from engine.store.windows import SqlWindows

FUTURE_SECONDS: Final = 90 * 86400.0  # no event can be asked for longer than this
CLOCKS_APART: Final = 30.0  # seconds; leases are a minute and more
# Advisory locks are numbers; these are ours in a database that should be ours alone.
_DECIDING: Final = 0x746F6373  # "tocs"
_MIGRATING: Final = 0x746F636D


def open_store(url: str) -> PostgresStore:
    """
    The store in the database that *url* names; its tables are made, or brought up to date, first.

    Raises StoreError when there is no way to it, ConfigurationError when a newer Tocsin wrote it.
    """
    return PostgresStore(url)


def open_copy(url: str) -> SqliteStore:
    """A copy of the store, in memory: what is done to it leaves no trace. Empty where there is no store yet."""
    copy, link = SqliteStore(":memory:"), Link(url)
    try:
        with link.transaction() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if _version(connection):
                _copy(connection, copy)
    except BaseException:
        copy.close()
        raise
    finally:
        link.close()
    return copy


def schema_of(url: str) -> int:
    """The number of the last migration in the database, 0 for none; nothing is changed. Raises StoreError."""
    link = Link(url)
    try:
        return link.repeated(_version, ())
    finally:
        link.close()


class PostgresStore:
    """engine.store.Store on one Postgres database, shared with other processes."""

    def __init__(self, url: str, *, link: Link | None = None) -> None:
        self._link = link or Link(url)
        self._holder = uuid.uuid4().hex
        self.path = self._link.shown  # as SQLite's: what may be shown of where it is
        try:
            self.migrate()
        except BaseException:
            self._link.close()
            raise

    def close(self) -> None:
        """Idempotent. What it held, another may take at once."""
        with suppress(StoreError):  # the server is gone, or we are closed already: the leases end by themselves
            self._write("DELETE FROM holders WHERE holder=%s", (self._holder,))
        self._link.close()

    # --- writing

    @contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        with self._link.transaction() as connection:
            yield PostgresTransaction(connection)

    @contextmanager
    def _deciding(self) -> Iterator[Connection]:
        """A transaction that changes what decisions are made from."""
        with self._link.transaction() as connection:
            _alone(connection)
            yield connection

    def _write(self, sql: str, parameters: Parameters = ()) -> int:
        return self._link.execute(sql, parameters)[1]

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._link.execute(sql, parameters)[0]

    # --- sources

    def hold_source(self, source: str, now: float, lease: float) -> bool:
        rows = self._rows(
            "INSERT INTO holders (source, holder, lease) VALUES (%s, %s, %s) ON CONFLICT (source) DO UPDATE"
            " SET holder=excluded.holder, lease=excluded.lease"
            " WHERE holders.holder=excluded.holder OR holders.lease<=%s RETURNING holder",
            (source, self._holder, now + lease, now),
        )
        return bool(rows)

    def source_state(self, source: str) -> SourceState:
        rows = self._rows(
            "SELECT cursor, last_poll, last_error, last_error_at, last_second_look, events, last_event FROM sources"
            " WHERE name=%s",
            (source,),
        )
        if not rows:
            return SourceState(source, None, None, "", None, None, 0)
        cursor, *rest = rows[0]
        return SourceState(source, None if cursor is None else Cursor(datetime.fromtimestamp(cursor, UTC)), *rest)

    def source_failed(self, source: str, error: str, at: float) -> None:
        self._write(
            "INSERT INTO sources (name, last_error, last_error_at) VALUES (%s, %s, %s)"
            " ON CONFLICT (name) DO UPDATE SET last_error=excluded.last_error, last_error_at=excluded.last_error_at",
            (source, error, at),
        )

    def rewind(self, source: str, cursor: Cursor) -> None:
        moment = cursor.until.timestamp()
        self._write(
            "UPDATE sources SET cursor=CASE WHEN cursor>%(to)s THEN %(to)s ELSE cursor END,"
            " last_second_look=CASE WHEN last_second_look>%(to)s THEN %(to)s ELSE last_second_look END"
            " WHERE name=%(name)s",
            {"to": moment, "name": source},
        )

    # --- the outbox

    def claim(self, destination: str, now: float, lease: float) -> Delivery | None:
        row = self._link.repeated(_Claim(destination, now, lease))
        if row is None:
            return None
        delivery_id, attempts, ambiguous, created, body = row
        alert = alerts_.decode(body)
        return Delivery(
            delivery_id,
            alert,
            destination,
            attempts,
            earlier_ambiguous=ambiguous,
            queued=created,
            thread=self._receipt(alert.retracts, destination) if alert.retracts else "",
        )

    def _receipt(self, alert_id: str, destination: str) -> str:
        rows = self._rows(
            "SELECT receipt FROM outbox WHERE alert_id=%s AND destination=%s AND state='delivered'",
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
        # What was sent and is not recorded would be sent again: this is worth waiting for a server that restarts.
        self._link.repeated(lambda connection: _settle(connection, delivery, state, at, due, reason, receipt))

    def release(self, now: float) -> int:
        """Other processes may be sending at this moment: only what nobody holds any more is released."""
        self._write("UPDATE breakers SET probe_at=%s WHERE NOT refuses AND probe_at>%s", (now, now))
        return self._write(
            "UPDATE outbox SET state='ambiguous', ambiguous=TRUE, due=%s, lease=0, updated=%s,"
            " reason='the process ended while it was being sent' WHERE state='sending' AND lease<=%s",
            (now, now, now),
        )

    def next_due(self, destination: str) -> float | None:
        rows = self._rows(
            "SELECT min(CASE state WHEN 'sending' THEN greatest(lease, due) ELSE due END),"
            " (SELECT probe_at FROM breakers WHERE destination=%s) FROM outbox"
            f" WHERE destination=%s AND state IN {rows_.OPEN}",
            (destination, destination),
        )
        due, probe_at = rows[0]
        return None if due is None else max(due, probe_at or 0.0)

    def break_destination(
        self, destination: str, reason: str, at: float, probe_at: float, *, refuses: bool = True
    ) -> bool:
        rows = self._rows(  # xmax is 0 for a row that was not there before
            "INSERT INTO breakers (destination, since, probe_at, reason, refuses) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (destination) DO UPDATE SET reason=excluded.reason, probe_at=excluded.probe_at,"
            " refuses=excluded.refuses WHERE excluded.refuses OR NOT breakers.refuses RETURNING xmax = 0",
            (destination, at, probe_at, reason, refuses),
        )
        return bool(rows and rows[0][0])

    def mend_destination(self, destination: str, at: float) -> bool:
        if not self._rows(rows_.TROUBLED.format("%s"), (destination, destination)):
            return False
        # Whoever locks several of these goes from outbox to breakers to failing, so that nobody waits in a circle.
        with self._link.transaction() as connection:
            connection.execute(
                f"UPDATE outbox SET due=%s WHERE destination=%s AND state IN {rows_.WAITING} AND due>%s"
                " AND destination IN (SELECT destination FROM breakers)",
                (at, destination, at),
            )
            broken = connection.execute("DELETE FROM breakers WHERE destination=%s", (destination,)).rowcount
            connection.execute("DELETE FROM failing WHERE destination=%s", (destination,))
            return broken == 1

    def count_failure(self, destination: str, delivery_id: str, at: float, *, gap: float) -> int:
        with self._link.transaction() as connection:
            connection.execute(
                "DELETE FROM breakers b USING failing f WHERE b.destination=%s AND NOT b.refuses"
                " AND f.destination=b.destination AND f.at<%s",
                (destination, at - gap),
            )
            connection.execute("DELETE FROM failing WHERE destination=%s AND at<%s", (destination, at - gap))
            row = connection.execute(
                "INSERT INTO failing (destination, failures, delivery_id, at) VALUES (%s, 1, %s, %s)"
                " ON CONFLICT (destination) DO UPDATE SET failures=failing.failures"
                "  + (failing.delivery_id!=excluded.delivery_id"
                "     OR failing.destination IN (SELECT destination FROM breakers))::int,"
                " delivery_id=excluded.delivery_id, at=excluded.at RETURNING failures",
                (destination, delivery_id, at),
            ).fetchone()
        assert row is not None
        return int(row[0])

    def give_up(self, destination: str, queued_before: float, at: float, reason: str) -> int:
        return self._write(
            "UPDATE outbox SET state='dead', due=0, updated=%s, reason=%s WHERE destination=%s AND created<=%s"
            f" AND state IN {rows_.WAITING}",
            (at, reason, destination, queued_before),
        )

    def postpone_probe(self, destination: str, probe_at: float) -> None:
        self._write("UPDATE breakers SET probe_at=%s WHERE destination=%s", (probe_at, destination))

    def breakers(self) -> list[Breaker]:
        return [rows_.breaker(row) for row in self._rows(rows_.SELECT_BREAKERS)]

    def escalate(self, delivery_id: str, to: tuple[str, str] | None, at: float, cause: str) -> bool:
        with self._link.transaction() as connection:
            changed = connection.execute(
                "UPDATE outbox SET escalated=TRUE WHERE id=%s AND NOT escalated", (delivery_id,)
            ).rowcount
            if not changed or to is None:
                return False
            new = connection.execute(
                "INSERT INTO outbox (id, alert_id, destination, state, due, created, updated, escalated_from, cause)"
                " SELECT %s, alert_id, %s, 'queued', %s, %s, %s, id, %s FROM outbox WHERE id=%s"
                " ON CONFLICT (id) DO NOTHING",
                (*to, at, at, at, cause, delivery_id),
            ).rowcount
            return new == 1

    def overdue(self, before: float, *, severity: Severity, limit: int = 100) -> list[Queued]:
        late = (
            f"NOT o.escalated AND (o.state IN ('dead', 'refused') OR (o.state IN {rows_.OPEN} AND (o.created<=%s"
            " OR o.destination IN (SELECT destination FROM breakers WHERE refuses))))"
        )
        with self._deciding() as connection:
            # The rest is passed over for good, so that a long queue is not looked through again and again.
            connection.execute(
                "UPDATE outbox o SET escalated=TRUE FROM alerts a"
                f" WHERE a.id = o.alert_id AND a.severity<%s AND {late}",
                (int(severity), before),
            )
            rows = connection.execute(
                f"{rows_.SELECT_QUEUED} WHERE a.severity>=%s AND {late} ORDER BY o.created, o.id LIMIT %s",
                (int(severity), before, limit),
            ).fetchall()
        return [rows_.queued(row) for row in rows]

    def requeue(self, delivery_id: str, at: float) -> bool:
        with self._link.transaction() as connection:
            changed = connection.execute(
                "UPDATE outbox SET state='queued', due=%s, created=%s, updated=%s, escalated=FALSE,"
                " reason='retried by hand' WHERE id=%s AND state NOT IN ('sending', 'delivered')",
                (at, at, at, delivery_id),
            ).rowcount
            connection.execute(  # who asks for it has mended the destination, or wants to know
                "UPDATE breakers SET probe_at=%s WHERE destination=(SELECT destination FROM outbox WHERE id=%s)",
                (at, delivery_id),
            )
            return changed == 1

    def drop(self, delivery_id: str, at: float, reason: str) -> bool:
        changed = self._write(
            "UPDATE outbox SET state='dropped', updated=%s, reason=%s WHERE id=%s"
            " AND state NOT IN ('sending', 'delivered', 'dropped')",
            (at, reason, delivery_id),
        )
        return changed == 1

    # --- asking

    def alerts(self, *, limit: int = 50, rule_id: str | None = None) -> list[Alert]:
        condition, parameters = ("WHERE rule_id=%s", [rule_id]) if rule_id else ("", [])
        rows = self._rows(
            f"SELECT body FROM alerts {condition} ORDER BY created DESC, id LIMIT %s", [*parameters, limit]
        )
        return [alerts_.decode(body) for (body,) in rows]

    def find_alert(self, alert_id: str) -> Alert | None:
        rows = self._rows("SELECT body FROM alerts WHERE id=%s", (alert_id,))
        return alerts_.decode(rows[0][0]) if rows else None

    def deliveries(
        self, *, states: Sequence[DeliveryState] = (), alert_id: str | None = None, limit: int = 100
    ) -> list[Queued]:
        conditions: list[str] = ["TRUE"]
        parameters: list[Any] = []
        if states:
            conditions.append("o.state = ANY(%s)")
            parameters.append(list(states))
        if alert_id:
            conditions.append("o.alert_id=%s")
            parameters.append(alert_id)
        rows = self._rows(
            f"{rows_.SELECT_QUEUED} WHERE {' AND '.join(conditions)} ORDER BY o.created DESC, o.id LIMIT %s",
            [*parameters, limit],
        )
        return [rows_.queued(row) for row in rows]

    def find_delivery(self, delivery_id: str) -> Queued | None:
        rows = self._rows(f"{rows_.SELECT_QUEUED} WHERE o.id=%s", (delivery_id,))
        return rows_.queued(rows[0]) if rows else None

    def attempts(self, delivery_id: str) -> list[Attempt]:
        rows = self._rows(
            "SELECT number, at, state, reason, receipt FROM attempts WHERE delivery_id=%s ORDER BY number",
            (delivery_id,),
        )
        return [Attempt(*row) for row in rows]

    def verdicts(self, event_id: str) -> list[tuple[Verdict, float]]:
        rows = self._rows(
            "SELECT kind, account, event_id, rule_id, outcome, alert_id, detail, at FROM verdicts"
            ' WHERE event_id=%s ORDER BY at, rule_id COLLATE "C"',
            (event_id,),
        )
        return [
            (Verdict(Identity(kind, account, event), rule_id, outcome, alert_id, detail), at)
            for kind, account, event, rule_id, outcome, alert_id, detail, at in rows
        ]

    def seen(self, event_id: str) -> list[SeenEvent]:
        identities = self._identities(event_id)
        at_of = dict(self._rows("SELECT id, at FROM seen WHERE id = ANY(%s::bytea[])", (list(identities),)))
        return [SeenEvent(identity, at_of[key]) for key, identity in identities.items() if key in at_of]

    def changed(self, event_id: str) -> list[ChangedEvent]:
        identities = self._identities(event_id)
        rows = self._rows(
            "SELECT id, source, at FROM changed WHERE id = ANY(%s::bytea[]) ORDER BY at, body", (list(identities),)
        )
        return [ChangedEvent(identities[bytes(key)], source, at) for key, source, at in rows]

    def _identities(self, event_id: str) -> dict[bytes, Identity]:
        """What *event_id* may be, in every account that was seen, by its key."""
        accounts = self._rows("SELECT kind, account FROM accounts ORDER BY digest")
        identities = (Identity(kind, account, event_id) for kind, account in accounts)
        return {rows_.key(identity): identity for identity in identities}

    def faults(self, limit: int = 100) -> list[Mapping[str, Any]]:
        names = ("rule_id", "message", "event_id", "count", "first_at", "last_at")
        rows = self._rows(f"SELECT {', '.join(names)} FROM faults ORDER BY last_at DESC LIMIT %s", (limit,))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def quarantined(self, limit: int = 100) -> list[Mapping[str, Any]]:
        names = ("source", "kind", "reason", "place", "raw", "at")
        rows = self._rows(f"SELECT {', '.join(names)} FROM quarantine ORDER BY at DESC LIMIT %s", (limit,))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def counts(self) -> Mapping[str, int]:
        rows = self._rows(
            "SELECT 'events', count(*) FROM seen"
            " UNION ALL SELECT 'matches', count(*) FROM verdicts"
            " UNION ALL SELECT 'alerts', count(*) FROM alerts"
            " UNION ALL SELECT 'faults', coalesce(sum(count), 0)::bigint FROM faults"
            " UNION ALL SELECT 'quarantined', count(*) FROM quarantine"
            " UNION ALL (SELECT 'verdict.' || outcome, count(*) FROM verdicts GROUP BY outcome)"
            " UNION ALL (SELECT 'delivery.' || state, count(*) FROM outbox GROUP BY state)"
        )
        return dict(rows)

    def ledger(self) -> Ledger:
        # One statement, one snapshot: two would see two moments of what other workers write.
        ((matches, outcomes, untold),) = self._rows(
            "SELECT (SELECT value FROM ledger WHERE name='matches'),"
            " (SELECT coalesce(json_object_agg(outcome, number), '{}')"
            "   FROM (SELECT outcome, count(*) AS number FROM verdicts GROUP BY outcome) AS by_outcome),"
            " (SELECT count(*) FROM verdicts v WHERE outcome='alert'"
            "   AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.alert_id=v.alert_id))"
        )
        return Ledger(matches, outcomes, untold)

    def faults_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        return self._latest(
            "SELECT DISTINCT ON (rule_id) rule_id, (sum(count) OVER (PARTITION BY rule_id))::bigint, message"
            " FROM faults WHERE last_at>%s ORDER BY rule_id, last_at DESC",
            at,
        )

    def quarantined_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        return self._latest(
            "SELECT DISTINCT ON (source) source, count(*) OVER (PARTITION BY source), reason"
            " FROM quarantine q WHERE q.at>%s ORDER BY source, q.at DESC",
            at,
        )

    def changed_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        rows = self._rows(
            "SELECT source, count(DISTINCT id), (array_agg(event_id ORDER BY changed.at DESC, body))[1]"
            " FROM changed WHERE changed.at>%s GROUP BY source",
            (at,),
        )
        return {name: (number, event_id) for name, number, event_id in rows}

    def ended_badly_since(self, at: float) -> Mapping[str, tuple[int, str]]:
        return self._latest(
            "SELECT DISTINCT ON (o.destination) o.destination, count(*) OVER (PARTITION BY o.destination), o.reason"
            " FROM outbox o JOIN alerts a ON a.id = o.alert_id"
            " WHERE o.state IN ('dead', 'refused') AND o.updated>%s AND NOT starts_with(a.rule_id, 'tocsin.meta.')"
            " ORDER BY o.destination, o.updated DESC",
            at,
        )

    def _latest(self, sql: str, at: float) -> Mapping[str, tuple[int, str]]:
        return {name: (number, text) for name, number, text in self._rows(sql, (at,))}

    def waiting(self) -> Mapping[str, int]:
        return dict(
            self._rows(f"SELECT destination, count(*) FROM outbox WHERE state IN {rows_.OPEN} GROUP BY destination")
        )

    def last_raised(self, rule_id: str) -> float | None:
        return cast("float | None", self._rows("SELECT max(created) FROM alerts WHERE rule_id=%s", (rule_id,))[0][0])

    def last_delivered(self, rule_id: str) -> float | None:
        rows = self._rows(
            "SELECT max(o.updated) FROM outbox o JOIN alerts a ON a.id = o.alert_id"
            " WHERE a.rule_id=%s AND o.state='delivered'",
            (rule_id,),
        )
        return cast("float | None", rows[0][0])

    def deliveries_open(self) -> tuple[int, float | None]:
        ((number, oldest),) = self._rows(f"SELECT count(*), min(created) FROM outbox WHERE state IN {rows_.OPEN}")
        return number, oldest

    # --- exceptions

    def exceptions_loaded(self, exceptions: Mapping[str, str], at: float) -> None:
        rows = [(key, rule_id, at) for key, rule_id in sorted(exceptions.items())]
        with self._deciding() as connection:
            _many(
                connection,
                "INSERT INTO exceptions (id, rule_id, loaded) VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING",
                rows,
            )

    def exceptions(self) -> Mapping[str, tuple[float, Hidden | None]]:
        rows = self._rows("SELECT id, loaded, body FROM exceptions")
        return {key: (loaded, rows_.hidden(body)) for key, loaded, body in rows}

    def accept_hidden(self, exception: str) -> bool:
        with self._deciding() as connection:
            tx = PostgresTransaction(connection)
            row = connection.execute("SELECT rule_id, loaded FROM exceptions WHERE id=%s", (exception,)).fetchone()
            hidden = tx.hidden(exception)
            if row is not None and hidden is not None:
                tx.save_hidden(exception, row[0], replace(hidden, novel=()), row[1])
            return row is not None

    # --- silences

    def add_silence(self, silence: Silence) -> None:
        self._write(
            "INSERT INTO silences (id, match, author, comment, starts, ends) VALUES (%s, %s, %s, %s, %s, %s)",
            (silence.id, silence.match, silence.author, silence.comment, silence.starts, silence.ends),
        )

    def silences(self, at: float | None = None) -> list[Silence]:
        rows = self._rows(
            'SELECT id, match, author, comment, starts, ends FROM silences ORDER BY starts, id COLLATE "C"'
        )
        found = [Silence(*row) for row in rows]
        return found if at is None else [s for s in found if s.starts <= at < s.ends]

    def expire_silence(self, silence_id: str, at: float) -> bool:
        return self._write("UPDATE silences SET ends=%s WHERE id=%s AND ends>%s", (at, silence_id, at)) == 1

    # --- upkeep

    def mark(self, name: str, at: float | None = None) -> float | None:
        if at is not None:
            self._write(
                "INSERT INTO marks (name, at) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET at=excluded.at",
                (name, at),
            )
        rows = self._rows("SELECT at FROM marks WHERE name=%s", (name,))
        return rows[0][0] if rows else None

    def shift_clock(self, step: float, now: float) -> None:  # noqa: ARG002 what was stamped tells how far it was off
        """
        One machine's clock was set; the others' work must stay as it is. Only what is stamped with a later time than
        *now* is brought back, by as much as its stamp is off: twice, or by every worker, it does no harm.
        """
        with self._deciding() as connection:
            execute = connection.execute
            execute(
                "UPDATE outbox SET due=due-(updated-%(now)s), lease=greatest(0, lease-(updated-%(now)s)),"
                f" created=least(created, %(now)s), updated=%(now)s WHERE updated>%(now)s AND state IN {rows_.OPEN}",
                {"now": now},
            )
            execute("UPDATE breakers SET since=%s, probe_at=%s WHERE since>%s", (now, now, now))
            execute("UPDATE failing SET at=%s WHERE at>%s", (now, now))
            execute("UPDATE told SET at=%s WHERE at>%s", (now, now))
            for column in ("last_poll", "last_event", "last_second_look"):
                execute(f"UPDATE sources SET {column}=%s WHERE {column}>%s", (now, now))

    def probe(self) -> None:
        self._write(
            "INSERT INTO meta (name, value) VALUES ('probe', %s) ON CONFLICT (name) DO UPDATE SET value=excluded.value",
            (secrets.token_bytes(8),),
        )

    def redaction_key(self) -> bytes:
        self._write(
            "INSERT INTO meta (name, value) VALUES ('redaction_key', %s) ON CONFLICT (name) DO NOTHING",
            (secrets.token_bytes(32),),
        )
        return bytes(self._rows("SELECT value FROM meta WHERE name='redaction_key'")[0][0])

    def expire(self, *, seen_before: float, history_before: float) -> None:
        with self._deciding() as connection:
            delete = connection.execute
            delete("DELETE FROM seen WHERE at<%s", (int(seen_before),))
            delete("DELETE FROM changed WHERE at<%s", (history_before,))
            delete("DELETE FROM silences WHERE ends<%s", (history_before,))
            delete("DELETE FROM quarantine WHERE at<%s", (history_before,))
            delete("DELETE FROM faults WHERE last_at<%s", (history_before,))
            forgotten = delete("DELETE FROM verdicts WHERE at<%s", (history_before,)).rowcount
            delete("UPDATE ledger SET value=value-%s WHERE name='matches'", (forgotten,))
            delete("DELETE FROM told WHERE at<%s", (history_before,))
            delete(f"DELETE FROM outbox WHERE updated<%s AND state NOT IN {rows_.OPEN}", (history_before,))
            delete(
                "DELETE FROM alerts WHERE created<%s"
                " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.alert_id = alerts.id)"
                " AND NOT EXISTS (SELECT 1 FROM told t WHERE t.alert_id = alerts.id)",
                (history_before,),
            )

    def migrate(self) -> None:
        """Numbered SQL files, all that are missing in one transaction; one process at a time."""
        steps = migrations()
        with self._link.transaction() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATING,))
            version = _version(connection)
            if version > max(steps):
                message = f"this store has schema {version}, of a newer Tocsin; this one knows up to {max(steps)}"
                hint = "upgrade Tocsin, or point `store` at another database"
                raise ConfigurationError([Problem(Place(self.path), "newer-store", message, suggestion=hint)])
            missing = [number for number in steps if number > version]
            if missing and not version:
                connection.execute("CREATE TABLE tocsin_schema (version INTEGER NOT NULL)")
                connection.execute("INSERT INTO tocsin_schema (version) VALUES (0)")
            for number in missing:
                connection.execute(steps[number].read_bytes())
                connection.execute("UPDATE tocsin_schema SET version=%s", (number,))

    def clock_offset(self, now: float) -> float:
        """Seconds that *now* is ahead of the database's clock."""
        ((theirs,),) = self._rows("SELECT extract(epoch FROM clock_timestamp())::float8")
        return now - cast("float", theirs)


class PostgresTransaction(SqlWindows):
    """engine.store.Transaction: lives between BEGIN and COMMIT of one connection."""

    def __init__(self, db: Connection) -> None:
        self._connection = db
        self._waited = False

    @property
    def _db(self) -> Connection:
        """The connection, for a step that needs to be alone with what is remembered."""
        if not self._waited:
            _alone(self._connection)
            self._waited = True
        return self._connection

    def unseen(self, events: Sequence[Event], at: float, bodies: Sequence[int] = ()) -> list[Event]:
        first: dict[bytes, Event] = {}
        said: dict[bytes, int | None] = {}
        for event, body in zip(events, bodies or repeat(None), strict=False):  # repeat() has no end
            key = rows_.key(event.identity)
            first.setdefault(key, event)
            said.setdefault(key, body)
        # Kept until its own time and ours are past, so that a future-dated event is not forgotten too soon.
        until = [int(min(max(event.time, at), at + FUTURE_SECONDS)) for event in first.values()]
        db = self._connection  # before we are alone: workers wait for each other only where their events are the same
        fresh = {
            bytes(key)
            for (key,) in db.execute(
                "INSERT INTO seen (id, at, body)"
                " SELECT * FROM unnest(%s::bytea[], %s::bigint[], %s::integer[]) AS new (id, at, body) ORDER BY id"
                " ON CONFLICT (id) DO NOTHING RETURNING id",
                (list(first), until, list(said.values())),
            )
        }
        accounts = {(event.kind, event.account) for key, event in first.items() if key in fresh}
        if accounts:
            rows = sorted(
                (rows_.digest("\0".join(account).encode("utf-8", "surrogatepass")), *account) for account in accounts
            )
            db.cursor().executemany(
                "INSERT INTO accounts (digest, kind, account) VALUES (%s, %s, %s) ON CONFLICT (digest) DO NOTHING", rows
            )
        return [event for key, event in first.items() if key in fresh]

    def note_changed(self, source: str, events: Sequence[Event], at: float, bodies: Sequence[int]) -> int:
        if not events:
            return 0
        keys = [rows_.key(event.identity) for event in events]
        # That nothing has changed is the rule, and nobody needs to wait for others to learn that.
        rows = self._connection.execute("SELECT id, body FROM seen WHERE id = ANY(%s::bytea[])", (keys,))
        known = {bytes(key): body for key, body in rows}
        changed = [
            (key, body, event.event_id, source, at)
            for key, event, body in zip(keys, events, bodies, strict=True)
            if known.get(key) not in (None, body)
        ]
        if not changed:
            return 0
        return _many(
            self._db,
            "INSERT INTO changed (id, body, event_id, source, at) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (id, body) DO NOTHING",
            changed,
        )

    def told(self, fingerprint: str) -> Told | None:
        row = self._db.execute(
            "SELECT alert_id, severity, at FROM told WHERE fingerprint=%s", (fingerprint,)
        ).fetchone()
        return Told(row[0], Severity(row[1]), row[2]) if row else None

    def alert(self, alert_id: str) -> Alert | None:
        row = self._db.execute("SELECT body FROM alerts WHERE id=%s", (alert_id,)).fetchone()
        return alerts_.decode(row[0]) if row else None

    def save_alert(self, alert: Alert) -> None:
        self._db.execute(
            "INSERT INTO alerts (id, rule_id, fingerprint, severity, created, body) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET body=excluded.body, severity=excluded.severity",
            (alert.id, alert.rule_id, alert.fingerprint, int(alert.severity), alert.created, alerts_.encode(alert)),
        )

    def save_told(self, fingerprint: str, told: Told) -> None:
        self._db.execute(
            "INSERT INTO told (fingerprint, alert_id, severity, at) VALUES (%s, %s, %s, %s) ON CONFLICT (fingerprint)"
            " DO UPDATE SET alert_id=excluded.alert_id, severity=excluded.severity, at=excluded.at",
            (fingerprint, told.alert_id, int(told.severity), told.at),
        )

    def queue(self, delivery_id: str, alert_id: str, destination: str, due: float) -> None:
        self._db.execute(
            "INSERT INTO outbox (id, alert_id, destination, state, due, created, updated)"
            " VALUES (%s, %s, %s, 'queued', %s, %s, %s) ON CONFLICT (id) DO NOTHING",
            (delivery_id, alert_id, destination, due, due, due),
        )

    def record(self, verdicts: Iterable[Verdict], at: float, *, matches: int | None = None) -> None:
        rows = [(_line(v.event, v.rule_id), *v.event, v.rule_id, v.outcome, v.alert_id, v.detail, at) for v in verdicts]
        written = _many(
            self._db,
            "INSERT INTO verdicts (digest, kind, account, event_id, rule_id, outcome, alert_id, detail, at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (digest) DO NOTHING",
            rows,
        )
        found = (len(rows) if matches is None else matches) - (len(rows) - written)
        if found:
            self._db.execute("UPDATE ledger SET value=value+%s WHERE name='matches'", (found,))

    def save_faults(self, faults: Iterable[Fault], at: float) -> None:
        rows = [
            (rows_.digest(f"{fault.rule_id}\0{fault.message}".encode("utf-8", "surrogatepass")),
             fault.rule_id, fault.message, fault.event.event_id, at, at)
            for fault in faults
        ]  # fmt: skip
        _many(
            self._db,
            "INSERT INTO faults (digest, rule_id, message, event_id, count, first_at, last_at)"
            " VALUES (%s, %s, %s, %s, 1, %s, %s) ON CONFLICT (digest) DO UPDATE SET count=faults.count+1,"
            " event_id=excluded.event_id, last_at=excluded.last_at",
            rows,
        )

    def quarantine(self, source: str, items: Iterable[Quarantined], at: float) -> int:
        rows = [(rows_.digest(item.raw), source, item.kind, item.reason, item.place, item.raw, at) for item in items]
        return _many(
            self._db,
            "INSERT INTO quarantine (digest, source, kind, reason, place, raw, at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (digest) DO NOTHING",
            rows,
        )

    def move_cursor(self, source: str, cursor: Cursor) -> None:
        self._db.execute(
            "INSERT INTO sources (name, cursor) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE"
            " SET cursor=greatest(sources.cursor, excluded.cursor)",  # greatest() passes over NULL
            (source, cursor.until.timestamp()),
        )

    def polled(self, source: str, at: float, *, new_events: int, second_look: bool = False) -> None:
        self._db.execute(
            "INSERT INTO sources AS s (name, last_poll, last_second_look, events, last_event)"
            " VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (name) DO UPDATE SET last_poll=excluded.last_poll, last_error='',"
            " last_second_look=coalesce(excluded.last_second_look, s.last_second_look),"
            " events=s.events+excluded.events,"
            " last_event=CASE WHEN excluded.events>0 THEN excluded.last_event"
            " ELSE coalesce(s.last_event, excluded.last_event) END",
            (source, at, at if second_look else None, new_events, at),
        )

    def hidden(self, exception: str) -> Hidden | None:
        row = self._db.execute("SELECT body FROM exceptions WHERE id=%s", (exception,)).fetchone()
        return rows_.hidden(row[0]) if row else None

    def save_hidden(self, exception: str, rule_id: str, hidden: Hidden, at: float) -> None:
        self._db.execute(
            "INSERT INTO exceptions (id, rule_id, loaded, body) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (id) DO UPDATE SET body=excluded.body",
            (exception, rule_id, at, msgspec.json.encode(hidden)),
        )

    def note_lags(self, source: str, measure: str, lags: Mapping[str, Lags]) -> None:
        # An event says what its service is called, and a key has a limit here; nothing real comes near it.
        super().note_lags(source, measure, {service[:200]: one for service, one in sorted(lags.items())})

    # what SqlWindows asks of a database; none of its texts holds a "%", or a "?" that is no placeholder

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._db.execute(sql.replace("?", "%s"), parameters).fetchall()

    def _many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        _many(self._db, sql.replace("?", "%s"), rows)


def migrations() -> dict[int, Traversable]:
    """The numbered SQL files, in order."""
    folder = files("engine.store").joinpath("migrations_postgres")
    steps = (step for step in folder.iterdir() if step.name.endswith(".sql"))
    return {int(step.name[:4]): step for step in sorted(steps, key=lambda step: step.name)}


def _copy(connection: Connection, copy: SqliteStore) -> None:
    """Every column that both have; Postgres has a few more."""
    with copy.transaction():
        into = copy.connection
        into.execute("PRAGMA defer_foreign_keys=ON")
        for (table,) in into.execute("SELECT name FROM sqlite_schema WHERE type='table'").fetchall():
            columns = ", ".join(name for (name,) in into.execute("SELECT name FROM pragma_table_info(?)", (table,)))
            into.execute(f"DELETE FROM {table}")
            rows = connection.execute(f"SELECT {columns} FROM {table}")
            into.executemany(
                f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(columns.split(',')))})", rows
            )


def _alone(connection: Connection) -> None:
    """Wait until no other transaction is deciding; ours is then the only one until it ends, and sees all before it."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_DECIDING,))


def _version(connection: Connection) -> int:
    (there,) = connection.execute("SELECT to_regclass('tocsin_schema') IS NOT NULL").fetchone() or (False,)
    row = connection.execute("SELECT version FROM tocsin_schema").fetchone() if there else None
    return cast("int", row[0]) if row else 0


class _Claim:
    """One claim, which may take several tries to get an answer."""

    def __init__(self, destination: str, now: float, lease: float) -> None:
        self._destination, self._now, self._lease = destination, now, lease
        self._mark = uuid.uuid4()
        self._tried = False

    def __call__(self, connection: Connection) -> tuple[str, int, bool, float, bytes] | None:
        with connection.transaction():
            # An earlier try, cut off at its COMMIT, may be at it still: what it does is known when this lock is ours.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (self._mark.int >> 65,))
            row = self._ours(connection) if self._tried else None
            self._tried = True
            return row or self._next(connection)

    def _ours(self, connection: Connection) -> tuple[str, int, bool, float, bytes] | None:
        row = connection.execute(
            "SELECT o.id, o.attempts, o.ambiguous, o.created, a.body FROM outbox o JOIN alerts a ON a.id = o.alert_id"
            " WHERE o.destination=%s AND o.state='sending' AND o.claim=%s",
            (self._destination, self._mark.hex),
        ).fetchone()
        return cast("tuple[str, int, bool, float, bytes] | None", row)

    def _next(self, connection: Connection) -> tuple[str, int, bool, float, bytes] | None:
        destination, now, lease = self._destination, self._now, self._lease
        # Of a broken destination one delivery is tried at a time, by whichever sender comes first.
        broken = connection.execute(
            "SELECT probe_at, refuses FROM breakers WHERE destination=%s", (destination,)
        ).fetchone()
        order = "o.created, o.id" if broken is None or broken[1] else "o.attempts, o.created, o.id"
        if broken is not None:
            probing = connection.execute(
                "UPDATE breakers SET probe_at=%s WHERE destination=%s AND probe_at<=%s",
                (now + lease, destination, now),
            ).rowcount
            if not probing:
                return None
        row = connection.execute(
            "WITH due AS MATERIALIZED ("
            f"  SELECT o.id FROM outbox o WHERE o.destination=%s AND o.state IN {rows_.OPEN} AND o.due<=%s"
            f"   AND (o.state != 'sending' OR o.lease<=%s) ORDER BY {order} LIMIT 1 FOR UPDATE SKIP LOCKED)"
            " UPDATE outbox o SET ambiguous = o.ambiguous OR o.state = 'sending', state='sending', lease=%s, claim=%s,"
            " attempts=o.attempts+1, updated=%s FROM due, alerts a WHERE o.id = due.id AND a.id = o.alert_id"
            " RETURNING o.id, o.attempts, o.ambiguous, o.created, a.body",
            (destination, now, now, now + lease, self._mark.hex, now),
        ).fetchone()
        if row is None and broken is not None:
            connection.execute("UPDATE breakers SET probe_at=%s WHERE destination=%s", (broken[0], destination))
        return cast("tuple[str, int, bool, float, bytes] | None", row)


def _settle(
    connection: Connection, delivery: Delivery, state: str, at: float, due: float, reason: str, receipt: str
) -> None:
    with connection.transaction():
        # Its number fences an attempt whose lease ran out: a later one's state stays, unless this one did arrive.
        connection.execute(
            "UPDATE outbox SET state=%(state)s, due=%(due)s, lease=0, ambiguous = ambiguous OR %(state)s='ambiguous',"
            " updated=%(at)s, reason=%(reason)s, receipt=%(receipt)s WHERE id=%(id)s"
            " AND (attempts=%(attempt)s OR (%(state)s='delivered' AND state != 'sending'))",
            {
                "state": state,
                "due": due,
                "at": at,
                "reason": reason,
                "receipt": receipt,
                "id": delivery.id,
                "attempt": delivery.attempt,
            },
        )
        connection.execute(
            "INSERT INTO attempts (delivery_id, number, at, state, reason, receipt) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT (delivery_id, number) DO NOTHING",
            (delivery.id, delivery.attempt, at, state, reason, receipt),
        )


def _many(connection: Connection, sql: str, rows: Sequence[Sequence[Any]]) -> int:
    """How many rows were touched."""
    if not rows:
        return 0
    cursor = connection.cursor()
    cursor.executemany(sql, rows)
    return cursor.rowcount


def _line(identity: Identity, rule_id: str) -> bytes:
    return rows_.digest("\0".join((*identity, rule_id)).encode("utf-8", "surrogatepass"))
