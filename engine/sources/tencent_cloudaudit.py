"""
The source `tencent_cloudaudit`: an account's events from the CloudAudit API, whole windows at a time.

The cursor only says how far back to ask. A window is read in slices, oldest first, each with the same fixed bounds on
all of its pages; neighbouring slices share their edge, because whether the API's windows are closed is not documented.

Where the cloud has refused this machine's time, events are asked for up to the cloud's: they carry its time. The cursor
is then the earlier of the two. Past the cloud's it would skip what is still to come; past this machine's it would look
as if it had been written under a clock that was ahead, and the service would take it back.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.cloudaudit import endpoint as endpoints
from engine.cloudaudit.client import CloudAudit, default_credentials
from engine.cloudaudit.clock import Clock
from engine.cloudaudit.credentials import CredentialsFile, Environment, Provider
from engine.cloudaudit.pace import Pace
from engine.cloudaudit.parameters import MAX_RESULTS
from engine.cloudaudit.roles import ROLE_ARN, SESSION_NAME, AssumeRole, CvmRole
from engine.coverage import Coverage
from engine.event import Cursor, Page, Record
from engine.sources import SourcePlugin

log = structlog.get_logger(__name__)

KIND = "tencent.cloudaudit"
FIRST_LOOK = timedelta(hours=1)
# The API refuses a start more than 90 days ago; a minute is left for the way there.
OLDEST = timedelta(days=90) - timedelta(minutes=1)


class Settings(BaseModel):
    """One account. Keys are not settings: they come from the environment, a file, the machine's role or AssumeRole."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    region: str = Field(default="ap-guangzhou", pattern=r"^[a-z]{2}(-[a-z0-9]+)+$")
    site: endpoints.Site = "cn"
    endpoint: str | None = None
    account: str | None = None  # what people call it, in messages
    credentials: Literal["default", "environment", "file", "cvm_role"] = "default"
    credentials_file: str | None = None
    profile: str = "default"
    role_arn: str | None = None
    external_id: str | None = None
    role_session_name: str = "tocsin"
    sts_endpoint: str | None = None
    proxy: str | None = None
    ca_file: str | None = None
    page_size: int = Field(default=MAX_RESULTS, ge=1, le=MAX_RESULTS)
    slice_hours: int = Field(default=24, ge=1, le=24)
    location: bool = True

    @field_validator("endpoint", "sts_endpoint")
    @classmethod
    def _is_endpoint(cls, value: str | None) -> str | None:
        endpoints.url("cloudaudit", endpoint=value)
        return value

    @field_validator("role_arn")
    @classmethod
    def _is_role(cls, value: str | None) -> str | None:
        if value is not None and not ROLE_ARN.fullmatch(value):
            raise ValueError("a role is qcs::cam::uin/<account>:roleName/<name> or qcs::cam::uin/<account>:role/<id>")
        return value

    @field_validator("role_session_name")
    @classmethod
    def _is_session_name(cls, value: str) -> str:
        if not SESSION_NAME.fullmatch(value):
            raise ValueError("a session's name is 2 to 128 letters, digits and _+=,.@-")
        return value

    @field_validator("ca_file")
    @classmethod
    def _is_ca_file(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ssl.create_default_context(cafile=value)
            except OSError as error:  # ssl.SSLError is one
                raise ValueError(f"{value} is no file of certificates: {error.strerror or error}") from None
        return value

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("a proxy is a URL that begins with http:// or https://")
        return value

    def __repr__(self) -> str:  # a proxy's URL may hold a password
        return f"Settings(region={self.region!r}, site={self.site!r}, endpoint={self.endpoint!r})"

    __str__ = __repr__


class TencentCloudAudit:
    """One account's CloudAudit events. Used by one thread at a time."""

    kind = KIND

    def __init__(
        self,
        name: str,
        client: CloudAudit,
        *,
        account: str | None = None,
        page_size: int = MAX_RESULTS,
        slices: timedelta = timedelta(days=1),
        location: bool = True,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.name = name
        self.client = client
        self._place = f"{name} ({account})" if account else name
        self._page_size = page_size
        self._slices = slices
        self._location = location
        self._now = now or client.clock.now

    def fetch(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        """
        See `engine.sources.Source`; *until* is by this machine's clock. What is older than 90 days the API no longer
        has: it is left out, and logged.
        """
        offset = self.client.clock.offset
        yield from self._span(since, until + timedelta(seconds=offset))
        if self.client.clock.offset != offset:  # the clock was found to be wrong on the way
            yield from self._span(since, until + timedelta(seconds=self.client.clock.offset))

    def _span(self, since: Cursor | None, until: datetime) -> Iterator[Page]:
        end = until.astimezone(UTC).replace(microsecond=0)
        start = since.until.astimezone(UTC).replace(microsecond=0) if since else end - FIRST_LOOK
        for begin, finish in self._windows(start, end):
            yield from self._read(begin, finish)

    def coverage(self) -> Coverage:
        """Whether an enabled tracking set covers the account's write events. Needs DescribeAuditTrack(s)."""
        return self.client.coverage()

    def close(self) -> None:
        self.client.close()

    def _windows(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        begin = start
        while begin <= end:
            # Asked each time: a long catch-up may outlive the oldest window that it began with.
            oldest = datetime.fromtimestamp(int(self._now()), UTC) - OLDEST
            if begin < oldest:
                log.warning(
                    "events older than 90 days are no longer there; they were not read",
                    source=self.name,
                    since=begin.isoformat(),
                    reading_from=oldest.isoformat(),
                )
                begin = oldest
                if begin > end:
                    return
            finish = min(begin + self._slices, end)
            yield begin, finish
            if finish >= end:
                return
            begin = finish

    def _read(self, begin: datetime, finish: datetime) -> Iterator[Page]:
        pages = self.client.events(
            start_time=int(begin.timestamp()),
            end_time=int(finish.timestamp()),
            max_results=self._page_size,
            is_return_location=self._location,
        )
        for number, page in enumerate(pages, start=1):
            place = f"{self._place}, events until {finish:%Y-%m-%d %H:%M:%S} UTC, page {number}"
            records = tuple(Record(record.raw, place) for record in page.records)
            yield Page(records, Cursor(self._reached(finish)) if page.list_over else None)

    def _reached(self, finish: datetime) -> datetime:
        """How far reading has come when a slice is over that ends at *finish*."""
        clock = self.client.clock
        if not clock.offset:
            return finish
        return min(finish, datetime.fromtimestamp(int(min(clock.now(), clock.wall())), UTC))


def build(name: str, settings: Settings) -> TencentCloudAudit:
    """The source called *name*; nothing is asked of the network or the disk yet."""
    clock = Clock()
    client = CloudAudit(
        _credentials(settings, clock),
        region=settings.region,
        site=settings.site,
        endpoint=settings.endpoint,
        proxy=settings.proxy,
        ca_file=settings.ca_file,
        clock=clock,
        pace=_pace(settings),
    )
    return TencentCloudAudit(
        name,
        client,
        account=settings.account,
        page_size=settings.page_size,
        slices=timedelta(hours=settings.slice_hours),
        location=settings.location,
    )


_PACES: dict[tuple[str | None, ...], Pace] = {}


def _pace(settings: Settings) -> Pace:
    """The limit is the account's, so sources that read with the same key share what it allows."""
    whose = (settings.site, settings.endpoint, settings.credentials, settings.credentials_file, settings.profile)
    return _PACES.setdefault((*whose, settings.role_arn), Pace())


def _credentials(settings: Settings, clock: Clock) -> Provider:
    base = _base_credentials(settings, clock)
    if settings.role_arn is None:
        return base
    return AssumeRole(
        base,
        settings.role_arn,
        session_name=settings.role_session_name,
        external_id=settings.external_id or "",
        region=settings.region,
        site=settings.site,
        endpoint=settings.sts_endpoint,
        proxy=settings.proxy,
        ca_file=settings.ca_file,
        clock=clock,
    )


def _base_credentials(settings: Settings, clock: Clock) -> Provider:
    if settings.credentials_file is not None:
        return CredentialsFile([Path(settings.credentials_file)], profile=settings.profile)
    match settings.credentials:
        case "environment":
            return Environment()
        case "file":
            return CredentialsFile(profile=settings.profile)
        case "cvm_role":
            return CvmRole(clock=clock)
        case "default":
            return default_credentials(profile=settings.profile, clock=clock)


PLUGIN = SourcePlugin(Settings, build)
