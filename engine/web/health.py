"""
/healthz, /readyz and /metrics.

`/healthz`: 200 while the ticks come, so that a supervisor restarts what hangs. `/readyz`: 200 when nothing keeps an
event from becoming an alert, else 503 with each reason on a line; `/readyz?verbose` adds what else is wrong, as
`note: …`. `/metrics`: Prometheus text. No event value is ever a label.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence

import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def application(
    *,
    alive: Callable[[], bool],
    unready: Callable[[], Sequence[str]],
    registry: CollectorRegistry,
    notes: Callable[[], Sequence[str]] = tuple,
) -> Starlette:
    """The three pages, each asking its callable anew."""

    def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n") if alive() else PlainTextResponse("the ticks have stopped\n", 503)

    def readyz(request: Request) -> Response:
        reasons = unready()
        lines = list(reasons) or ["ready"]
        if "verbose" in request.query_params:  # as the API server of Kubernetes has it
            lines += [f"note: {note}" for note in notes()]
        return PlainTextResponse("\n".join(lines) + "\n", 503 if reasons else 200)

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


class Server:
    """An application served by a thread of its own."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        """Raises OSError when the address is taken. Port 0 picks a free one."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # asyncio leaves Nagle's algorithm on for sockets made without a protocol number: 40 ms more for every answer.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
