"""
How long until rules are in force: from the start of a process to the first page of events decided.

Each figure is the time of a new process that loads a folder of rule files as the service does, and decides a page of
50 events, less the time of a process that does nothing; medians. *cold*: no cache of rules, every file is read and
checked (the bytecode of the program itself is there). *cached*: nothing has changed since the last time. Two sorts of
files: *short* ones of about 690 bytes (a condition, texts, two tests), and *long* ones of about 3,000, as the built-in
packs have them, where tests take most of the room.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.corpus import LISTS, events, matches
from engine.expression import parse
from engine.lint import UNIFORM, Schema
from engine.lint.proof import Prover
from engine.packs.loader import fields_of

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- ready: begin -->", "<!-- ready: end -->"
SIZES: Final = (100, 1_000, 10_000)
SORTS: Final = ("short", "long")
EVENTS: Final = 50
KIND: Final = "tencent.cloudaudit"

_READY: Final = """
import sys
from datetime import date
from pathlib import Path
from engine.evaluate import evaluate
from engine.event import Record
from engine.kinds import kind
from engine.packs import cache

rules = cache.load([sys.argv[1]], Path(sys.argv[2]))
decode = kind("tencent.cloudaudit", redaction_key=bytes(32)).decode
for line in Path(sys.argv[3]).read_bytes().splitlines():
    evaluate(rules, decode(Record(line)).event, date(2026, 1, 1))
sys.stdout.flush()
import os
os._exit(0)  # what is measured ends here, not with the dismantling of the interpreter
"""


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds from the start of the process to a decided page, without the interpreter's own; *bare* is that."""

    rules: int
    sort: str
    bytes_per_rule: int
    cold: float
    cached: float
    bare: float


def run(sizes: Sequence[int] = SIZES, sorts: Sequence[str] = SORTS, rounds: int = 7) -> list[Row]:
    """Every size of every sort."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page")
        page.write_bytes(b"\n".join(events(EVENTS)))
        return [_row(size, sort, Path(folder), page, rounds) for sort in sorts for size in sizes]


def _row(size: int, sort: str, folder: Path, page: Path, rounds: int) -> Row:
    rules, kept = folder / f"{sort}-{size}", folder / "cache"
    weight = write_rules(rules, size, sort)
    found: dict[str, list[float]] = {"bare": [], "cold": [], "cached": []}
    ready = [sys.executable, "-c", _READY, str(rules), str(kept), str(page)]
    _seconds(ready)  # the files are in the page cache, the bytecode is written
    for number in range(rounds):
        found["bare"].append(_seconds([sys.executable, "-c", "pass"]))
        if number < max(3, rounds // (1 if size < SIZES[-1] else 2)):
            shutil.rmtree(kept, ignore_errors=True)
            found["cold"].append(_seconds(ready))
        found["cached"].append(_seconds(ready))
    bare, cold, cached = (statistics.median(found[name]) for name in ("bare", "cold", "cached"))
    return Row(size, sort, weight // size, cold - bare, cached - bare, bare)


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
    return time.perf_counter() - began


# --- the files


def write_rules(folder: Path, count: int, sort: str) -> int:
    """*count* rule files of one sort, and the lists that they ask, below *folder*; gives the rules' bytes."""
    lists = folder / "lists"
    lists.mkdir(parents=True)
    (folder / "pack.yaml").write_text("kind: tencent.cloudaudit\nversion: 1\ntitle: Generated\n", encoding="utf-8")
    for name, values in LISTS.items():
        said = f"name: {name}\ndescription: Generated.\nvalues: [{', '.join(sorted(values))}]\n"
        (lists / f"{name.replace(' ', '_')}.yaml").write_text(said, encoding="utf-8")
    chance, weight = random.Random(5), 0
    for number, match in enumerate(_sound(count)):
        home = folder / f"topic_{number // 100:03}"
        home.mkdir(exist_ok=True)
        text = "\n".join(_lines(number, match, sort, chance)) + "\n"
        weight += (home / f"rule_{number:05}.yaml").write_text(text, encoding="utf-8")
    return weight


def _sound(count: int) -> list[str]:
    """*count* conditions that some event can satisfy: others do not load."""
    prover = Prover(Schema.of(fields_of(KIND), uniform=KIND in UNIFORM), LISTS)
    texts = [text for text in matches(count + count // 20) if not prover.never(parse(text, lists=LISTS).tree)]
    return texts[:count]


def _lines(number: int, match: str, sort: str, chance: random.Random) -> Iterator[str]:
    yield f"id: generated.topic_{number // 100:03}.rule_{number:05}"
    yield "title: '{norm.actor} called {eventName} from {norm.ip}'"
    yield f"severity: {chance.choice(('info', 'low', 'medium', 'high', 'critical'))}"
    yield "status: stable"
    if sort == "short":
        yield "description: A call that should be rare."
    else:
        yield "description: >-"
        yield "  This call changes who may do what, and an intruder who has found a key makes it early. Told whether"
        yield "  it worked or not: a refused attempt says as much as one that was granted."
    yield "match: |"
    yield f"  {match}"
    yield "group_by: [norm.account, norm.actor]"
    yield "attack: {version: 18, techniques: [T1098.001]}"
    if sort == "short":
        yield "runbook: Ask {norm.actor}."
    else:
        yield "quiet: 1h"
        yield "runbook: |"
        yield "  1. Find out whether {norm.actor} meant this; the change has a ticket, or it has none."
        yield "  2. If not: disable the key (cam UpdateAccessKey with Status = Inactive), and end the sessions."
        yield "  3. Read everything done with it and from {norm.ip} (cloudaudit DescribeEvents with AccessKeyId,"
        yield "     SourceIPAddress), an hour before and after."
        yield "references:"
        yield "  - https://cloud.tencent.com/document/product/629"
        yield "  - https://attack.mitre.org/techniques/T1098/001/"
        yield "false_positives:"
        yield "  - 'Deployments by the platform team: except their role.'"
    yield "tests:"
    for index in range(2 if sort == "short" else 8):
        yield from _test(index, sort, chance)


def _test(index: int, sort: str, chance: random.Random) -> Iterator[str]:
    yield f"  - name: case {index}"
    if sort == "short":
        yield f"    event: {{eventName: RunInstances, errorCode: '{index}'}}"
    else:
        uin = 100_000_000_000 + chance.randrange(400)
        yield "    event:"
        yield f"      eventName: {chance.choice(('RunInstances', 'CreateAccessKey', 'AttachPolicy'))}"
        yield "      resourceType: cam"
        yield f"      userIdentity: {{type: CAMUser, accountId: '100000000000', principalId: '{uin}', userName: ann}}"
        yield f"      sourceIPAddress: '203.0.113.{chance.randrange(256)}'"
        yield "      userAgent: tccli/3.0.1 Python/3.11"
    yield f"    expect: {'nothing' if index % 2 else 'alert'}"


# --- the table


def table(rows: Sequence[Row], machine: str) -> str:
    """The figures as docs/performance.md shows them."""
    bare = statistics.median(row.bare for row in rows)
    lines = [
        f"Measured on {machine}. The interpreter alone took {bare * 1000:.0f} ms, which is taken off.",
        "",
        "| rules | bytes a rule | cold | cached | cold, × the interpreter's start | cached, × |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row.rules:,} | {row.bytes_per_rule:,} | {row.cold:.2f} s | {row.cached:.2f} s"
            f" | {row.cold / row.bare:.1f} | {row.cached / row.bare:.1f} |"
            for row in rows
        ),
    ]
    return "\n".join(lines)


def write(text: str) -> None:
    """Put *text* between the marks in docs/performance.md."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
