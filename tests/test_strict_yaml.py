"""YAML that means one thing, and knows where it was written."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from pydantic import Field, ValidationError

from engine.errors import ConfigurationError
from engine.strict_yaml import (
    MAX_DEPTH,
    Day,
    Document,
    Duration,
    StrictModel,
    day,
    duration,
    load,
    load_file,
    problems_of,
    read,
)


def complaints(text: str) -> list[str]:
    return [f"{p.place.line}:{p.place.column} {p.message}" for p in read(text, file="f.yaml")[1]]


def data(text: str) -> Any:
    return load(text).data


@pytest.mark.parametrize("word", ["yes", "No", "ON", "off"])
def test_words_that_some_readers_take_for_booleans_must_be_quoted(word: str) -> None:
    assert complaints(f"a: {word}") == [
        f"1:4 {word} is a boolean to some readers of YAML: write '{word}' in quotes, or true or false"
    ]
    assert data(f"a: '{word}'") == {"a": word}


@pytest.mark.parametrize(
    "number",
    [
        "010",
        "0100012345",
        "22:22",
        "190:20:30",
        "0x1F",
        "0o17",
        "0b11",
        "1_000",
        "1e3",
        "12e4567",
        ".5",
        "1.",
        ".inf",
        "-.INF",
        ".nan",
    ],
)
def test_numbers_that_readers_differ_about_must_be_quoted(number: str) -> None:
    (complaint,) = complaints(f"a: {number}")

    assert f"write '{number}' in quotes" in complaint
    assert data(f'a: "{number}"') == {"a": number}


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("100000012345", 100000012345),
        ("1.5", 1.5),
        ("2027-03-31", "2027-03-31"),
        ("2021-01-05 17:33:14", "2021-01-05 17:33:14"),
        ("1h", "1h"),
        ("10.0.0.1", "10.0.0.1"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("T1078.004", "T1078.004"),
        ("nobody", "nobody"),
    ],
)
def test_plain_scalars_are_read_by_the_core_schema_of_yaml_1_2(text: str, means: Any) -> None:
    found = data(f"a: {text}")["a"]

    assert (found, type(found)) == (means, type(means))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3", "3:1 the key 'a' stands here twice, first in line 1"),
        ("a: &x 1", "1:4 anchors (&x) are not allowed"),
        ("a: !!str 1", "1:4 tags (tag:yaml.org,2002:str) are not allowed"),
        ("a: !env HOME", "1:4 tags (!env) are not allowed"),
        ("<<: {a: 1}", "1:1 merge keys (<<) are not allowed; write the keys out"),
        ("a: =", "1:4 = has a meaning of its own to some readers of YAML: write '=' in quotes"),
        ("a: 1\n---\nb: 2", "2:1 one file holds one document"),
        ("1: a", "1:1 a key is a text: write '1' in quotes"),
        ("[a]: b", "1:1 a key is a text"),
        ("%YAML 1.1\n---\na: 1", "1:1 YAML directives (%…) are not allowed"),
        ("a: [1", "2:1 not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence)"),
        ("a: 'b\u2028c'", "1:6 the character U+2028 may stand here only as an escape"),
        ("a: \x07", "1:4 the character U+0007 may stand here only as an escape"),
    ],
)
def test_what_yaml_allows_and_people_do_not_expect_is_refused(text: str, complaint: str) -> None:
    assert complaints(text + "\n") == [complaint]


def test_an_alias_bomb_is_refused_without_being_expanded() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{n}{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    )

    assert any("aliases (*a) are not allowed" in complaint for complaint in complaints(bomb))


def test_deep_nesting_is_refused() -> None:
    assert complaints("[" * 5000) == [f"1:{MAX_DEPTH + 2} nested deeper than {MAX_DEPTH}"]


def test_large_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    file.write_bytes(b"a: " + b"x" * 300_000)

    assert [problem.message for problem in read(file)[1]] == ["larger than 256 kB"]


def test_a_file_that_is_not_utf_8_is_refused_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"a: 1\nb: \xe9\n")

    assert [(problem.place.line, problem.message) for problem in read(file)[1]] == [(2, "not UTF-8")]


def test_every_fault_is_reported_at_once_with_its_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("a: no\nb: 010\na: *x\n", file="rules/x.yaml")

    assert str(caught.value) == snapshot("""\
rules/x.yaml:1:4: no is a boolean to some readers of YAML: write 'no' in quotes, or true or false
    a: no
       ^
rules/x.yaml:2:4: 010 with a leading zero is octal to some readers: write '010' in quotes, or the plain decimal number
    b: 010
       ^
rules/x.yaml:3:1: the key 'a' stands here twice, first in line 1
    a: *x
    ^
rules/x.yaml:3:4: aliases (*x) are not allowed; write the value again
    a: *x
       ^\
