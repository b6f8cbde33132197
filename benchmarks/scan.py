"""
`tocsin scan` over a large file, against the same records held in memory.

A corpus in the documented shape (`benchmarks.corpus`, about 2.8 KB an event) is written plain and gzipped, with rules
as files. One process decodes and evaluates records that it holds already: the figure to compare with. Others scan the
files, whole and in parts of a quarter, so that one sees whether memory grows with the input, and once with rules that
tell every match by itself. Times are of the CPU, of all processes together; with several jobs the clock is printed too,
and the speed-up against one job, which means something only where nothing else runs. The time to load the rules is not
in them.

`python -m benchmarks.scan [--quick] [--megabytes N] [--rules N] [--jobs N]`
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import corpus
from engine import packs
from engine.errors import ConfigurationError
from engine.event import Record

KIND = "tencent.cloudaudit"
KEY = b"k" * 32
CHUNK = 5000  # records made, or held, at once


@dataclass(frozen=True, slots=True)
class Run:
    """
    One scan without loading its rules: *seconds* of the CPU, of all its processes, and of the *clock*; *peak* is the
    largest resident set of one of them, in bytes.
    """

    seconds: float
    clock: float
    events: int
    alerts: int
    peak: int


@dataclass(frozen=True, slots=True)
class Row:
    """One way through the input: *ratio* is its time by that of the records in memory."""

    name: str
    megabytes: float  # unpacked
    seconds: float
    ratio: float
    peak: int
    clock: str = ""

    def __str__(self) -> str:
        rate = self.megabytes / self.seconds
        what = f"{self.name:28} {rate:6.0f} MB/s  {self.ratio:5.2f} × in memory  peak {self.peak / 1e6:5.0f} MB"
        return what + self.clock


def run(*, megabytes: int = 300, rules: int = 1000, jobs: tuple[int, ...] = (2,)) -> list[Row]:
    """The corpus scanned in each way, after the records in memory."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        events, quarter = folder / "events.jsonl", folder / "quarter.jsonl"
        _write_rules(folder / "rules", rules)
        _write_events(events, megabytes * 1_000_000)
        _write_events(quarter, megabytes * 250_000)
        packed = folder / "events.jsonl.gz"
        with events.open("rb") as plain, gzip.open(packed, "wb", compresslevel=6) as out:
            while block := plain.read(1 << 20):
                out.write(block)
        size = events.stat().st_size / 1e6
        small = quarter.stat().st_size / 1e6
        memory = _child("memory", events, folder / "rules")
        ways = [("a quarter", quarter, 1, small), ("plain", events, 1, size), ("gzip", packed, 1, size)]
        ways += [
            (f"{name}, {n} jobs", path, n, size) for n in jobs for name, path in (("plain", events), ("gzip", packed))
        ]
        rows = [Row("in memory, decode + evaluate", size, memory.seconds, 1.0, memory.peak)]
        alone: dict[Path, float] = {}
        for name, path, count, megas in ways:
            found = _child("scan", path, folder / "rules", count)
            clock = ""
            if count == 1:
                alone[path] = found.clock
            else:
                clock = f"  clock {found.clock:.1f} s, {alone[path] / found.clock:.2f} × as fast as one job"
            ratio = found.seconds / megas * size / memory.seconds
            rows.append(Row(name, megas, found.seconds, ratio, found.peak, clock))
        _ungroup(folder / "rules")
        found = _child("scan", events, folder / "rules")
        name = f"plain, {found.alerts:,} alerts"
        rows.append(Row(name, size, found.seconds, found.seconds / memory.seconds, found.peak))
        return rows


def _ungroup(folder: Path) -> None:
    """Every match an alert of its own."""
    for path in folder.glob("*.yaml"):
        rule = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(rule | {"group_by": [], "quiet": "0s"}), encoding="utf-8")


