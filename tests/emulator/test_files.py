"""Events from files, in every form that people have them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from engine.emulator.files import events, replayed
from engine.errors import ConfigurationError

INNER = {"eventID": "a", "eventName": "RunInstances", "eventTime": 1_600_000_000}
OUTER = {"EventId": "b", "EventName": "RunInstances", "EventTime": "1600000000", "CloudAuditEvent": "{}"}
ANSWER = {"Response": {"Events": [OUTER, OUTER], "ListOver": True, "NextToken": 1}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(INNER) + "\n" + json.dumps(OUTER), [INNER, OUTER]),
        ("\n\n" + json.dumps(INNER) + "\r\n\n", [INNER]),
        ("\ufeff" + json.dumps(INNER), [INNER]),
        (json.dumps([INNER, OUTER]), [INNER, OUTER]),
        (json.dumps(ANSWER), [OUTER, OUTER]),
        (json.dumps(ANSWER["Response"]), [OUTER, OUTER]),
        (json.dumps({"Response": {"Events": None}}), []),
        (json.dumps(ANSWER, indent=2) + "\n" + json.dumps([INNER], indent=4), [OUTER, OUTER, INNER]),
        (json.dumps(INNER) + "\n" + json.dumps(ANSWER, indent=2), [INNER, OUTER, OUTER]),
        ("", []),
    ],
    ids=[
        "lines",
        "blank lines",
        "byte order mark",
        "array",
        "answer",
        "bare answer",
        "null events",
        "indented documents",
        "a line, then a document",
        "nothing",
    ],
)
def test_each_form_is_read(tmp_path: Path, text: str, expected: list[dict[str, Any]]) -> None:
    plain, zipped = tmp_path / "events", tmp_path / "events.gz"
    plain.write_text(text, encoding="utf-8", newline="")
    zipped.write_bytes(gzip.compress(text.encode()))

    assert list(events(str(plain))) == expected
    assert list(events(str(zipped))) == expected


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (json.dumps(INNER) + '\n{"eventName": \n}', ":3:1", "not JSON"),
        (json.dumps(INNER) + "\n[1]", ":2:1", "neither an event"),
        ('{\n "a": 1\n}', ":1:1", "neither an event"),
        ('{"a": tru}', ":1:7", "not JSON"),
    ],
    ids=["broken line", "a number", "another object", "a typing slip"],
)
def test_what_is_no_event_is_named_with_its_place(tmp_path: Path, text: str, place: str, message: str) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=message) as caught:
        list(events(str(file)))

    assert str(file) + place in str(caught.value)


def test_a_gzip_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    file = tmp_path / "events.gz"
    file.write_bytes(gzip.compress(json.dumps([INNER] * 50).encode())[:-9])

    with pytest.raises(ConfigurationError, match="gzip file is damaged"):
        list(events(str(file)))


def test_replayed_events_keep_their_distances_and_end_now() -> None:
    inner = {**INNER, "@timestamp": "2020-09-13T12:26:44.500000", "updateEsTime": 16_000_000_040_000_001}
    older = {"eventName": "X", "eventTime": "2020-09-13 20:26:30"}  # UTC+8, ten seconds before
    outer = {**OUTER, "CloudAuditEvent": json.dumps({"eventTime": 1_599_999_999})}

    moved = replayed([inner, older, outer, {"eventName": "no time"}], 1_700_000_000.9)

    assert moved[0]["eventTime"] == 1_700_000_000
    assert moved[0]["@timestamp"] == "2023-11-14T22:13:24.500000"
    assert moved[0]["updateEsTime"] == 17_000_000_040_000_001
    assert moved[1]["eventTime"] == "2023-11-15 06:13:10"
    assert moved[2]["EventTime"] == "1700000000"
    assert json.loads(moved[2]["CloudAuditEvent"])["eventTime"] == 1_699_999_999
    assert moved[3] == {"eventName": "no time"}
