"""
A local CloudAudit API: the cloud of the demo, the tests and the benchmarks.

`Emulator` answers over HTTP what Tencent Cloud's CloudAudit (service `cloudaudit`, version 2019-03-19) answers, as far
as its documentation and its own examples show it. It shares no code with the client, on purpose: what both were told
by the same documentation is checked twice.

    with Emulator(Settings(secret_id="AKID…", secret_key="…")) as emulator:
        emulator.add(events)
        …emulator.endpoint…
"""

from __future__ import annotations

from engine.emulator.server import Emulator
from engine.emulator.settings import FAULTS, Fault, Settings

__all__ = ["FAULTS", "Emulator", "Fault", "Settings"]
