"""
Who is asking: a key, or a temporary key with its token, and where they come from.

This module reads the environment and Tencent's own credentials file; `roles` asks the machine's role or STS. No key and
no token reaches a text: not a `repr`, not an error, not a log.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Protocol

import structlog

from engine.cloudaudit.errors import CredentialsError, CredentialsRefusedError

log = structlog.get_logger(__name__)

# Source: tencentcloud-sdk-python-common 3.1, credential.py. The SDK does not read the token; tccli does.
ENVIRONMENT = ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN")
FILES = (Path("~/.tencentcloud/credentials"), Path("/etc/tencentcloud/credentials"))


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key; *token* and *expires* (epoch seconds) belong to a temporary one."""

    secret_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires: float | None = None

    def __post_init__(self) -> None:
        # The API answers AuthFailure.SecretIdNotFound to a blank around a key; say which, and do not say what.
        for name, value in (("SecretId", self.secret_id), ("SecretKey", self.secret_key), ("token", self.token)):
            if name != "token" and not value:
                raise CredentialsRefusedError(f"the {name} is empty")
            if value != value.strip():
                raise CredentialsRefusedError(f"the {name} has blanks before or after it")
            if not (value.isascii() and value.isprintable()):
                raise CredentialsRefusedError(f"the {name} holds characters that no {name} has")

    def __repr__(self) -> str:
        return f"Credentials({self.secret_id[:8]}…, temporary={bool(self.token)}, expires={self.expires})"


class Provider(Protocol):
    """Where credentials come from. Safe to share between threads."""

    def current(self, *, fresh: bool = False) -> Credentials:
        """
        Credentials that are good for at least five more minutes; *fresh*: the last ones were refused, get new ones.

        Raises CredentialsRefusedError if there are none until a person changes something, CredentialsError if they
        could not be had this time.
        """
        ...


class NotHereError(CredentialsRefusedError):
    """This provider has nothing to offer here; a chain asks the next one."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """One key, given by the caller."""

    credentials: Credentials

    def current(self, *, fresh: bool = False) -> Credentials:  # noqa: ARG002 (there is no other)
        return self.credentials


class Environment:
    """TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY and, for a temporary key, TENCENTCLOUD_TOKEN."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def current(self, *, fresh: bool = False) -> Credentials:  # noqa: ARG002 (it is read each time)
        secret_id, secret_key, token = (self._environ.get(name, "") for name in ENVIRONMENT)
        if not secret_id and not secret_key:
            raise NotHereError(f"the environment has no {ENVIRONMENT[0]}")
        for name, value in zip(ENVIRONMENT, (secret_id, secret_key), strict=False):
            if not value:  # half a key is a mistake, not an absence
                raise CredentialsRefusedError(f"the environment has no {name}, though it has its counterpart")
        return Credentials(secret_id, secret_key, token)


class CredentialsFile:
    """The official file: INI with `secret_id`, `secret_key` and, we add, `token` under [default]; first path wins."""

    def __init__(self, paths: Sequence[Path] = FILES, *, profile: str = "default") -> None:
        self._paths = tuple(path.expanduser() for path in paths)
        self._profile = profile
        self._warned = False

    def current(self, *, fresh: bool = False) -> Credentials:  # noqa: ARG002 (it is read each time)
        path = next((path for path in self._paths if path.is_file()), None)
        if path is None:
            raise NotHereError(f"there is no file {' or '.join(str(path) for path in self._paths)}")
        section = self._section(path)
        missing = [name for name in ("secret_id", "secret_key") if not section.get(name, "").strip()]
        if missing:
            raise CredentialsRefusedError(f"{path}: [{self._profile}] has no {missing[0]}")
        self._warn_if_readable(path)
        token = section.get("token", "").strip()
        return Credentials(section["secret_id"].strip(), section["secret_key"].strip(), token)

    def _section(self, path: Path) -> Mapping[str, str]:
        parser = configparser.ConfigParser(interpolation=None)  # a key may hold a percent sign
        try:
            parser.read_string(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsError(f"{path} cannot be read: {type(error).__name__}") from None
        except configparser.Error as error:
            # The error's own text quotes the line, and the line may hold the key.
            raise CredentialsRefusedError(f"{path} is not an INI file ({type(error).__name__})") from None
        if not parser.has_section(self._profile):
            raise CredentialsRefusedError(f"{path} has no section [{self._profile}]")
        return parser[self._profile]

    def _warn_if_readable(self, path: Path) -> None:
        if not self._warned and path.stat().st_mode & 0o077:
            self._warned = True
            log.warning("credentials file can be read by other users; chmod 600 it", file=str(path))


class Chain:
    """The first of several providers that has something to offer; later calls stay with it."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = tuple(providers)
        self._chosen: Provider | None = None
        self._lock = Lock()

    def current(self, *, fresh: bool = False) -> Credentials:
        with self._lock:
            if self._chosen is None:
                credentials, self._chosen = self._first()
                return credentials
            chosen = self._chosen
        return chosen.current(fresh=fresh)

    def _first(self) -> tuple[Credentials, Provider]:
        tried = []
        for provider in self._providers:
            try:
                return provider.current(), provider
            except NotHereError as error:
                tried.append(str(error))
        raise CredentialsRefusedError(f"no Tencent Cloud credentials: {'; '.join(tried)}")