""")


# --- places


def placed(text: str, loc: tuple[str | int, ...], char: str) -> str:
    """The line and column of the first *char* in the scalar at *loc*, and what stands there in the file."""
    document = load(text)
    value: Any = document.data
    for piece in loc:
        value = value[piece]
    place = document.place(loc, offset=value.index(char))
    return f"{place.line}:{place.column}" + text.split("\n")[place.line - 1][place.column - 1]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("m: a == X", "1:9X"),
        ("m: a\n  && b\n  && X", "3:6X"),
        ("m: 'it''s X'", "1:11X"),
        ("m: 'a\n\n  b X'", "3:5X"),
        ('m: "tab\\there \\u00e9 X"', "1:22X"),
        ('m: "a\\\n  b\\n\\n X"', "2:9X"),
        ("m: |\n  a &&\n  X", "3:3X"),
        ("m: |2-  # why\n    a\n   b X", "3:6X"),
        ("m: >-\n  a\n  b\n\n  c X", "5:5X"),
        ("m: >\n  a\n    more\n  X", "4:3X"),
        ("m: |\r\n  a\r\n  X\r\n", "3:3X"),
        ("k: 漢字\nm: '漢字 X'", "2:8X"),
    ],
)
def test_a_character_of_a_scalar_is_found_in_the_file_whatever_its_style(text: str, place: str) -> None:
    assert placed(text, ("m",), "X") == place


def test_behind_the_end_of_a_scalar_is_behind_its_last_character() -> None:
    document = load("m: |\n  a ==\n\nn: 1\n")

    assert str(document.place(("m",), offset=len("a ==\n"))) == "<text>:2:7"


@settings(max_examples=200, deadline=None)
@given(
    st.text("ab'\"\\#:é漢 \n\t{}[]&*-|>%@`", min_size=1, max_size=60),
    st.sampled_from(['"', "'", "|", ">", None]),
    st.sampled_from([20, 1000]),
)
def test_every_visible_character_is_found_where_it_was_written(text: str, style: Any, width: int) -> None:
    written = yaml.safe_dump({"m": text}, default_style=style, width=width, allow_unicode=True)
    document, problems = read(written)
    if document is None or problems or document.data.get("m") != text:
        return  # a plain key in quotes, a tag on a non-text, or a number: not what this is about
    for offset, char in enumerate(text):
        if char.isspace():
            continue
        place = document.place(("m",), offset=offset)
        found = written.split("\n")[place.line - 1][place.column - 1 :]
        assert found.startswith((char, f"\\{char}", "\\x", "\\u"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc_-", min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(json_values)
def test_json_is_read_as_it_is(value: Any) -> None:
    assert load(json.dumps(value, ensure_ascii=False)).data == value


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40) | st.text("ab:-[]{}&*!|>'\"%#?, \n", max_size=40))
def test_any_text_is_a_document_or_has_faults(text: str) -> None:
    document, problems = read(text)

    assert document is not None or problems
    assert all(problem.place.line >= 1 and problem.place.column >= 1 for problem in problems)


# --- models


class Inner(StrictModel):
    """A mapping inside."""

    owner: str
    until: Day | None = None


class Outer(StrictModel):
    """A file."""

    severity: str
    quiet: Duration = timedelta(0)
    unless: list[Inner] = Field(default_factory=list)


def refusals(text: str) -> list[str]:
    document = load(text, file="f.yaml")
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document.data)
    return [str(problem).split("\n")[0] for problem in problems_of(caught.value, document, Outer)]


def test_an_unknown_key_names_the_nearest_valid_one_of_its_own_mapping() -> None:
    assert refusals("sevrity: high\nseverity: high\nunless:\n  - {owner: a, untill: 2027-01-01}\n") == [
        "f.yaml:4:16: unknown key 'untill'; did you mean 'until'?",
        "f.yaml:1:1: unknown key 'sevrity'; did you mean 'severity'?",
    ]


def test_a_missing_key_is_missed_where_it_should_be() -> None:
    assert refusals("severity: high\nunless:\n  - until: 2027-01-01\n") == ["f.yaml:3:5: 'owner' is missing"]


def test_a_number_where_a_text_is_meant_asks_for_quotes() -> None:
    assert refusals("severity: 5\n") == [
        "f.yaml:1:11: 'severity' is a text, here it is the number 5 (write '5' in quotes)"
    ]


def test_a_key_that_another_model_knows_is_among_the_nearest() -> None:
    document = load("nme: a\nseverity: b\n")
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document.data)

    (problem,) = problems_of(caught.value, document, Outer, also_known=["name"])
    assert problem.message == "unknown key 'nme'; did you mean 'name'?"


def test_what_was_already_reported_is_not_reported_again() -> None:
    document, problems = read("severity: no\nquiet: 010\n")
    assert document is not None
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(document.data)

    assert len(problems) == 2
    assert problems_of(caught.value, document, Outer) == []


@pytest.mark.parametrize(
    ("text", "span"), [("60s", 60), ("15m", 900), ("1h", 3600), ("30d", 2_592_000), ("2w", 1_209_600), (0, 0)]
)
def test_durations(text: Any, span: int) -> None:
    assert duration(text) == timedelta(seconds=span)


@pytest.mark.parametrize("text", ["1", "h", "1.5h", "-1h", "1 h", "1h30m", "999999999d", 5, None, True])
def test_what_is_no_duration(text: Any) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        duration(text)


def test_days() -> None:
    assert day("2027-03-31") == date(2027, 3, 31)
    with pytest.raises(ValueError, match="2027-03-31"):
        day("2027-02-30")


def test_an_empty_document_stands_for_a_file_that_is_not_there() -> None:
    assert Document.empty("(defaults)").data == {}


def test_a_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("\ufeffa: 1\n", encoding="utf-8")

    assert load_file(str(file)).data == {"a": 1}
