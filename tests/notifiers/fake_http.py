"""A real HTTP server on a free port that answers as a test tells it, also badly, and keeps what it was sent."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Reply:
    """One answer. *promised* bytes more are announced than sent; *drip* seconds pass between bytes."""

    status: int = 200
    body: bytes | str = b""
    headers: dict[str, str] = field(default_factory=dict)
    promised: int = 0
    drip: float = 0.0
    hang: bool = False
    hang_up: bool = False


def page(status: int = 200) -> Reply:
    return Reply(status, "<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html"})


def says(status: int = 200, **value: Any) -> Reply:
    return Reply(status, json.dumps(value), {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


class FakeHttp:
    """`with FakeHttp(replies) as server`: the replies in turn, the last one for ever; or a function that answers."""

    def __init__(self, *replies: Reply, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self._replies = list(replies) or [Reply()]
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        self._server.block_on_close = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, _request: Received) -> Reply:
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            timeout: ClassVar[float] = 5.0

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                fake.received.append(request)
                self.close_connection = True
                try:
                    self._give(fake.answer(request))
                except OSError:
                    return  # the client has gone, as a test may want

            def do_GET(self) -> None:
                self.do_POST()

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    return

            def _give(self, reply: Reply) -> None:
                if reply.hang:
                    fake._released.wait(20)
                    return
                if reply.hang_up:
                    return
                body = reply.body.encode() if isinstance(reply.body, str) else reply.body
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + reply.promised))
                self.end_headers()
                if not reply.drip:
                    self.wfile.write(body)
                    return
                for byte in body:
                    if fake._released.wait(reply.drip):
                        return
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()

            def log_message(self, *_: object) -> None: ...

        return Handler


class FakeSlack(FakeHttp):
    """Slack's Web API as far as a bot needs it: keeps messages, gives them back, fails on demand by method."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.next: dict[str, list[Reply | Callable[[dict[str, Any]], Reply]]] = {}

    @property
    def base_url(self) -> str:
        return f"{self.url}/api/"

    def fail(self, method: str, *replies: Reply) -> None:
        """The next calls of *method* get these answers and have no effect."""
        self.next.setdefault(method, []).extend(replies)

    def posted_but(self, *replies: Reply) -> None:
        """The next posts do arrive, and are answered so."""
        self.next.setdefault("chat.postMessage", []).extend(self._keeping(reply) for reply in replies)

    def calls(self, method: str) -> list[Received]:
        return [request for request in self.received if request.path == f"/api/{method}"]

    def parents(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if "thread_ts" not in message]

    def replies(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if "thread_ts" in message]

    def answer(self, request: Received) -> Reply:
        method = request.path.removeprefix("/api/")
        arguments = request.json if request.body[:1] == b"{" else request.form
        if waiting := self.next.get(method):
            scripted = waiting.pop(0)
            return scripted if isinstance(scripted, Reply) else scripted(arguments)
        if method == "chat.postMessage":
            return self._keep(arguments)
        if method == "conversations.history":
            return says(ok=True, messages=list(self._history(arguments)), has_more=False)
        return says(ok=False, error="unknown_method")

    def _keeping(self, reply: Reply) -> Callable[[dict[str, Any]], Reply]:
        def keep(arguments: dict[str, Any]) -> Reply:
            self._keep(arguments)
            return reply

        return keep

    def _keep(self, arguments: dict[str, Any]) -> Reply:
        ts = f"1700000000.{len(self.messages) + 1:06d}"
        self.messages.append({**arguments, "ts": ts})
        return says(ok=True, channel="C0123456789", ts=ts)

    def _history(self, arguments: dict[str, Any]) -> Iterable[dict[str, Any]]:
        for message in reversed(self.parents()):
            replies = [reply for reply in self.replies() if reply["thread_ts"] == message["ts"]]
            shown = {"ts": message["ts"], "text": message["text"], "reply_count": len(replies)}
            if arguments.get("include_all_metadata") in {"1", "true", True}:
                shown["metadata"] = message.get("metadata", {})
            yield shown
