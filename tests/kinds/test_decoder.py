from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DecodeError
from engine.kinds.decoder import MAX_BYTES, MAX_DEPTH, dumps, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@given(VALUES.filter(lambda value: "\\u0000" not in json.dumps(value)))
def test_what_is_json_is_read_as_it_is(value: Any) -> None:
    text = json.dumps(value)

    assert loads(text) == loads(text.encode()) == value
    assert loads(dumps(value)) == value


@given(st.binary() | st.text())
def test_anything_is_read_or_refused_with_a_reason(text: bytes | str) -> None:
    try:
        value = loads(text)
    except DecodeError as error:
        value = str(error)

    assert json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    "text", ["[1,]", "{'a': 1}", "[1 2]", '{"a" 1}', "tru", "[", '"', "01", "1.", "[1]x", "\\", "{a: 1}"]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="not JSON"):
        loads(text)


def test_a_text_that_is_cut_off_within_a_string_is_told_in_whole_words() -> None:
    with pytest.raises(DecodeError, match=r"^not JSON: Unterminated string starting at character 1$"):
        loads('["cut')


def test_the_last_of_duplicate_names_counts() -> None:
    assert loads('{"a": 1, "a": 2}') == loads('{"a": NaN, "a": 2}') == {"a": 2}


def test_depth_is_counted_outside_of_strings() -> None:
    brackets = "[{" * 500

    assert loads(json.dumps([brackets])) == [brackets]
    assert loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(DecodeError, match="nested deeper"):
        loads("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_size_is_limited() -> None:
    with pytest.raises(DecodeError, match="larger than 5 MB"):
        loads(b'"' + b"x" * MAX_BYTES + b'"')


def test_bytes_that_are_no_utf8_become_replacement_characters() -> None:
    assert loads(b'{"a": "\xff\xc3\xa9"}') == {"a": "\ufffdé"}


def test_surrogate_pairs_are_one_character_and_lone_ones_none() -> None:
    assert loads(r'["\ud83d\ude00", "\ude00", "\ud83d!"]') == ["😀", "\ufffd", "\ufffd!"]