def _write_events(path: Path, size: int) -> None:
    made = 0
    records: list[bytes] = corpus.events(CHUNK)
    with path.open("wb") as out:
        turn = 0
        while made < size:
            for number, record in enumerate(records):
                # The same events again, under other ids: what is repeated would cost next to nothing.
                line = record.replace(b'"EventId":"', b'"EventId":"%x-%x-' % (turn, number), 1) if turn else record
                made += out.write(line + b"\n")
                if made >= size:
                    return
            turn += 1


def _write_rules(folder: Path, count: int) -> None:
    """Rules and lists of the corpus as files; each rule tells a group once an hour, as rules do."""
    (folder / "lists").mkdir(parents=True)
    for number, (name, values) in enumerate(corpus.LISTS.items()):
        content = json.dumps({"name": name, "description": "made up", "values": sorted(values)})
        (folder / "lists" / f"{number}.yaml").write_text(content, encoding="utf-8")
    for number, condition in enumerate(corpus.matches(count + count // 10 + 10)):
        rule = {
            "id": f"bench.r{number}",
            "kind": KIND,
            "title": "{eventName} by {norm.actor}",
            "severity": "low",
            "status": "experimental",
            "description": "made up",
            "match": condition,
            "group_by": ["norm.account"],
            "quiet": "1000d",
        }
        (folder / f"{number}.yaml").write_text(json.dumps(rule), encoding="utf-8")
    # A few conditions that chance has made can never hold, and would not be loaded.
    try:
        packs.load([str(folder)])
    except ConfigurationError as error:
        for file in {problem.place.file for problem in error.problems}:
            Path(file).unlink()
    for path in sorted(folder.glob("*.yaml"), key=lambda path: int(path.stem))[count:]:
        path.unlink()


def _child(way: str, path: Path, rules: Path, jobs: int = 1) -> Run:
    command = [sys.executable, "-m", "benchmarks.scan", "--child", way, str(path), str(rules), str(jobs)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return Run(**json.loads(answer.stdout))


def _in_child(way: str, path: str, rules: str, jobs: int) -> Run:
    loaded = packs.load([rules])
    if way == "memory":
        from engine import kinds
        from engine.evaluate import evaluate

        kind = kinds.kind(KIND, redaction_key=KEY)
        seconds, events, matched = 0.0, 0, 0
        for records in _held(path):
            start = time.process_time()
            for record in records:
                event = kind.decode(record).event
                assert event is not None
                today = datetime.fromtimestamp(event.time, UTC).date()
                matched += len(evaluate(loaded, event, today)[0])
            seconds += time.process_time() - start
            events += len(records)
        return Run(seconds, seconds, events, matched, _peak())

    from engine.parallel import Scanner

    began, spent = time.perf_counter(), time.process_time()
    scanner = Scanner(loaded, [rules], jobs=jobs, redaction_key=KEY)
    alerts = sum(1 for _ in scanner.alerts([path]))
    clock, seconds = time.perf_counter() - began, time.process_time() - spent
    others = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(seconds + others.ru_utime + others.ru_stime, clock, scanner.seen.events, alerts, _peak())


def _held(path: str) -> Iterator[list[Record]]:
    """The records of a file, in memory some thousands at a time: the machine may be small."""
    held: list[Record] = []
    with Path(path).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            held.append(Record(line.rstrip(b"\n"), f"{path}:{number}"))
            if len(held) == CHUNK:
                yield held
                held = []
    yield held


def _peak() -> int:
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return most * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        way, path, rules, jobs = sys.argv[2:]
        print(json.dumps(asdict(_in_child(way, path, rules, int(jobs)))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 MB: whether it runs, not how fast")
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--jobs", type=int, action="append")
    asked = parser.parse_args()
    for row in run(megabytes=20 if asked.quick else asked.megabytes, rules=asked.rules, jobs=tuple(asked.jobs or (2,))):
        print(row)


if __name__ == "__main__":
    main()
