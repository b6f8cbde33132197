"""Where a store is: what its URL names, and how it may be shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final
from urllib.parse import unquote

from engine.errors import ConfigurationError, Place, Problem

SCHEMES: Final = ("postgresql://", "postgres://")
MASKED: Final = "[masked]"


def is_postgres(url: str) -> bool:
    """Whether a store's URL names a Postgres database, which other processes may share."""
    return url.startswith(SCHEMES)


def secrets_of(url: str) -> list[str]:
    """
    Whatever in *url* may be a password (of three characters and more), longest first: the whole of it, and its pieces
    where "@", "/" or ":" stand in it unescaped, since those are what a parser that goes wrong quotes.
    """
    _, _, rest = url.partition("://")
    found = []
    userinfo, at, _ = rest.rpartition("@")
    if at and ":" in userinfo:
        found.append(userinfo.partition(":")[2])
    found += re.findall(r"[?&](?:password|sslpassword)=([^&]*)", rest)
    pieces = [piece for secret in found for piece in re.split(r"[@/:?#&]", secret) if len(piece) > 2]
    return sorted({s for text in (*found, *pieces) for s in (text, unquote(text)) if len(s) > 2}, key=len, reverse=True)


def masked(url: str) -> str:
    """*url* as it may be shown."""
    scheme, separator, rest = url.partition("://")
    userinfo, at, place = rest.rpartition("@")
    if at and ":" in userinfo:
        userinfo = f"{userinfo.partition(':')[0]}:{MASKED}"
    place = re.sub(r"([?&](?:password|sslpassword)=)[^&]*", rf"\1{MASKED}", place)
    return f"{scheme}{separator}{userinfo}{at}{place}"


def without(text: str, secrets: Sequence[str]) -> str:
    """*text* with [masked] wherever one of *secrets* stands in it."""
    for secret in secrets:
        text = text.replace(secret, MASKED)
    return text


def need_driver(url: str) -> None:
    """Raises ConfigurationError, which says what to install, where the driver for *url*'s database is not there."""
    if is_postgres(url) and find_spec("psycopg") is None:
        message = f"the store {masked(url)} needs the Postgres driver, which is not installed"
        hint = "pip install 'tocsin[postgres]'"
        raise ConfigurationError([Problem(Place("store"), "no-driver", message, suggestion=hint)])
