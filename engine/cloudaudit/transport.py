"""
One HTTP exchange with the API: signed, kept within a deadline and a size.

The one module that talks through httpx (`wire` is its lower half). httpx logs every URL at INFO, and the URL of a V1
request holds its token: its loggers are set to WARNING here.
"""

from __future__ import annotations

import logging
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Literal, Protocol

import httpcore
import httpx
import msgspec

from engine import __version__
from engine.cloudaudit import wire
from engine.cloudaudit.clock import Clock, http_date
from engine.cloudaudit.credentials import Credentials
from engine.cloudaudit.errors import (
    AnswerTooLargeError,
    BrokenAnswerError,
    DeadlineError,
    TransportError,
    UnreachableError,
)
from engine.cloudaudit.form import flatten
from engine.cloudaudit.signing import tc3_authorization, v1_signature, v1_text

logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

Signature = Literal["TC3-HMAC-SHA256", "HmacSHA256", "HmacSHA1"]

LARGEST_ANSWER = 16 * 1024 * 1024  # bytes, inflated; a page of 50 events has some 150 kB
DEADLINE = 20.0  # seconds for a whole exchange: connecting, asking, every byte of the answer
CONNECT = 5.0  # seconds of it for connecting

_SIGNED = ("content-type", "host", "x-tc-action")


