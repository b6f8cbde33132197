"""Clients of a scripted API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

from engine.cloudaudit.client import CloudAudit
from engine.cloudaudit.credentials import Credentials, Fixed
from engine.cloudaudit.pace import Pace
from tests.cloudaudit.scripted import Reply, Script, ScriptedApi

SECRET_ID = "AKIDcanaryidcanaryidcanaryidcanaryid"
SECRET_KEY = "canarykeycanarykeycanarykeycanar"
TOKEN = "canarytokencanarytokencanarytoken"
NOW = 1_700_000_000


class Window(TypedDict):
    """The span of a search, epoch seconds."""

    start_time: int
    end_time: int


WINDOW = Window(start_time=int(time.time()) - 3600, end_time=int(time.time()))  # the last hour


def a_key(token: str = "") -> Fixed:
    return Fixed(Credentials(SECRET_ID, SECRET_KEY, token))


@contextmanager
def a_client(*replies: Reply, script: Script | None = None, **options: Any) -> Iterator[tuple[CloudAudit, ScriptedApi]]:
    with ScriptedApi(*replies, script=script) as api:
        options = {"pace": Pace(10_000), **options}  # the server here does not mind
        client = CloudAudit(options.pop("credentials", a_key()), endpoint=api.endpoint, **options)
        try:
            yield client, api
        finally:
            client.close()
