"""
The emulator itself: events come in by `add`, questions by HTTP.

One thread runs uvicorn and answers; `add` may be called from any other. Events are written to bytes once, when they
are added, so that a page is a search and a join.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Any, Self

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.emulator import calls, signatures
from engine.emulator.actions import REGIONS, VERSION, Cloud, action
from engine.emulator.answers import CONTENT_TYPE, RefusalError, failure, missing, success, text
from engine.emulator.calls import TC3_POST_LIMIT, HttpRequest
from engine.emulator.events import (
    TICKS,
    Entry,
    Inner,
    Outer,
    entry,
    event_time,
    index_time,
    inner_of,
    is_outer,
    packed,
    wrapped,
)
from engine.emulator.index import Index, Page
from engine.emulator.journal import audited
from engine.emulator.parameters import read
from engine.emulator.rates import Rates
from engine.emulator.settings import Fault, Settings

SECOND_COPY_WITHIN = 10.0  # seconds after the first
DRIPS = 60  # pieces of a slow answer
LONGEST_NAP = 0.25  # seconds: how soon a slow answer notices that nobody wants it
HTML = b"<html><head><title>%b</title></head><body><center><h1>%b</h1></center><hr><center>nginx</center></body></html>"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST (socket(7))


class Emulator:
    """
    A running CloudAudit API for one account, once started.

    *requests* counts what was asked, by action; *outcomes* what was answered, by "ok", error code or kind of fault.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.requests: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.endpoint = ""
        self._index = Index()
        self._cloud = Cloud(self._index, settings.now)
        self._rates = Rates(settings.rate, settings.monotonic)
        # A generator for each use: what one draws must not depend on how the others interleave.
        self._arrivals = random.Random(f"{settings.seed}:arrivals")  # noqa: S311  # repeatable, not secret
        self._misfortune = random.Random(f"{settings.seed}:faults")  # noqa: S311
        self._order = random.Random(f"{settings.seed}:order")  # noqa: S311
        self._ids = random.Random(f"{settings.seed}:ids")  # noqa: S311
        self._arriving = threading.Lock()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """How many entries the index holds: second copies count, and what is not visible yet."""
        return len(self._index)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> str:
        """Answers from now on, in a thread of its own; gives the endpoint, `http://HOST:PORT`. Raises OSError."""
        if self._server is not None:
            raise RuntimeError("this emulator is running already")
        host, port = self.settings.host, self.settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=256)
        # asyncio leaves Nagle's algorithm on for sockets made without a protocol number: 40 ms more for every answer.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            self._answer_http,
            interface="asgi3",
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            date_header=False,  # ours follows the emulator's clock: clients measure their skew by it
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="cloudaudit-emulator", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                listening.close()
                raise RuntimeError("the emulator's server did not start")
            time.sleep(0.005)
        shown = f"[{host}]" if ":" in host else host
        self.endpoint = f"http://{shown}:{listening.getsockname()[1]}"
        return self.endpoint

    def stop(self) -> None:
        """Ends the answering and waits for it; what was added stays. Stopping twice is as good as once."""
        if self._server is None or self._thread is None:
            return
        self._server.end()
        self._thread.join()
        self._server = self._thread = None

    def add(self, events: Iterable[Mapping[str, Any]]) -> int:
        """
        Indexes *events*, inner or outer, and gives their number.

        What an inner event lacks is made up: eventID, requestID, eventTime (now), updateEsTime. An outer event stays
        as it is, but for an index time that would show it before its delay is over.
        """
        made: list[Entry] = []
        count = 0
        with self._arriving:
            for event in events:
                made += self._arrive(event)
                count += 1
        self._index.add(made)
        return count

    def _arrive(self, event: Mapping[str, Any]) -> Iterable[Entry]:
        settings, draw = self.settings, self._arrivals.random
        outer, inner, fresh = self._completed(event)
        happened = event_time(outer, inner)
        if happened is None:
            happened = int(settings.now())
        earliest = happened * TICKS + round(settings.visibility_delay * TICKS)
        indexed = max(index_time(inner) or 0, earliest)
        if settings.late_share and draw() < settings.late_share:
            indexed += round(draw() * settings.lateness * TICKS)
        times = [indexed]
        if settings.duplicate and draw() < settings.duplicate:
            times.append(indexed + round(draw() * SECOND_COPY_WITHIN * TICKS))
        for at in times:
            free = self._index.reserve(at)
            if inner is not None and (fresh or index_time(inner) not in (None, free)):
                inner["updateEsTime"] = free
                outer["CloudAuditEvent"] = packed(inner)
            yield entry(outer, inner, happened=happened, indexed=free)

    def _completed(self, event: Mapping[str, Any]) -> tuple[Outer, Inner | None, bool]:
        """The outer and the inner event, copied, and whether the outer one is our own making."""
        if is_outer(event):
            return dict(event), inner_of(event), False
        inner = {name: value for name, value in event.items() if not name.startswith("_")}
        if inner.get("eventTime") is None:
            inner["eventTime"] = int(self.settings.now())
        inner.setdefault("eventID", str(uuid.UUID(int=self._arrivals.getrandbits(128), version=4)))
        inner.setdefault("requestID", inner["eventID"])
        return wrapped(inner, self.settings.account), inner, True

    async def _answer_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = await _received(scope, receive)
        except ClientDisconnect:  # gone before it had asked: there is nobody to answer
            return
        fault = self._draw_fault()
        if fault in ("reset", "5xx", "html"):
            self.outcomes[fault] += 1
            if fault == "reset":
                await _reset(scope, receive)
            else:
                status = self._misfortune.choice((500, 502, 503)) if fault == "5xx" else 200
                title = b"Service Unavailable" if fault == "5xx" else b"Sign in"
                await Response(HTML % (title, title), status, self._headers("text/html"))(scope, receive, send)
            return
        body = self._answer(request, fault)
        headers = self._headers(CONTENT_TYPE)
        if fault == "truncated":
            await _truncated(body, headers, scope, receive, send)
        elif fault == "slow":
            await self._drip(body, headers, scope, send)
        else:
            await Response(body, 200, headers)(scope, receive, send)

    async def _drip(self, body: bytes, headers: dict[str, str], scope: Scope, send: Send) -> None:
        """Sends *body* in small pieces, evenly; ends early when the caller is gone or the emulator stops."""
        transport: asyncio.Transport = scope["state"]["transport"]
        await send(_start(body, headers))
        size = -(-len(body) // DRIPS)
        begun = time.monotonic()
        for piece in range(DRIPS):
            while (left := begun + self.settings.slow_for * (piece + 1) / DRIPS - time.monotonic()) > 0:
                await asyncio.sleep(min(left, LONGEST_NAP))
                if self._server is None or self._server.should_exit:
                    transport.abort()
                if transport.is_closing():
                    return
            await send(
                {"type": "http.response.body", "body": body[piece * size : (piece + 1) * size], "more_body": True}
            )
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _headers(self, content_type: str) -> dict[str, str]:
        return {
            "Content-Type": content_type,
            "Date": formatdate(self.settings.now(), usegmt=True),
            "Server": "tocsin-emulator",
        }

    def _draw_fault(self) -> Fault | None:
        if not self.settings.faults:
            return None
        drawn = self._misfortune.random()
        for kind, share in self.settings.faults.items():
            if drawn < share:
                return kind
            drawn -= share
        return None

    def _answer(self, request: HttpRequest, fault: Fault | None) -> bytes:
        """The body of the answer to *request*, be it a refusal."""
        request_id = str(uuid.UUID(int=self._ids.getrandbits(128), version=4))
        try:
            fields = self._act(request, fault, request_id)
        except RefusalError as refusal:
            self.outcomes[refusal.code] += 1
            return failure(refusal, request_id)
        self.outcomes[fault or "ok"] += 1
        return success(fields, request_id)

    def _act(self, request: HttpRequest, fault: Fault | None, request_id: str) -> bytes:
        """The fields of the answer. Raises RefusalError."""
        call = calls.read(request)
        if not call.action:
            raise missing("Action")
        called = action(call.action)
        self.requests[call.action] += 1
        for name, value in (("Version", call.version), ("Timestamp", call.timestamp), ("Region", call.region)):
            if not value:
                raise missing(name)
        if call.version != VERSION:
            raise RefusalError("NoSuchVersion", f"The service has only the version {VERSION}.")
        if call.region not in REGIONS:
            raise RefusalError("UnsupportedRegion", f"The API supports only {', '.join(sorted(REGIONS))}.")
        signatures.check(request, call, self.settings)
        if fault == "limit" or not self._rates.accept(call.action):
            raise RefusalError("RequestLimitExceeded", f"Your current request times exceed {self._rates.limit}/s.")
        parameters = read(called.takes, call.parameters, as_text=call.as_text)
        answer = called.does(self._cloud, parameters)
        if isinstance(answer, Page):
            return self._turned(answer, parameters.get("NextToken"), fault).fields()
        if called.writes and self.settings.audit_own_calls:
            told = audited(
                call.action,
                parameters,
                answer,
                self.settings,
                region=call.region,
                client=request.client,
                request_id=request_id,
            )
            self.add([told])
        return text(dict(answer))[1:-1]

    def _turned(self, page: Page, asked: int | None, fault: Fault | None) -> Page:
        """*page* as the caller gets it: shuffled, or spoilt."""
        events = list(page.events or ())
        newest = events[0].index_time if events else page.next_token
        if self.settings.shuffle:
            self._order.shuffle(events)
        if fault == "null-events":
            # Half the way from the token asked to the newest event: another token each time, and no event is passed.
            top = asked if asked is not None else newest + TICKS
            token = newest + 1 + max(0, top - newest - 1) // 2 if events else page.next_token
            return replace(page, events=None, next_token=token, list_over=not events)
        if fault == "repeat-token":
            return replace(page, events=events, next_token=asked or newest + 1, list_over=False)
        return replace(page, events=events)


class _Server(uvicorn.Server):
    """Uvicorn that sleeps until it is told to end; the original wakes ten times a second to ask."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        await self._told.wait()

    def end(self) -> None:
        """From any thread, once it has started."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)


class _Connection(H11Protocol):
    """Uvicorn's HTTP/1.1, with the transport in the request's state: a fault must reach below HTTP."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


async def _received(scope: Scope, receive: Receive) -> HttpRequest:
    request = Request(scope, receive)
    body = bytearray()
    async for chunk in request.stream():
        if len(body) <= TC3_POST_LIMIT:  # one byte too many is enough to refuse it
            body += chunk
    return HttpRequest(
        method=request.method,
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=dict(request.headers),
        body=bytes(body),
        client=request.client.host if request.client else "",
    )


async def _reset(scope: Scope, receive: Receive) -> None:
    transport: asyncio.Transport = scope["state"]["transport"]
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()
    await _gone(receive)


async def _truncated(body: bytes, headers: dict[str, str], scope: Scope, receive: Receive, send: Send) -> None:
    await send(_start(body, headers))
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    transport: asyncio.Transport = scope["state"]["transport"]
    transport.close()  # after what is written has left
    await _gone(receive)


def _start(body: bytes, headers: dict[str, str]) -> Message:
    shown = {**headers, "Content-Length": str(len(body))}
    listed = [(name.lower().encode(), value.encode()) for name, value in shown.items()]
    return {"type": "http.response.start", "status": 200, "headers": listed}


async def _gone(receive: Receive) -> None:
    """Until uvicorn knows of the closed connection: it would take the missing end of the answer for a mistake."""
    while (await receive())["type"] != "http.disconnect":
        pass
