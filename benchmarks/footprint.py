"""
What rules weigh: a process of its own, which reads events from a file, line by line.

`python -m benchmarks.footprint RULES FILE` prints two numbers, megabytes: what *RULES* rules and their tables have
added to the process once every event of *FILE* was decided, and what the process has in all. It holds the engine, the
rules and their texts; no events, and none of the contenders.
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Final

from benchmarks.corpus import matches, rule_set
from engine.evaluate import evaluate
from engine.event import Record
from engine.kinds import kind
from engine.rule import RuleSet

ROOT: Final = Path(__file__).resolve().parents[1]


def measured(rules: int, events: Path) -> tuple[float, float]:
    """The two numbers, of a new process."""
    command = [sys.executable, "-m", "benchmarks.footprint", str(rules), str(events)]
    added, whole = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)
    return added, whole


def grown(rules: int, events: Path) -> tuple[float, float]:
    """Of this process: what deciding *events* with *rules* rules adds to deciding them with one."""
    texts = matches(rules)
    _decide(rule_set(texts[:1]), events)
    before = _resident()
    asked = rule_set(texts)
    _decide(asked, events)
    after = _resident()
    assert len(asked) == rules
    return after - before, after


def _decide(rules: RuleSet, events: Path) -> None:
    decode = kind("tencent.cloudaudit", redaction_key=b"benchmark" * 4).decode
    with events.open("rb") as lines:
        for line in lines:
            event = decode(Record(line.rstrip(b"\n"))).event
            if event is not None:
                evaluate(rules, event, date(2026, 1, 1))


def _resident() -> float:
    gc.collect()
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    print(json.dumps(grown(int(sys.argv[1]), Path(sys.argv[2]))))
