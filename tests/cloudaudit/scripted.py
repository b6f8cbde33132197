"""A real HTTP server on a free port that gives the answers a test has written down, good or bad, and keeps requests."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def action(self) -> str:
        return self.headers.get("x-tc-action") or self.query.get("Action", "")

    @property
    def parameters(self) -> Any:
        return json.loads(self.body)

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}


@dataclass(frozen=True)
class Reply:
    """
    One answer.

    *promised* more bytes are announced than come; *drip* seconds pass before each byte, of the headers too with
    *slow_headers*; *reset* sends a TCP reset instead of an answer; *ahead* is how many seconds this server's clock is.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    promised: int = 0
    drip: float = 0.0
    slow_headers: bool = False
    reset: bool = False
    ahead: float = 0.0
    dated: bool = True


Script = Callable[[Asked], Reply]


def says(**fields: Any) -> Reply:
    """`{"Response": {...}}`."""
    body = json.dumps({"Response": {"RequestId": "r-1", **fields}}).encode()
    return Reply(body, headers={"Content-Type": "application/json; charset=utf-8"})


def refuses(code: str, message: str = "no", **more: Any) -> Reply:
    """An error inside HTTP 200."""
    reply = says(Error={"Code": code, "Message": message})
    return Reply(reply.body, headers=reply.headers, **more)


def a_page(*events: Any, token: int | None = 0, over: bool = True) -> Reply:
    return says(Events=list(events), NextToken=token, ListOver=over, TotalCount=None)


def gzipped(body: bytes) -> Reply:
    return Reply(gzip.compress(body), headers={"Content-Encoding": "gzip"})


class ScriptedApi:
    """Answers with *replies* one after the other (the last one for ever), or with what a script makes of a request."""

    def __init__(self, *replies: Reply, script: Script | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self._replies = list(replies)
        self._script = script
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                api._answer(self, self.rfile.read(length))

            do_GET = do_POST  # noqa: N815 (http.server's name)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._tls = tls
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        headers["x-port"] = str(handler.client_address[1])  # tells connections apart
        asked = Asked(handler.command, handler.path, headers, body)
        self.asked.append(asked)
        if self._script is not None:
            reply = self._script(asked)
        else:
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        try:
            _send(handler, reply)
        except OSError:  # the client has had enough
            handler.close_connection = True


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    if reply.reset:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True
        handler.connection.close()
        return
    lines = [f"HTTP/1.1 {reply.status} whatever", f"Content-Length: {len(reply.body) + reply.promised}"]
    if reply.dated:
        lines.append(f"Date: {formatdate(time.time() + reply.ahead, usegmt=True)}")
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    whole = head + reply.body
    at_once = len(whole) if not reply.drip else 0 if reply.slow_headers else len(head)
    handler.wfile.write(whole[:at_once])  # in one piece, else Nagle's algorithm makes it slow
    for index in range(at_once, len(whole)):
        time.sleep(reply.drip)
        handler.wfile.write(whole[index : index + 1])
    if reply.promised:
        handler.close_connection = True