@dataclass(frozen=True, slots=True)
class Request:
    """One action to be asked. *parameters* are those of the API, with its names."""

    action: str
    version: str
    region: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came back. *after*: seconds that Retry-After asked for."""

    status: int
    body: bytes
    after: float | None = None


class Opener(Protocol):
    """Makes a fresh httpx transport; replaced in tests."""

    def __call__(self) -> httpx.BaseTransport: ...


class Tc3Auth(httpx.Auth):
    """Signs a request with TC3-HMAC-SHA256, at the moment it is sent."""

    requires_request_body = True

    def __init__(self, credentials: Credentials, *, service: str, now: Callable[[], float]) -> None:
        self._credentials = credentials
        self._service = service
        self._now = now

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # sends nothing back
        timestamp = int(self._now())
        request.headers["X-TC-Timestamp"] = str(timestamp)
        if self._credentials.token:
            request.headers["X-TC-Token"] = self._credentials.token
        request.headers["Authorization"] = tc3_authorization(
            self._credentials.secret_id,
            self._credentials.secret_key,
            service=self._service,
            method=request.method,
            query=request.url.query.decode("ascii"),
            headers={name: request.headers[name] for name in _SIGNED},
            signed=_SIGNED,
            payload=request.content,
            timestamp=timestamp,
        )
        yield request


class V1Auth(httpx.Auth):
    """Signs a request in GET form the older way: key, time and signature become parameters of the URL."""

    def __init__(
        self, credentials: Credentials, *, method: Literal["HmacSHA1", "HmacSHA256"], now: Callable[[], float]
    ) -> None:
        self._credentials = credentials
        self._method: Literal["HmacSHA1", "HmacSHA256"] = method
        self._now = now

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]  # sends nothing back
        parameters = dict(request.url.params.items())
        parameters |= {
            "SecretId": self._credentials.secret_id,
            "SignatureMethod": self._method,
            "Timestamp": str(int(self._now())),
            "Nonce": str(secrets.randbelow(2**31 - 1) + 1),
        }
        if self._credentials.token:
            parameters["Token"] = self._credentials.token
        text = v1_text(request.method, request.headers["host"], parameters)
        parameters["Signature"] = v1_signature(self._credentials.secret_key, text, self._method)
        request.url = request.url.copy_with(params=parameters)
        yield request


class Transport:
    """
    A kept connection to one service at one endpoint. Safe to share between threads.

    *base* is a URL without a path (`endpoint.url`). The environment's proxies are not used; *proxy* is.
    """

    def __init__(
        self,
        base: str,
        *,
        service: str,
        clock: Clock,
        signature: Signature = "TC3-HMAC-SHA256",
        proxy: str | None = None,
        ca_file: str | None = None,
        deadline: float = DEADLINE,
        largest: int = LARGEST_ANSWER,
        opener: Opener | None = None,
    ) -> None:
        self._base = base
        self._service = service
        self._clock = clock
        self._signature: Signature = signature
        self._deadline = deadline
        self._largest = largest
        self._opener = opener or (lambda: _wire(ca_file, proxy))
        self._lock = Lock()
        self._client: httpx.Client | None = None

    def exchange(self, request: Request, credentials: Credentials) -> Exchange:
        """Send *request* once. Raises TransportError when no whole answer came, whatever its HTTP status would be."""
        if self._signature == "TC3-HMAC-SHA256":
            return self._exchange(self._tc3(request), Tc3Auth(credentials, service=self._service, now=self._clock.now))
        return self._exchange(self._v1(request), V1Auth(credentials, method=self._signature, now=self._clock.now))

    def get(self, path: str) -> Exchange:
        """GET *path*, unsigned: the machine's metadata."""
        return self._exchange(httpx.Request("GET", self._base + path), None)

    def close(self) -> None:
        """Give up the connection. The next exchange opens another."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _tc3(self, request: Request) -> httpx.Request:
        headers = {
            "Content-Type": "application/json",
            "X-TC-Action": request.action,
            "X-TC-Version": request.version,
            "X-TC-Region": request.region,
        }
        # msgspec writes integers above 2^53 exactly, as NextToken needs.
        return httpx.Request("POST", f"{self._base}/", headers=headers, content=msgspec.json.encode(request.parameters))

    def _v1(self, request: Request) -> httpx.Request:
        common = {"Action": request.action, "Version": request.version, "Region": request.region}
        return httpx.Request("GET", f"{self._base}/", params=common | flatten(request.parameters))

    def _exchange(self, request: httpx.Request, auth: httpx.Auth | None) -> Exchange:
        request.headers["Accept-Encoding"] = "gzip"
        request.headers["User-Agent"] = f"tocsin/{__version__}"
        request.extensions["timeout"] = {"connect": CONNECT, "read": None, "write": None, "pool": CONNECT}
        sent = self._clock.wall()
        try:
            with wire.deadline(self._deadline):
                response = self._open().send(request, auth=auth, stream=True)
                try:
                    self._clock.measure(response.headers.get("Date"), sent=sent, received=self._clock.wall())
                    return Exchange(response.status_code, self._body(response), self._retry_after(response))
                finally:
                    response.close()
        except httpcore.PoolTimeout:
            # httpx 0.28 can lose its pool's places for good (encode/httpx#3782); only a new client helps.
            self.close()
            raise UnreachableError("no free connection to the API; the connections were closed") from None
        except httpcore.TimeoutException as error:
            if isinstance(error, httpcore.ConnectTimeout):
                raise UnreachableError(f"no connection to {self._host} within {CONNECT:g} s") from None
            raise DeadlineError(f"no whole answer from {self._host} within {self._deadline:g} s") from None
        except (httpcore.ConnectError, httpcore.ProxyError, httpcore.UnsupportedProtocol) as error:
            raise UnreachableError(f"no connection to {self._host}: {error}") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise BrokenAnswerError(f"the connection to {self._host} broke: {error}") from None

    @property
    def _host(self) -> str:
        return self._base.partition("://")[2]

    def _open(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(transport=self._opener(), trust_env=False, follow_redirects=False)
            return self._client

    def _body(self, response: httpx.Response) -> bytes:
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > self._largest:
            raise AnswerTooLargeError(f"the answer has {length} bytes; at most {self._largest} are read")
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding in ("", "identity"):
            return _capped(response.iter_raw(), self._largest)
        if encoding == "gzip":
            return _capped(_inflated(response.iter_raw(), self._largest), self._largest)
        raise BrokenAnswerError(f"the answer is encoded as {encoding!r}, which was not asked for")

    def _retry_after(self, response: httpx.Response) -> float | None:
        """Seconds (RFC 9110, 10.2.3: a number or a date)."""
        text = response.headers.get("Retry-After", "").strip()
        if text.isdecimal():
            return float(text)
        moment = http_date(text)
        return None if moment is None else max(0.0, moment - self._clock.now())


def _wire(ca_file: str | None, proxy: str | None) -> httpx.BaseTransport:
    try:
        return wire.Wire(ca_file=ca_file, proxy=proxy)
    except OSError as error:  # ssl.SSLError is one
        raise UnreachableError(f"the CA file {ca_file} cannot be read: {error.strerror or error}") from None


def _capped(chunks: Iterable[bytes], largest: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > largest:
            raise AnswerTooLargeError(f"the answer has more than {largest} bytes")
    return bytes(body)


def _inflated(chunks: Iterable[bytes], largest: int) -> Iterator[bytes]:
    # Inflated piece by piece: 64 kB that arrive at once can hold 64 MB.
    inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        for chunk in chunks:
            yield inflate.decompress(chunk, largest + 1)
    except zlib.error:
        raise BrokenAnswerError("the answer is not the gzip that it says it is") from None
    if not inflate.eof:
        raise BrokenAnswerError("the answer ended in the middle of its gzip")


__all__ = ["DEADLINE", "LARGEST_ANSWER", "Exchange", "Request", "Signature", "Transport", "TransportError"]
