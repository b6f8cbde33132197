"""
A real Postgres server, started by the tests themselves, on a Unix socket in a folder of its own.

A server refuses to run as root: then it runs as `postgres`, or `nobody`. It ends with the process that started it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

WHY_NOT = "no Postgres server is installed (apt-get install postgresql)"
LOCKED_PASSWORD = "canary-p4ss"
_PR_SET_PDEATHSIG = 1  # prctl(2)
# The tests kill servers, not machines: nothing is lost without fsync, and commits cost no disk.
_SETTINGS = {"listen_addresses": "", "max_connections": "60", "shared_buffers": "32MB"}


def binaries() -> Path | None:
    """Where the newest installed server is, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path and shutil.which("initdb") else None


class PostgresServer:
    """One server; it can be crashed and started again. Only with *durable* does it wait for the disk."""

    def __init__(self, bin_: Path, *, durable: bool = False) -> None:
        self._durable = durable
        self._bin = bin_
        owner = _owner()
        self._user = owner.pw_uid if owner else None
        self._group = owner.pw_gid if owner else None
        self._no_more: list[str | int] | None = [] if owner else None
        self.folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-"))
        if owner:
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        command = [
            str(bin_ / "initdb"),
            "-D",
            str(self._data),
            "-U",
            "tester",
            "--no-sync",
            "-E",
            "UTF8",
            "--no-locale",
        ]
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            cwd="/",
            user=self._user,
            group=self._group,
            extra_groups=self._no_more,
        )
        (self._data / "pg_hba.conf").write_text("local all locked scram-sha-256\nlocal all all trust\n")
        self.start()
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE locked LOGIN PASSWORD '{LOCKED_PASSWORD}'")

    def url(self, *, schema: str = "public", user: str = "tester", password: str = "") -> str:
        """The address of *schema* in the one database."""
        who = f"{user}:{password}" if password else user
        options = quote(f"-csearch_path={schema}", safe="")
        return f"postgresql://{who}@/postgres?host={quote(str(self.folder), safe='')}&options={options}"

    def new_schema(self) -> str:
        """The URL of an empty store."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return self.url(schema=name)

    def start(self) -> None:
        """Run, and wait until it answers."""
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-k", str(self.folder)]
        for name, value in {**_SETTINGS, "fsync": "on" if self._durable else "off"}.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=_end_with_us,  # noqa: PLW1509 nothing else runs while tests set up; it makes one system call
                user=self._user,
                group=self._group,
                extra_groups=self._no_more,
            )
        for _ in range(600):
            try:
                psycopg.connect(self.url()).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text(errors="replace")) from None
                time.sleep(0.05)
        raise RuntimeError("the Postgres server does not answer")

    def crash(self) -> None:
        """End at once, without a word to anyone, as `pg_ctl stop -m immediate` does."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """End and leave nothing behind."""
        self._end(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server for all tests; those that need one are skipped where none is installed."""
    found = binaries()
    if found is None:
        pytest.skip(WHY_NOT)
    server = PostgresServer(found)
    yield server
    server.stop()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server for one test, which may crash it."""
    found = binaries()
    if found is None:
        pytest.skip(WHY_NOT)
    server = PostgresServer(found)
    yield server
    server.stop()


def _owner() -> pwd.struct_passwd | None:
    """Whom the server runs as, where that must not be ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("neither `postgres` nor `nobody` is a user here, and a Postgres server does not run as root")


def _end_with_us() -> None:
    """Even when we are killed: SIGINT is a server's fast shutdown."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
