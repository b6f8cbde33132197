"""Nothing that a stranger wrote is hidden, interpreted or longer than it may be."""

from __future__ import annotations

import html
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifiers.text import CUT, code, inert, inert_json, length, literal, plain, readable_json, visible
from tests.notifiers.samples import NAUGHTY, texts, unhurried, values

limits = st.integers(1, 60)
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("root", "root"),
        ("张三 in 南京", "张三 in 南京"),
        ("a\nb\r\n", "a\\nb\\r\\n"),
        ("\x1b[31m", "\\u001b[31m"),
        ("\x9b31m \x7f", "\\u009b31m \\u007f"),
        ("x\u202egnp", "x\\u202egnp"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\udb40\\udc41"),
        ("a\u3000b\u00a0c", "a b c"),
        ("\u3164", "\\u3164"),
        ("e\u0301", "e\u0301"),
        ("a" + "\u0301" * 5, "a" + "\u0301" * 3 + "\\u0301" * 2),
    ],
)
def test_what_would_not_be_seen_is_written_out(written: str, shown: str) -> None:
    assert visible(written) == shown


@unhurried
@given(texts, limits)
def test_visible_text_is_one_line_without_anything_hidden_and_within_its_limit(text: str, limit: int) -> None:
    shown = visible(text, limit)

    assert length(shown) <= limit
    assert len(shown) <= limit
    assert not {unicodedata.category(character) for character in shown} & HIDDEN
    shown.encode("utf-8")


@unhurried
@given(texts, limits)
def test_making_text_visible_twice_changes_nothing(text: str, limit: int) -> None:
    once = visible(text, limit)

    assert visible(once, limit) == once


@unhurried
@given(texts, limits)
def test_what_is_cut_says_so(text: str, limit: int) -> None:
    shown, whole = visible(text, limit), visible(text, 10**6)

    assert shown == whole or shown.endswith(CUT)


@unhurried
@given(texts, st.integers(3, 60))
def test_a_code_span_has_two_backticks_no_angle_brackets_and_whole_entities(text: str, limit: int) -> None:
    span = code(text, limit).text

    assert length(span) <= limit
    assert span.count("`") == 2
    assert span[0] == span[-1] == "`"
    assert not re.search(r"[<>]", span)
    assert not re.search(r"&(?!amp;|lt;|gt;)", span)


@unhurried
@given(texts)
def test_slack_shows_in_a_code_span_what_was_written(text: str) -> None:
    span = code(text, 10**6).text

    assert html.unescape(span[1:-1]) == (visible(text, 10**6) or "-").replace("`", "ˋ")


@unhurried
@given(texts, limits)
def test_running_text_has_nothing_that_formats(text: str, limit: int) -> None:
    shown = plain(text, limit).text

    assert length(shown) <= limit
    assert not re.search(r"[<>*~`]", shown)
    assert not re.search(r"&(?!amp;|lt;|gt;)", shown)
    assert not re.search(r"(?<!\w)_\w[^_]*_(?!\w)", shown)


@pytest.mark.parametrize(
    "text", ["snake_case_name", "2022-08-16 06:43:24", "203.0.113.7", "2001:db8::1", "1.2.3.4:443"]
)
def test_running_text_leaves_ordinary_values_as_they_are(text: str) -> None:
    assert plain(text, 100).text == text


def test_running_text_shows_no_emoji_for_a_name_between_colons() -> None:
    assert ":skull:" not in plain("all good :skull: :+1: :100:", 100).text


@unhurried
@given(texts, limits)
def test_a_literal_has_no_angle_brackets(text: str, limit: int) -> None:
    shown = literal(text, limit)

    assert length(shown) <= limit
    assert not re.search(r"[<>]", shown)


@unhurried
@given(values)
def test_inert_json_is_exact_for_a_machine_and_holds_no_markup(value: object) -> None:
    text = inert_json(value)

    assert text.isascii()
    assert text.isprintable()
    assert not re.search(r"[&<>]", text)
    json.loads(text)


def test_inert_json_keeps_what_strict_json_has() -> None:
    value = {"a": ["<!channel>", "南京", "\u202e", 1, 2**70, True, None, 1.5], "b": {"&": "\x1b"}}

    assert json.loads(inert_json(value)) == value


def test_inert_json_survives_what_json_has_not() -> None:
    nested: object = "deep"
    for _ in range(5_000):
        nested = [nested]

    assert json.loads(inert_json([float("nan"), float("inf"), "\ud800"])) == [None, None, "\\ud800"]
    assert "nested too deeply" in inert_json(nested)


@unhurried
@given(values, limits)
def test_readable_json_is_within_its_limit_and_holds_no_markup(value: object, limit: int) -> None:
    text = readable_json(value, limit)

    assert length(text) <= limit
    assert not re.search(r"[&<>\n]", text)


@pytest.mark.parametrize("text", NAUGHTY)
def test_inert_text_is_within_its_limit_also_where_one_character_becomes_six(text: str) -> None:
    assert length(inert(text, 100)) <= 100
