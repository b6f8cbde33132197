"""
A link that is half open: the connection stands, and nothing comes any more. Row 15 of the fault matrix.

Between the source and the cloud stands a relay with real sockets. It stops answering, or stops in the middle of an
answer; and, where we may make a network namespace (root, iproute2), the kernel drops every packet on its way back.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import stamina

from engine import kinds
from engine.cloudaudit.client import CloudAudit
from engine.cloudaudit.credentials import Credentials, Fixed
from engine.emulator import Emulator, Settings
from engine.pipeline import Policy
from engine.rule import RuleSet
from engine.service import Parts, Service, Upkeep, Watched
from engine.sources.tencent_cloudaudit import TencentCloudAudit
from engine.store import Store
from engine.store.sqlite import open_store

KEY = Credentials("AKIDhalfopen0000000000000000000000000", "key-of-the-emulator")
DEADLINE = 0.5  # seconds; 20 outside of tests
CLONE_NEWNET = 0x40000000  # linux/sched.h


class Relay:
    """Hands bytes on between *listener* and a port of this machine, until it is told how to fail."""

    def __init__(self, listener: socket.socket, port: int) -> None:
        self.listener, self.port = listener, port
        self.address = "http://{}:{}".format(*listener.getsockname())
        self.fails: Callable[[bytes], bytes] | None = None  # what is left of a piece of the answer
        self.asked = 0  # requests that came while it failed
        self._open = [listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for it
        for thread in self._threads:
            thread.join()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return  # the test is over
            far = socket.create_connection(("127.0.0.1", self.port))
            self._open += (near, far)
            for source, sink, back in ((near, far, False), (far, near, True)):
                self._threads.append(threading.Thread(target=self._pump, args=(source, sink, back)))
                self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        while True:
            try:
                piece = source.recv(65536)
                self.asked += not back and self.fails is not None and piece.startswith(b"POST")
                if not piece:
                    sink.shutdown(socket.SHUT_RDWR)
                    return
                sink.sendall(piece if self.fails is None or not back else self.fails(piece))
            except OSError:
                return  # one side has closed


@dataclass
class Link:
    """A way to a cloud, and how to break and mend it."""

    address: str
    cut: Callable[[], None]
    mend: Callable[[], None]
    asked: Callable[[], int] = lambda: 2  # requests that found it broken, where somebody can count them


@contextmanager
def relayed(port: int, left: Callable[[bytes], bytes]) -> Iterator[Link]:
    with closing(Relay(socket.create_server(("127.0.0.1", 0)), port)) as relay:

        def fails(how: Callable[[bytes], bytes] | None) -> None:
            relay.fails = how

        yield Link(relay.address, lambda: fails(left), lambda: fails(None), lambda: relay.asked)


@contextmanager
def dropped(port: int) -> Iterator[Link]:
    """The relay listens in a namespace of its own; from there, packets to us go into a black hole."""
    name = f"tocsin{os.getpid()}"  # at most 15 characters: an interface is called so, too
    net = f"10.{213 + os.getpid() % 32}.{os.getpid() // 32 % 256}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", "name", name, "type", "veth", "peer", "name", "inside", "netns", name)
        ip("addr", "add", f"{net}.1/30", "dev", name)
        ip("link", "set", name, "up")
        ip("-n", name, "addr", "add", f"{net}.2/30", "dev", "inside")
        ip("-n", name, "link", "set", "inside", "up")
        with closing(Relay(_listening(name, f"{net}.2"), port)) as relay:
            yield Link(
                relay.address,
                lambda: ip("-n", name, "route", "add", "blackhole", f"{net}.1/32"),
                lambda: ip("-n", name, "route", "del", "blackhole", f"{net}.1/32"),
            )
    finally:
        ip("netns", "del", name)  # and the pair of interfaces with it


def _listening(namespace: str, address: str) -> socket.socket:
    """A socket belongs to the namespace of the thread that makes it, whoever uses it later (network_namespaces(7))."""
    made: list[socket.socket] = []

    def make() -> None:
        with Path(f"/run/netns/{namespace}").open(encoding="ascii") as place:
            if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        made.append(socket.create_server((address, 0)))

    maker = threading.Thread(target=make)
    maker.start()
    maker.join()
    return made[0]


def may_make_namespaces() -> bool:
    if os.geteuid() or shutil.which("ip") is None:
        return False
    name = f"tocsin-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True)
    veth = ["ip", "-n", name, "link", "add", "name", "one", "type", "veth", "peer", "name", "other"]
    works = tried.returncode == 0 and subprocess.run(veth, check=False, capture_output=True).returncode == 0
    subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    return works


WAYS = {
    "accepts and never answers": lambda port: relayed(port, lambda _: b""),
    "stops in the middle of the answer": lambda port: relayed(port, lambda piece: piece[: len(piece) // 2]),
    **({"packets are dropped on their way back": dropped} if may_make_namespaces() else {}),
}


@dataclass
class Cloud:
    """An emulator, and what happened there."""

    emulator: Emulator
    events: list[str] = field(default_factory=list)

    def happen(self) -> str:
        event_id = str(uuid.uuid4())
        actor = {"type": "CAMUser", "accountId": "100000000001", "userName": "ana"}
        event = {"eventID": event_id, "eventName": "DeleteBucket", "eventTime": int(time.time()), "userIdentity": actor}
        self.emulator.add([event])
        return event_id

    @property
    def port(self) -> int:
        return int(self.emulator.endpoint.rpartition(":")[2])


@contextmanager
def cloud() -> Iterator[Cloud]:
    with Emulator(Settings(KEY.secret_id, KEY.secret_key, visibility_delay=0.0, rate=0)) as emulator:
        yield Cloud(emulator)


def watched(name: str, endpoint: str, store: Store) -> Watched:
    client = CloudAudit(Fixed(KEY), endpoint=endpoint, deadline=DEADLINE)
    kind = kinds.kind("tencent.cloudaudit", redaction_key=store.redaction_key())
    every, hour, day = timedelta(seconds=0.5), timedelta(hours=1), timedelta(days=1)
    return Watched(TencentCloudAudit(name, client), kind, every, timedelta(minutes=15), hour, day)


@contextmanager
def running(store: Store, *sources: Watched) -> Iterator[Service]:
    policy = Policy(RuleSet(()))
    service = Service(
        Parts(
            store=store,
            policy=policy,
            watched=sources,
            destinations={},
            mutes=lambda _: (),
            reload=lambda: policy,
            rules_changed=lambda: False,
            upkeep=Upkeep(timedelta(days=8), timedelta(days=90)),
        )
    )
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join()
        for source in sources:  # now that nobody reads from them: else a connection may be made behind their back
            source.source.close()


def wait_for(true: Callable[[], object], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


@pytest.mark.parametrize("way", WAYS)
def test_a_poll_over_a_half_open_link_ends_and_is_tried_again_while_the_other_source_goes_on(
    way: str, tmp_path: Path
) -> None:
    with (
        stamina.set_testing(True, attempts=2),  # without the pauses between them
        closing(open_store(str(tmp_path / "tocsin.db"))) as store,
        cloud() as behind,
        cloud() as beside,
        WAYS[way](behind.port) as link,
        running(
            store, watched("far", link.address, store), watched("near", beside.emulator.endpoint, store)
        ) as service,
    ):
        far, near = service.workers
        first = behind.happen()
        wait_for(lambda: store.seen(first))
        read_up_to = store.source_state("far").cursor
        link.cut()

        unheard, heard = behind.happen(), beside.happen()
        wait_for(lambda: store.seen(heard))
        wait_for(lambda: far.trouble)
        said = far.trouble
        later = beside.happen()
        wait_for(lambda: store.seen(later))
        wait_for(lambda: link.asked() >= 2)
        assert not store.seen(unheard)
        assert not near.trouble
        assert any("far" in reason for reason in service.unready())
        cut_at = store.source_state("far").cursor

        link.mend()
        wait_for(lambda: store.seen(unheard))
        wait_for(lambda: not far.trouble)

    assert f"within {DEADLINE:g} s" in said or "no connection" in said
    assert read_up_to is not None
    assert cut_at is not None
    assert cut_at.until >= read_up_to.until
