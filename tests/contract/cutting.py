"""Between a client and a Postgres server: passes everything on, and cuts the line at a COMMIT when told to."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path


class Cutter:
    """
    A socket in *folder* that leads to the server's in *server*.

    `cut_after(n)`: the n-th COMMIT from now on reaches the server, which does it, but its answer never comes back; with
    *slow*, the client is cut off first and the COMMIT is still on its way when the client has connected again.
    """

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        self._to = str(server / ".s.PGSQL.5432")
        self._left, self._slow = 0, False
        self.cuts = 0
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / ".s.PGSQL.5432"))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, commits: int, *, slow: bool = False) -> None:
        """Arm it."""
        self._left, self._slow = commits, slow

    def close(self) -> None:
        """No more connections; those that are open live on with their ends."""
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._to)
                threading.Thread(target=self._forth, args=(client, server), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        """The client's bytes go to the server; a thread of its own brings back what the server says."""
        muted = threading.Event()
        answered = threading.Event()
        threading.Thread(target=_back, args=(server, client, muted, answered), daemon=True).start()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self._left and b"COMMIT" in data:
                    self._left -= 1
                    if self._left == 0:
                        self._cut(data, client, server, muted, answered)
                        break
                server.sendall(data)
        for end in (client, server):
            end.close()

    def _cut(
        self,
        data: bytes,
        client: socket.socket,
        server: socket.socket,
        muted: threading.Event,
        answered: threading.Event,
    ) -> None:
        self.cuts += 1
        muted.set()
        if self._slow:
            client.shutdown(socket.SHUT_RDWR)
            time.sleep(0.3)  # long enough for the client to come back and to look
        server.sendall(data)
        answered.wait(timeout=10)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


def _back(server: socket.socket, client: socket.socket, muted: threading.Event, answered: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := server.recv(65536):
            if muted.is_set():
                answered.set()
            else:
                client.sendall(data)
