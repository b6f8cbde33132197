"""
Rows as the present program writes them, for the tests of the migrations that will come after it.

    python -m tests.contract.older.write

writes `sqlite-NNNN.json` and, where a Postgres server is installed, `postgres-NNNN.json` beside this file; NNNN is the
present schema. Run it, and keep what it wrote, before a migration is added. Bytes stand as {"text": …} where they are
printable UTF-8, else as {"hex": …}.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from engine import exceptions, kinds, packs
from engine.delivery import Delivered, Delivery, Outcome, TryLater
from engine.event import Cursor, Page, Record
from engine.pipeline import Policy, ingest
from engine.route import Route
from engine.sending import deliver
from engine.store import Silence, Store
from engine.store.backup import known_schema
from engine.store.postgres import open_store as open_postgres
from engine.store.sqlite import open_store as open_sqlite
from tests.postgres_server import WHY_NOT, PostgresServer, binaries

HERE = Path(__file__).parent
AT = 1_790_000_000.0
UNLESS = (
    "unless:\n  - {match: \"userAgent == 'drill'\", reason: a drill, owner: ana@example.com, expires: 2099-01-01}\n"
)
RULES = {
    "told": f"match: eventName == 'DeleteBucket'\n{UNLESS}",
    "story": "match: eventName == 'StopLogging'\ngroup_by: [norm.actor]\nquiet: 1h\n",
    "breaks": "match: starts_with(requestParameters, 'x')\n",
    "many": "match: eventName == 'DeleteKey'\ngroup_by: [norm.actor]\ncount: {at_least: 3, within: 1h}\n",
    "first": "match: eventName == 'CreateKey'\nfirst_seen: {values: [norm.actor], over: 30d}\n",
}


def fill(store: Store, folder: Path) -> None:
    """Something in every table: known ids, alerts told, merged and waiting, windows, faults, a delivery in hand …"""
    for name, match in RULES.items():
        (folder / f"{name}.yaml").write_text(
            f"id: old.{name}\ntitle: '{{eventName}} by {{norm.actor}}'\nseverity: high\nstatus: stable\n"
            f"kind: tencent.cloudaudit\ndescription: Of an older store.\n{match}",
            encoding="utf-8",
        )
    policy = Policy(packs.load([str(folder)]), (Route(("hook",)),))
    store.exceptions_loaded(exceptions.keys(policy.rules), AT - 86400)
    kind = kinds.kind("tencent.cloudaudit", redaction_key=store.redaction_key())

    def page(at: float, upto: float, *records: bytes) -> None:
        cursor = Cursor(datetime.fromtimestamp(upto, UTC))
        ingest(Page(tuple(Record(raw, "old:1") for raw in records), cursor), "prod", kind, policy, store, now=at)

    page(AT - 3900, AT - 3900, event("e-old", "DescribeBuckets", 4000))
    page(
        AT - 2900, AT - 2900, event("e-told", "DeleteBucket", 3000), event("e-nothing", "GetBucket", 2990),
        event("e-story", "StopLogging", 2980), b"{cut", event("e-breaks", "X", 2970, requestParameters={"x": 1}),
    )  # fmt: skip
    page(
        AT - 2300, AT - 2300, event("e-story-2", "StopLogging", 2500), event("e-queued", "DeleteBucket", 2400),
        event("e-excepted", "DeleteBucket", 2390, userAgent="drill"), event("e-told", "DeleteBucket", 3000, surprise=1),
    )  # fmt: skip
    page(
        AT - 2000, AT - 2000, event("e-key-1", "DeleteKey", 2200), event("e-key-2", "DeleteKey", 2100),
        event("e-first", "CreateKey", 2050),
    )  # fmt: skip
    page(AT - 500, AT - 500, event("e-later", "GetBucket", 600))
    page(AT - 250, AT - 500, event("e-key-late", "DeleteKey", 300))
    for outcome in (Delivered("receipt-1"), TryLater("HTTP 503")):
        deliver(Says(outcome), "hook", store, clock=lambda: AT - 200, chance=lambda: 0.5)
    store.claim("hook", AT - 100, 60)
    store.break_destination("hook", "HTTP 401", AT - 90, AT - 30)
    store.mark("clock before it was set forward", AT - 50)
    store.add_silence(Silence("S-1", "severity == 'low'", "ana", "drill", AT - 10, AT + 86400))
    store.source_failed("prod", "no route to host", AT - 5)


def event(event_id: str, name: str, ago: float, **fields: Any) -> bytes:
    actor = {"type": "CAMUser", "accountId": "100000000001", "userName": "ana"}
    time = int(AT - ago)
    body = {"eventID": event_id, "eventName": name, "eventTime": time, "errorCode": "0", "userIdentity": actor}
    return json.dumps(body | fields).encode()


class Says:
    """A destination with one answer."""

    pace = timedelta(0)

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def send(self, _delivery: Delivery) -> Outcome:
        return self._outcome

    def preview(self, delivery: Delivery) -> str:
        return delivery.id

    def close(self) -> None: ...


def save(database: str, rows: dict[str, tuple[list[str], Iterable[tuple[Any, ...]]]]) -> None:
    tables = {
        table: [dict(zip(columns, map(_plain, row), strict=True)) for row in sorted(found, key=repr)]
        for table, (columns, found) in rows.items()
    }
    text = json.dumps(
        {name: rows for name, rows in tables.items() if rows}, indent=1, ensure_ascii=False, sort_keys=True
    )
    (HERE / f"{database}-{known_schema():04}.json").write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if not isinstance(value, bytes | memoryview):
        return value
    data = bytes(value)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    return {"text": text} if len(text) > 2 and text.isprintable() else {"hex": data.hex()}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tocsin.db"
        with closing(open_sqlite(str(path))) as sqlite:
            fill(sqlite, Path(folder))
        with closing(sqlite3.connect(path)) as db:
            names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")]
            found = {name: db.execute(f"SELECT * FROM {name}") for name in names}
            save("sqlite", {name: ([c[0] for c in rows.description], rows) for name, rows in found.items()})
    installed = binaries()
    if installed is None:
        print(WHY_NOT)
        return
    server = PostgresServer(installed)
    url = server.new_schema()
    with tempfile.TemporaryDirectory() as folder, closing(open_postgres(url)) as postgres:
        fill(postgres, Path(folder))
    with psycopg.connect(url) as connection:
        listed = "SELECT table_name FROM information_schema.tables WHERE table_schema=current_schema()"
        names = [name for (name,) in connection.execute(listed) if name != "tocsin_schema"]
        answers = {name: connection.execute(f"SELECT * FROM {name}".encode()) for name in names}
        save("postgres", {name: ([c.name for c in a.description or ()], a.fetchall()) for name, a in answers.items()})
    server.stop()


if __name__ == "__main__":
    main()
