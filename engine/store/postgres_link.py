"""
The way to a Postgres server: connections, what is tried again when one is cut, and what is said about it.

No text from here holds a password: the server's own messages do not, but an address that cannot be parsed is quoted
back by the client library, so whatever could be a secret in it is taken out of every message.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumper

from engine.errors import StoreDamagedError, StoreError, StoreFullError
from engine.store.address import masked, secrets_of, without

T = TypeVar("T")
Parameters = Sequence[Any] | Mapping[str, Any]
Connection = psycopg.Connection[tuple[Any, ...]]

LOCK_SECONDS: Final = 30  # as long as SQLite waits for its writer
IDLE_SECONDS: Final = 60  # what a worker whose machine is gone may hold back the others
IDLE_KEPT: Final = 8  # connections kept open while nobody needs them
RETRY_AFTER: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0)  # seconds: a server that restarts is back within them
_CONNECTING: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # ms that sent data may stay unanswered
    "application_name": "tocsin",
}


class _Text(StrDumper):
    """Postgres has no character U+0000 and no half of a pair: what an event put there is shown as U+FFFD."""

    def dump(self, obj: str) -> bytes:
        return obj.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


class Link:
    """Connections to one database, lent out one at a time. Thread-safe."""

    def __init__(self, url: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._url = url
        self._secrets = secrets_of(url)
        self._sleep = sleep
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        self.shown = masked(url)

    def close(self) -> None:
        """Idempotent. What is lent out at this moment is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def execute(self, sql: str, parameters: Parameters = ()) -> tuple[list[tuple[Any, ...]], int]:
        """One statement, committed by itself: its rows and how many it touched. Repeated once on a new connection."""
        return self.repeated(lambda connection: _answer(connection, sql, parameters), RETRY_AFTER[:1])

    def repeated(self, work: Callable[[Connection], T], waits: Sequence[float] = RETRY_AFTER) -> T:
        """
        *work*, which must not mind being done twice, on a connection; again after each of *waits* when that is cut.

        A COMMIT whose answer was lost may have happened: that is why only such work comes here.
        """
        for wait in waits:
            try:
                return self._once(work)
            except _CutError:
                self._drop_idle()
                self._sleep(wait)
        return self._once(work)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """BEGIN … COMMIT, or ROLLBACK for an exception. Nothing is done yet at BEGIN, so that much is tried again."""
        connection = self.repeated(_begin_kept, RETRY_AFTER[:1])
        try:
            with self._said(connection):
                yield connection
                if connection.info.transaction_status == TransactionStatus.INERROR:  # COMMIT would roll back, silently
                    raise StoreError(f"store {self.shown}: a statement of this transaction had failed")
                connection.execute("COMMIT")
        finally:
            self._give_back(connection)

    # --- inside

    def _once(self, work: Callable[[Connection], T]) -> T:
        connection = self._take()
        kept = False
        try:
            with self._said(connection):
                answer = work(connection)
            kept = answer is connection  # a transaction was begun on it
            return answer
        finally:
            if not kept:
                self._give_back(connection)

    def _take(self) -> Connection:
        with self._lock:
            if self._closed:
                raise StoreError(f"store {self.shown} is closed")
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _connect(self) -> Connection:
        try:
            given = psycopg.conninfo.conninfo_to_dict(self._url)
            connection = psycopg.connect(**{**_CONNECTING, **given}, autocommit=True)
        except psycopg.Error as error:
            text = without(_line(error), self._secrets)
            raise _CutError(f"store {self.shown}: {text}") from None  # its text is not to be trusted with secrets
        connection.adapters.register_dumper(str, _Text)
        try:
            with self._said(connection):
                self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_up(self, connection: Connection) -> None:
        # By SET and not by `options`: an address may bring options of its own, and poolers refuse them.
        wanted = {
            "lock_timeout": f"{LOCK_SECONDS}s",
            "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
            "synchronous_commit": "on",
        }
        if connection.info.server_version >= 140000:
            wanted["client_connection_check_interval"] = "5s"  # a killed worker's transaction ends while it waits
        for name, value in wanted.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))

    def _give_back(self, connection: Connection) -> None:
        if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
            try:
                connection.execute("ROLLBACK")
            except psycopg.Error:
                connection.close()  # the server rolls back what it no longer hears of
        with self._lock:
            keep = not connection.closed and not self._closed and len(self._idle) < IDLE_KEPT
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def _drop_idle(self) -> None:
        """What cut one connection has cut the others as well."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _said(self, connection: Connection) -> Iterator[None]:
        """Failures of the database under the name of the store they happened to, by what can be done about them."""
        try:
            yield
        except psycopg.Error as error:
            kind = _CutError if connection.closed else _failure(error)
            raise kind(f"store {self.shown}: {without(_line(error), self._secrets)}") from None


class _CutError(StoreError):
    """The connection is gone, or none could be made."""


def _answer(connection: Connection, sql: str, parameters: Parameters) -> tuple[list[tuple[Any, ...]], int]:
    cursor = connection.execute(sql, parameters)
    return (cursor.fetchall() if cursor.description else []), cursor.rowcount


def _begin_kept(connection: Connection) -> Connection:
    connection.execute("BEGIN")
    return connection


def _failure(error: psycopg.Error) -> type[StoreError]:
    """By SQLSTATE (PostgreSQL documentation, appendix A)."""
    state = error.sqlstate or ""
    if state == "53100":
        return StoreFullError
    return StoreDamagedError if state in ("XX001", "XX002") else StoreError


def _line(error: psycopg.Error) -> str:
    """The server's message; its DETAIL line quotes values of rows, which are an event's, not ours to print."""
    text = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join(text.split())
