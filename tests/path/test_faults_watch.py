"""The watchdog: a scheduler or a thread that died without a word ends the process; a suspension does not."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from engine.pipeline import Policy
from engine.rule import RuleSet
from engine.service import Parts, Service, Upkeep
from engine.store.sqlite import open_store
from tests.service.parts import Destination

EX_SOFTWARE = 70


def a_service(folder: Path, ended: list[int], **destinations: Destination) -> Service:
    return Service(
        Parts(
            store=open_store(str(folder / "tocsin.db")),
            policy=Policy(RuleSet(())),
            watched=(),
            destinations=destinations,
            mutes=lambda _: (),
            reload=lambda: Policy(RuleSet(())),
            rules_changed=lambda: False,
            upkeep=Upkeep(timedelta(days=8), timedelta(days=90)),
            end=ended.append,
        )
    )


def test_when_the_ticks_stop_the_process_ends_to_be_started_again(tmp_path: Path) -> None:
    ended: list[int] = []
    service = a_service(tmp_path, ended)
    service._last_tick = time.monotonic() - 3600

    service._watch()

    service.parts.store.close()
    assert ended == [EX_SOFTWARE]


def test_when_a_thread_has_died_the_process_ends_to_be_started_again(tmp_path: Path) -> None:
    ended: list[int] = []
    service = a_service(tmp_path, ended, hook=Destination())  # its thread was never started: it is not alive

    service._watch()

    service.parts.store.close()
    assert ended == [EX_SOFTWARE]
