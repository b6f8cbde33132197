"""
One HTTP request out of the house: to the address that was checked, within one deadline, answered by a value.

Where a notifier sends is configuration, but a wrong or stolen configuration, or a name that changes its address, must
not turn the alerting service into a way to reach inner hosts (SSRF). So a name is resolved once, every address is
judged, and the connection goes to a judged address, while TLS still verifies the name. Redirects are not followed,
proxies and netrc of the environment are not used, answers are read up to ANSWER_LIMIT.

httpx's Client logs every URL at INFO, and for chat webhooks the URL is the secret: requests are handed to the transport
itself, which logs none. httpcore below logs the headers of answers at DEBUG, and a redirect's may repeat that URL: what
it logs of our requests is dropped.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpcore
import httpx
from pydantic import Field, field_validator

from engine.delivery import Finding, Refused, TryLater
from notifiers.settings import NotifierSettings, Seconds

ANSWER_LIMIT = 64 * 1024
CONNECT_SECONDS = 5.0  # for one address
NEVER = float("inf")
WAIT_AT_MOST = timedelta(minutes=10)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]


class OutboundSettings(NotifierSettings):
    """How a notifier that speaks HTTP may reach out."""

    allow_http: bool = False
    """Send without TLS. Only for a receiver on the same host or inside a closed network."""
    allow_hosts: list[str] = Field(default_factory=list)
    """Hosts and networks (CIDR) that may be reached although their addresses are not public."""
    ca_file: str | None = None
    """A PEM file of certificate authorities to trust beside the public ones."""
    timeout: Annotated[Seconds, Field(ge=0.1, le=25)] = 15.0
    """Seconds for one attempt, all its requests together."""

    @field_validator("allow_hosts")
    @classmethod
    def _readable(cls, entries: list[str]) -> list[str]:
        Allowed.of(entries)
        return entries

    @field_validator("ca_file")
    @classmethod
    def _loadable(cls, path: str | None) -> str | None:
        if path is not None:
            tls(path)
        return path


def checked_url(url: str, *, allow_http: bool) -> str:
    """
    *url* if requests may go there: absolute, https (or http where allowed), without user name, password or fragment.

    Raises ValueError with a text that does not repeat the URL, which may be a secret.
    """
    url = url.strip()
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise ValueError("is not a URL: it holds white space, control or non-ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL: its host or port cannot be read") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise ValueError("is not an absolute https URL")
    if parts.scheme == "http" and not allow_http:
        raise ValueError("is not https: alerts and signatures would travel in the clear (allow_http: true permits it)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user name or password: put credentials into `headers`")
    if parts.fragment:
        raise ValueError("holds a fragment (#…), which is never sent")
    return url


# --- which addresses -------------------------------------------------------------------------------------------------

# Python 3.11 calls these global; they lead inside by translation or tunnel, or are a cloud's own (RFC 6052, 8215, 3056,
# 4380, 4291 2.5.5.1, 3879, 7526; learn.microsoft.com "What is IP address 168.63.129.16").
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ipaddress.ip_network(block)
    for block in (
        "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "fec0::/10", "192.88.99.0/24",
        "168.63.129.16/32",
    )
)  # fmt: skip
# Machine metadata of clouds: credentials for the asking. A name on the allow list does not reach them, a network does.
_METADATA: tuple[Network, ...] = tuple(
    ipaddress.ip_network(block)
    for block in ("169.254.0.0/16", "fe80::/10", "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::254/128")
)


def is_public(address: Address) -> bool:
    """May be reached without being listed."""
    address = _unwrapped(address)
    return address.is_global and not address.is_multicast and not _within(address, _NOT_PUBLIC)


def _unwrapped(address: Address) -> Address:
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, ipaddress.IPv4Address) else address


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The allow list: names, which may stand for any address but a metadata one, and networks."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> Allowed:
        """Raises ValueError for an entry that is neither a host name, an address nor a network."""
        names: set[str] = set()
        networks: list[Network] = []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]")))
            except ValueError:
                name = entry.lower().rstrip(".")
                labels = name.split(".")
                if labels[-1].isdigit() or not all(_is_label(label) for label in labels):
                    raise ValueError(f"{entry!r} is not a host name, an address or a network (CIDR)") from None
                names.add(name)
        return cls(frozenset(names), tuple(networks))

    def permits(self, host: str, address: Address) -> bool:
        address = _unwrapped(address)
        if is_public(address) or _within(address, self.networks):
            return True
        if host.lower().rstrip(".") not in self.names:
            return False
        return not (address.is_multicast or address.is_unspecified or _within(address, _METADATA))


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 63 and all(character.isalnum() or character in "-_" for character in label)


class AddressForbidden(Exception):
    """The name leads to an address that is not public and not allowed."""


class NameUnknown(Exception):
    """The name could not be resolved now."""


# --- the connection --------------------------------------------------------------------------------------------------


class Deadline:
    """The moment (monotonic) by which all of an attempt must be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds, 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())


