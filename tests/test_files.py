from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.event import Record
from engine.kinds import MODULES, kind
from engine.sources import files

EXAMPLES = Path(__file__).parent / "kinds" / "events"
TENCENT, AWS = "tencent.cloudaudit", "aws.cloudtrail"

INNER = {"eventID": "t1", "eventName": "RunInstances", "eventTime": 1680513809, "eventRegion": "ap-guangzhou"}
OUTER = {"EventId": "t1", "EventName": "RunInstances", "CloudAuditEvent": json.dumps(INNER)}
TRAIL = {"eventID": "a1", "eventName": "RunInstances", "awsRegion": "us-east-1", "eventVersion": "1.08"}


def read(*paths: Path | str) -> tuple[list[tuple[str, Record]], list[tuple[str, str]]]:
    problems: list[tuple[str, str]] = []
    found = list(files.records(paths, on_problem=lambda place, message: problems.append((place, message))))
    return found, problems


def a_file(folder: Path, content: Any, name: str = "events.json") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def lines(*values: Any) -> bytes:
    return b"".join((value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n" for value in values)


def test_json_lines_of_every_form_are_recognised_one_by_one(tmp_path: Path) -> None:
    path = a_file(tmp_path, lines(INNER, OUTER, TRAIL, b"", INNER))

    found, problems = read(path)

    assert [name for name, _ in found] == [TENCENT, TENCENT, AWS, TENCENT]
    assert [record.place for _, record in found] == [f"{path}:{n}" for n in (1, 2, 3, 5)]
    assert [json.loads(record.raw) for _, record in found] == [INNER, OUTER, TRAIL, INNER]
    assert problems == []


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize(
    ("document", "kinds"),
    [
        ({"Response": {"Events": [OUTER, OUTER], "ListOver": True, "NextToken": 16805138109322956}}, [TENCENT] * 2),
        ({"Events": [OUTER], "ListOver": False}, [TENCENT]),
        ({"Response": {"Events": None, "ListOver": True}}, []),
        ({"Records": [TRAIL, INNER]}, [AWS, TENCENT]),
        ({"Records": []}, []),
        ([INNER, TRAIL, OUTER], [TENCENT, AWS, TENCENT]),
        ([{"Records": [TRAIL]}, {"Response": {"Events": [OUTER]}}], [AWS, TENCENT]),
        (INNER, [TENCENT]),
        (OUTER, [TENCENT]),
    ],
)
def test_documents_are_read_on_one_line_or_on_many(
    tmp_path: Path, document: Any, kinds: list[str], indent: int | None
) -> None:
    found, problems = read(a_file(tmp_path, json.dumps(document, indent=indent).encode()))

    assert [name for name, _ in found] == kinds
    assert problems == []


def test_events_of_a_document_know_their_lines(tmp_path: Path) -> None:
    path = a_file(tmp_path, json.dumps({"Records": [TRAIL, {**TRAIL, "eventID": "a2"}]}, indent=2).encode())

    found, _ = read(path)

    text = path.read_text().splitlines()
    numbers = [int(record.place.rpartition(":")[2]) for _, record in found]
    assert numbers == [number for number, line in enumerate(text, 1) if line == "    {"]


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.json")))
def test_every_public_example_is_read(name: str) -> None:
    found, problems = read(EXAMPLES / name)

    assert problems == []
    assert found
    assert all(kind(each, redaction_key=b"k").decode(record).quarantined is None for each, record in found)


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    packed = gzip.compress(lines(INNER)) + gzip.compress(lines(TRAIL))

    found, problems = read(a_file(tmp_path, packed, "no-suffix"))

    assert [name for name, _ in found] == [TENCENT, AWS]
    assert problems == []


def test_a_gzip_file_that_is_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    packed = gzip.compress(lines(*[{**INNER, "eventID": str(n), "x": hash(str(n))} for n in range(5000)]))
    path = a_file(tmp_path, packed[: len(packed) // 2])

    found, problems = read(path)

    assert len(found) > 1000
    ((place, message),) = problems
    assert place.startswith(f"{path}:")
    assert "gzip" in message


@pytest.mark.parametrize("damage", [lambda packed: packed[:-8], lambda packed: packed + b"garbage"])
@pytest.mark.parametrize("content", [[{"Records": [TRAIL, TRAIL]}], [INNER, {"Records": [TRAIL]}], [TRAIL, INNER]])
def test_a_gzip_file_damaged_behind_its_last_line_gives_that_line_too(
    tmp_path: Path, content: list[Any], damage: Callable[[bytes], bytes]
) -> None:
    path = a_file(tmp_path, damage(gzip.compress(lines(*content).rstrip(b"\n"))))

    found, problems = read(path)

    assert len(found) == 2
    ((place, message),) = problems
    assert place == f"{path}:{len(content)}"
    assert "gzip" in message


def test_a_delivered_file_in_gzip_that_is_cut_off_gives_its_whole_events(tmp_path: Path) -> None:
    records = [{**TRAIL, "eventID": str(n), "x": hash(str(n))} for n in range(5000)]
    packed = gzip.compress(json.dumps({"Records": records}).encode())

    found, problems = read(a_file(tmp_path, packed[: len(packed) // 2]))

    assert [json.loads(record.raw)["eventID"] for _, record in found] == [str(n) for n in range(len(found))]
    assert len(found) > 1000
    assert len(problems) == 1


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("between", ["", "\n", "\r\n"])
def test_texts_that_stand_one_behind_the_other_are_all_read(tmp_path: Path, between: str, indent: int | None) -> None:
    texts = [TRAIL, INNER, {"Records": [TRAIL, {**TRAIL, "x": '}\n{"'}]}, [INNER], INNER]
    written = [json.dumps(text, indent=indent) for text in texts]
    path = a_file(tmp_path, between.join(written).encode())

    found, problems = read(path)

    assert [name for name, _ in found] == [AWS, TENCENT, AWS, AWS, TENCENT, TENCENT]
    assert problems == []
    assert found[-1][1].place == f"{path}:{1 + sum((text + between).count(chr(10)) for text in written[:-1])}"


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("broken", [0, 2, 4])
def test_of_texts_in_a_row_a_damaged_one_costs_a_message(tmp_path: Path, broken: int, indent: int | None) -> None:
    written = [json.dumps({**TRAIL, "eventID": f"a{n}", "inner": {"eventName": "x"}}, indent=indent) for n in range(5)]
    written[broken] = written[broken].replace('"a', "a")

    found, problems = read(a_file(tmp_path, "\n".join(written).encode()))

    assert [json.loads(record.raw)["eventID"] for _, record in found] == [f"a{n}" for n in range(5) if n != broken]
    assert len(problems) == 1


@pytest.mark.parametrize("size", [*range(16_180, 16_400, 7), 300_000])
def test_texts_in_a_row_may_have_any_length(tmp_path: Path, size: int) -> None:
    text = json.dumps({**TRAIL, "x": "é" * (size // 6), "n": [1, 2, {"a": -1.5e3}], "z": None})  # written as \\u00e9

    found, problems = read(a_file(tmp_path, (text * 3).encode()))

    assert len(found) == 3
    assert problems == []


def test_damaged_texts_that_follow_each_other_cost_one_message_and_little_time(tmp_path: Path) -> None:
    damaged = b'{"x" bad} ' * 100_000  # minutes, if each looked through the whole text
    path = a_file(tmp_path, lines(TRAIL, damaged + json.dumps(INNER).encode() + damaged))

    found, problems = read(path)

    assert [name for name, _ in found] == [AWS, TENCENT]
    assert [place for place, _ in problems] == [f"{path}:2"] * 2


def test_a_line_that_is_cut_off_gives_its_whole_events(tmp_path: Path) -> None:
    path = a_file(tmp_path, lines(INNER, {"Records": [TRAIL, TRAIL]})[:-30])

    found, problems = read(path)

    assert [name for name, _ in found] == [TENCENT, AWS]
    assert [place for place, _ in problems] == [f"{path}:2"]


def test_many_texts_over_many_lines_are_not_held_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LARGE", 10_000)
    path = a_file(tmp_path, "\n".join(json.dumps({**TRAIL, "eventID": str(n)}, indent=2) for n in range(999)).encode())

    held = [len(piece.text) for piece in files.parts([path]) if isinstance(piece, files.Part)]
    found, problems = read(path)

    assert max(held) < 300_000  # what is read at once, and not the file
    assert len(held) > 1
    assert [json.loads(record.raw)["eventID"] for _, record in found] == [str(n) for n in range(999)]
    assert problems == []


def test_a_malformed_line_costs_a_message_with_its_place(tmp_path: Path) -> None:
    path = a_file(
        tmp_path, lines(INNER, b'{"eventName": ', TRAIL, b"garbage", b"7", {"foo": 1}, {"event": INNER}, INNER)
    )

    found, problems = read(path)

    assert [name for name, _ in found] == [TENCENT, AWS, TENCENT]
    assert [place for place, _ in problems] == [f"{path}:{n}" for n in (2, 4, 5, 6, 7)]
    assert "not JSON" in problems[0][1]
    assert problems[2][1] == "not a JSON object"
    assert problems[4][1] == "not an audit event of a known kind"  # what others wrap around events is not guessed


@pytest.mark.parametrize("first", [b'{"eventName": "Run', b"{", b"garbage", b'{"a": [', b"[1, 2"])
def test_a_malformed_first_line_does_not_cost_the_others(tmp_path: Path, first: bytes) -> None:
    path = a_file(tmp_path, lines(first, INNER, TRAIL))

    found, problems = read(path)

    assert [(name, record.place) for name, record in found] == [(TENCENT, f"{path}:2"), (AWS, f"{path}:3")]
    assert first == b"{" or [place for place, _ in problems] == [f"{path}:1"]


def test_an_array_with_one_damaged_line_gives_the_other_events(tmp_path: Path) -> None:
    path = a_file(
        tmp_path, b"[\n" + json.dumps(INNER).encode() + b',\n{"eventName: \n,' + json.dumps(TRAIL).encode() + b"\n]"
    )

    found, problems = read(path)

    assert TENCENT in [name for name, _ in found]
    assert f"{path}:3" in [place for place, _ in problems]


def test_a_document_that_is_cut_off_gives_its_whole_events_and_one_problem(tmp_path: Path) -> None:
    text = json.dumps({"Records": [TRAIL] * 50}, indent=2)
    path = a_file(tmp_path, text[:-20].encode())

    found, problems = read(path)

    assert len(found) == 49
    ((place, message),) = problems
    assert place == f"{path}:297"
    assert "not JSON" in message


@pytest.mark.parametrize("indent", [None, 2])
def test_a_document_with_one_damaged_event_gives_all_others(tmp_path: Path, indent: int | None) -> None:
    events = [{**TRAIL, "eventID": f"a{number}", "resources": [{}, {}]} for number in range(9)]
    text = json.dumps({"Records": events}, indent=indent).replace('"a4"', '"a4').encode()

    found, problems = read(a_file(tmp_path, text))

    assert [json.loads(record.raw)["eventID"] for _, record in found] == [f"a{n}" for n in range(9) if n != 4]
    assert len(problems) == 1


def test_a_document_without_its_end_is_a_problem_though_its_events_are_whole(tmp_path: Path) -> None:
    found, problems = read(a_file(tmp_path, json.dumps({"Records": [TRAIL, TRAIL]})[:-2].encode()))

    assert len(found) == 2
    assert len(problems) == 1


def test_an_error_of_the_api_is_named(tmp_path: Path) -> None:
    answer = {"Response": {"Error": {"Code": "AuthFailure.SignatureExpire", "Message": "…"}, "RequestId": "1"}}

    _, problems = read(a_file(tmp_path, answer))

    assert problems[0][1] == "an API's error, not events: AuthFailure.SignatureExpire"


def test_json_that_only_the_lenient_decoder_reads_is_read(tmp_path: Path) -> None:
    event = json.dumps(INNER)[:-1].encode() + rb', "a": NaN, "b": "\ud800"}'
    path = a_file(tmp_path, lines(event, b'{"Records": [' + event + b"]}", b"[" + event + b"]"))

    found, problems = read(path)

    assert [name for name, _ in found] == [TENCENT] * 3
    assert problems == []
    assert all(kind(TENCENT, redaction_key=b"k").decode(record).event is not None for _, record in found)


def test_a_byte_order_mark_is_ignored_and_utf_16_is_named(tmp_path: Path) -> None:
    found, problems = read(a_file(tmp_path, b"\xef\xbb\xbf" + lines(INNER)))
    assert (len(found), problems) == (1, [])

    found, problems = read(a_file(tmp_path, json.dumps(INNER).encode("utf-16")))
    assert found == []
    assert "UTF-16" in problems[0][1]


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("b/2.json", "b/1.json.gz", "a.jsonl", ".hidden.json", ".git/x.json", "README.md"):
        content = lines({**INNER, "eventID": name})
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    found, problems = read(tmp_path)

    assert [json.loads(record.raw)["eventID"] for _, record in found] == ["a.jsonl", "b/1.json.gz", "b/2.json"]
    assert problems == []


def test_a_path_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        read("no-such-file.json")


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.BytesIO(gzip.compress(lines(INNER, b"oops")))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin))

    found, problems = read("-")

    assert [record.place for _, record in found] == ["-:1"]
    assert [place for place, _ in problems] == ["-:2"]


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    assert read(a_file(tmp_path, b"")) == ([], [])
    assert read(a_file(tmp_path, b"\n \n")) == ([], [])


def test_a_line_that_is_too_long_is_skipped_with_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_DOCUMENT", 500)
    path = a_file(tmp_path, lines(INNER, {**INNER, "x": "y" * 2000}, TRAIL))

    found, problems = read(path)

    assert [(name, record.place) for name, record in found] == [(TENCENT, f"{path}:1"), (AWS, f"{path}:3")]
    assert [place for place, _ in problems] == [f"{path}:2"]


def test_a_document_that_is_too_long_is_a_problem_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_DOCUMENT", 500)
    path = a_file(tmp_path, json.dumps({"Trail": [TRAIL] * 2000}, indent=2).encode())

    found, problems = read(path)

    assert found == []
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ({"eventName": "ConsoleLogin", "userIdentity": {"type": "Root"}}, TENCENT),
        ({"eventName": "X", "eventSource": "iam.amazonaws.com"}, AWS),
        ({"eventName": "X", "eventSource": "cam.tencentcloudapi.com"}, TENCENT),
        ({"eventName": "X", "recipientAccountId": "1"}, AWS),
        ({"EventName": "X", "EventTime": "1680513809"}, TENCENT),
        ({"EventId": "1", "CloudAuditEvent": "broken"}, TENCENT),
    ],
)
def test_the_kind_of_a_partial_event(tmp_path: Path, event: dict[str, Any], name: str) -> None:
    assert [each for each, _ in read(a_file(tmp_path, event))[0]] == [name]


@given(
    st.lists(
        st.binary(max_size=30) | st.sampled_from([lines(INNER), b"[", b"]", b"{", b'"', b",\n", b"\n"]), max_size=8
    )
)
def test_no_content_raises(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    path = a_file(tmp_path_factory.getbasetemp(), b"".join(parts), "hostile.json")

    found, _ = read(path)

    assert all(name in MODULES for name, _ in found)


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"Records":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"])  # fmt: skip
def test_deep_nesting_is_a_problem(tmp_path: Path, deep: bytes) -> None:
    found, problems = read(a_file(tmp_path, deep))

    assert found == []
    assert len(problems) == 1


def awkward(number: int, name: str) -> dict[str, Any]:
    """A CloudTrail event in which much looks like the end of one and the beginning of another."""
    resources = [{"eventID": "x"}, {"eventID": '"}, {"eventID"'}, {}]
    return {"eventID": f"a{number}", "eventName": name, "awsRegion": "us-east-1", "resources": resources, "n": number}


@given(
    st.integers(0, 40),
    st.sampled_from([None, 0, 3]),
    st.sampled_from([lambda events: events, lambda events: {"Records": events}, lambda events: {"Response": {"ListOver": True, "NextToken": "a", "Events": events, "RequestId": "r"}}]),
    st.sampled_from(["X", "}, {", "\u6f22", "\\", '"']),
    st.integers(600, 3000),
    st.booleans(),
)  # fmt: skip
def test_a_large_document_is_cut_without_a_difference(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    indent: int | None,
    wrap: Any,
    name: str,
    cut: int,
    twice: bool,
) -> None:
    text = json.dumps(wrap([awkward(number, name) for number in range(count)]), indent=indent, ensure_ascii=False)
    whole = text.encode() + (b"\n" + text.encode() if twice and indent is None else b"")
    path = a_file(tmp_path_factory.getbasetemp(), whole, "cut.json")

    with pytest.MonkeyPatch.context() as patch:
        for limit, value in {"PART": cut, "_BLOCK": max(cut // 3, 1), "_LARGE": cut, "_LARGEST_ITEM": 4 * cut}.items():
            patch.setattr(files, limit, value)
        pieces = list(files.parts([path]))
        found, problems = read(path)

    assert [(kind, record.place) for kind, record in found] == [(kind, record.place) for kind, record in read(path)[0]]
    assert [json.loads(record.raw) for _, record in found] == [json.loads(record.raw) for _, record in read(path)[0]]
    assert problems == []
    assert len(whole) < 10 * cut or len(pieces) > 2


@pytest.mark.parametrize("indent", [None, 2])
def test_damage_in_a_large_document_costs_one_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None
) -> None:
    text = json.dumps({"Records": [{**TRAIL, "n": n, "resources": [{}, {"a": 1}]} for n in range(500)]}, indent=indent)
    path = a_file(tmp_path, text.replace('"n": 250', '"n: 250').encode())
    for limit, value in {"PART": 4000, "_BLOCK": 1000, "_LARGE": 4000, "_LARGEST_ITEM": 8000}.items():
        monkeypatch.setattr(files, limit, value)

    found, problems = read(path)

    assert {json.loads(record.raw)["n"] for _, record in found} == set(range(500)) - {250}
    assert len(problems) == 1


def test_lines_that_hold_whole_answers_are_each_an_answer(tmp_path: Path) -> None:
    answer = {"Response": {"Events": [OUTER, INNER], "ListOver": False}}

    found, problems = read(a_file(tmp_path, lines(answer, {"Records": [TRAIL]}, answer)))

    assert [record.place.rpartition(":")[2] for _, record in found] == ["1", "1", "2", "3", "3"]
    assert problems == []


def test_reading_tells_how_far_it_has_come(tmp_path: Path) -> None:
    plain = a_file(tmp_path, lines(*[{**INNER, "eventID": str(n)} for n in range(5000)]), "plain.jsonl")
    packed = a_file(tmp_path, gzip.compress(plain.read_bytes()), "packed.jsonl.gz")
    told: list[int] = []

    for _ in files.records([plain, packed], on_problem=print, on_read=told.append):
        pass

    assert sum(told) == plain.stat().st_size + packed.stat().st_size == files.size([tmp_path])


def test_gzip_is_read_the_same_without_isal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = a_file(tmp_path, gzip.compress(lines(INNER, TRAIL))[:-4] + b"\0\0\0\0")
    fast = read(path)
    monkeypatch.setattr(files, "_Gunzip", gzip.GzipFile)

    assert [name for name, _ in read(path)[0]] == [name for name, _ in fast[0]]
    assert len(read(path)[1]) == len(fast[1]) == 1


def test_a_file_that_begins_with_more_blank_lines_than_one_part_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n" * (files.PART + 10) + b'{"eventID": "1", "eventName": "X", "eventTime": 1}\n')
    assert [record.place for _, record in files.records([path], on_problem=lambda *_: None)] == [
        f"{path}:{files.PART + 11}"
    ]


def test_what_is_no_file_in_a_folder_is_told_and_not_waited_for(tmp_path: Path) -> None:
    a_file(tmp_path, lines(INNER), "a.jsonl")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "c.jsonl")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)

    found, problems = read(tmp_path)

    assert len(found) == 1
    assert problems == [
        (str(tmp_path / "b.jsonl"), "cannot be read: it links to nothing"),
        (str(tmp_path / "c.jsonl"), "is no regular file"),
    ]
    assert files.size([tmp_path]) == (tmp_path / "a.jsonl").stat().st_size


def test_of_an_array_that_is_cut_off_within_a_string_the_reason_is_told_in_whole_words(tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    path.write_text('{"Records": [{"eventName": "A", "eventID": "1", "userIdentity": {}}, {"eventName": "B')
    told: list[str] = []

    assert len(list(files.records([path], on_problem=lambda _, message: told.append(message)))) == 1
    assert told == ["skipped up to the next event: not JSON: Unterminated string starting"]