def _system_resolve(host: str, port: int) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _resolved(resolve: Resolve, host: str, port: int, seconds: float) -> list[Address]:
    """The addresses of *host*. getaddrinfo knows no timeout: it runs beside, and is left behind when it is too slow."""
    answers: list[Sequence[str] | OSError | UnicodeError] = []

    def ask() -> None:
        try:
            answers.append(resolve(host, port))
        except (OSError, UnicodeError) as fault:
            answers.append(fault)

    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise NameUnknown("the host's name was not resolved in time")
    if isinstance(answers[0], OSError | UnicodeError) or not answers[0]:
        raise NameUnknown("the host's name cannot be resolved")
    return [ipaddress.ip_address(text.partition("%")[0]) for text in answers[0]]


class _Vetted(httpcore.NetworkBackend):
    """Connects to judged addresses only; every wait ends at the deadline of the attempt."""

    def __init__(self, allowed: Allowed, resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._tcp = httpcore.SyncBackend()
        self.deadline = Deadline(0)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = _resolved(self._resolve, host, port, self.deadline.left)
        for address in addresses:  # one bad address among good ones is how rebinding begins
            if not self._allowed.permits(host, address):
                raise AddressForbidden(f"the host's address {address} is not public; allow_hosts can permit it")
        fault: Exception = httpcore.ConnectTimeout()
        for address in addresses:
            seconds = min(CONNECT_SECONDS, self.deadline.left, NEVER if timeout is None else timeout)
            if not seconds:
                break
            try:
                stream = self._tcp.connect_tcp(str(address), port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                fault = failed
            else:
                return _Hurried(stream, self)
        raise fault


class _Hurried(httpcore.NetworkStream):
    """A stream on which no wait outlasts the deadline, so that an answer given a byte at a time ends as well."""

    def __init__(self, stream: httpcore.NetworkStream, backend: _Vetted) -> None:
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._left(timeout, httpcore.ConnectTimeout)
        return _Hurried(self._stream.start_tls(ssl_context, server_hostname, left), self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None, late: type[Exception]) -> float:
        left = self._backend.deadline.left
        if not left:
            raise late
        return min(left, NEVER if timeout is None else timeout)


def tls(ca_file: str | None) -> ssl.SSLContext:
    """
    Verifies name and chain, TLS 1.2 or later; there is no switch to turn it off. *ca_file* adds authorities.

    Raises ValueError when the file cannot be used.
    """
    if ca_file is None:
        return _public_authorities()
    context = _public_authorities.__wrapped__()
    try:
        context.load_verify_locations(cafile=Path(ca_file))
    except (OSError, ssl.SSLError):
        raise ValueError("ca_file cannot be read as PEM certificates") from None
    return context


@cache
def _public_authorities() -> ssl.SSLContext:
    """Reading the authorities takes tens of milliseconds, and most destinations share them."""
    context = httpx.create_ssl_context(trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Transport(httpx.HTTPTransport):
    def __init__(self, context: ssl.SSLContext, backend: httpcore.NetworkBackend) -> None:
        super().__init__(verify=context, trust_env=False)
        # httpx 0.28 has no argument for the network backend; a test holds that requests do go through it.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context, max_connections=2, keepalive_expiry=30.0, network_backend=backend
        )


class _Hush(logging.Filter):
    """Drops what a thread logs while it sends for a notifier; what others send is logged as configured."""

    def __init__(self) -> None:
        super().__init__()
        self.sending = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 whatever it says
        return not getattr(self.sending, "now", False)

    def __enter__(self) -> None:
        self.sending.now = True

    def __exit__(self, *_: object) -> None:
        self.sending.now = False


_HUSH = _Hush()
for _name in ("connection", "http11"):  # a filter is not inherited
    logging.getLogger(f"httpcore.{_name}").addFilter(_HUSH)


# --- one request -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; *body* is at most ANSWER_LIMIT bytes, and not *whole* when more was to come or should have."""

    status: int
    headers: httpx.Headers
    body: bytes
    whole: bool

    @property
    def success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def is_page(self) -> bool:
        """A web page: a login, a captive portal, a proxy's error; no receiver of messages answers so."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        start = self.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:14].lower()
        return kind in {"text/html", "application/xhtml+xml"} or start.startswith((b"<!doctype html", b"<html"))


class Outbound:
    """A kept connection to one destination. Used by one thread at a time."""

    def __init__(self, settings: OutboundSettings, *, resolve: Resolve = _system_resolve) -> None:
        self._backend = _Vetted(Allowed.of(settings.allow_hosts), resolve)
        self._transport = _Transport(tls(settings.ca_file), self._backend)

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> Answer | TryLater | Refused:
        """One POST, over by *deadline*. No reason holds the URL, a header or a part of the body."""
        with _HUSH:
            return self._ask("POST", url, body, headers, deadline)

    def head(self, url: str, deadline: Deadline) -> Answer | TryLater | Refused:
        """One HEAD: whether anybody answers there. It is safe (RFC 9110 9.2.1): a receiver does nothing for it."""
        with _HUSH:
            return self._ask("HEAD", url, b"", {}, deadline)

    def _ask(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> Answer | TryLater | Refused:
        self._backend.deadline = deadline
        left = deadline.left
        if not left:
            return TryLater("no time left in this attempt")
        timeout = {"connect": left, "read": left, "write": left, "pool": left}
        request = httpx.Request(
            method,
            url,
            content=body,
            headers={"Connection": "keep-alive", "Accept": "*/*", **headers},
            extensions={"timeout": timeout},
        )
        try:
            response = self._transport.handle_request(request)
        except AddressForbidden as forbidden:
            return Refused(str(forbidden), permanent=True)
        except NameUnknown as unknown:
            return TryLater(str(unknown))
        except httpx.ConnectTimeout:
            return TryLater("no connection in time")
        except (httpx.ConnectError, httpx.PoolTimeout) as fault:
            return TryLater(f"no connection: {_why(fault)}")
        except httpx.TimeoutException:
            return TryLater("no answer in time", ambiguous=True)
        except httpx.TransportError as fault:
            return TryLater(f"the connection broke: {type(fault).__name__}", ambiguous=True)
        return _read(response)

    def close(self) -> None:
        self._transport.close()


def reachable(answer: Answer | TryLater | Refused) -> Finding:
    """Whether somebody answers at a URL, by the answer to a HEAD; any status shows it."""
    if isinstance(answer, Answer):
        return Finding(True, f"somebody answers there (HTTP {answer.status} to HEAD)")
    to_do = "check the URL, DNS, the firewall, and allow_hosts for an inner host"
    return Finding(False, f"nobody could be reached: {answer.reason}", to_do)


def _why(fault: BaseException) -> str:
    """The fault below in words of the system or of TLS: they name no URL."""
    below: BaseException | None = fault
    while below is not None:
        if isinstance(below, ssl.SSLCertVerificationError):
            return f"the certificate was not accepted ({below.verify_message})"
        if isinstance(below, ssl.SSLError):
            return "TLS failed"
        if isinstance(below, OSError):
            return below.strerror or type(below).__name__
        below = below.__cause__ or below.__context__
    return type(fault).__name__


def _read(response: httpx.Response) -> Answer:
    kept = bytearray()
    whole = True
    try:
        for chunk in response.iter_raw():
            kept += chunk
            if len(kept) > ANSWER_LIMIT:
                whole = False
                break
    except httpx.TransportError:
        whole = False
    finally:
        response.close()
    return Answer(response.status_code, response.headers, bytes(kept[:ANSWER_LIMIT]), whole)


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """`Retry-After` (RFC 9110 10.2.3: seconds, or an HTTP date against *now*), between nothing and ten minutes."""
    value = httpx.Headers(dict(headers)).get("retry-after", "").strip()
    if not value:
        return None
    try:
        wait = timedelta(seconds=min(float(value), WAIT_AT_MOST.total_seconds()))
    except (ValueError, OverflowError):
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
        wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta(0)), WAIT_AT_MOST)
