"""Who may write rules may write expressions, and nothing that runs, reaches out or exhausts the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import packs
from engine.errors import ConfigurationError, Place
from engine.expression import ExpressionFault, parse

HEAD = "id: author.rule\ntitle: '%s'\nseverity: low\nstatus: stable\nkind: tencent.cloudaudit\ndescription: d\n"


@pytest.mark.parametrize(
    "text",
    ["[" * 5_000, "(" * 5_000 + "a" + ")" * 5_000, "a" + "||a" * 5_000, "!" * 5_000 + "a", "a" + ".b" * 5_000],
    ids=["brackets", "parentheses", "alternatives", "negations", "members"],
)
def test_an_expression_that_is_too_long_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(ExpressionFault):
        parse(text, place=Place("rule.yaml"), lists={})


@pytest.mark.parametrize(
    "title",
    [
        "{{ 7*7 }}",
        "{__class__.__mro__}",
        "{eventName!r}",
        "{eventName:>1000000000}",
        "%(eventName)1000000000d",
        "${eventName}",
        "{% for x in range(10) %}x{% endfor %}",
    ],
)
def test_a_title_is_text_and_fields_whatever_it_looks_like(title: str, tmp_path: Path) -> None:
    from engine import kinds
    from engine.event import Record

    file = tmp_path / "rule.yaml"
    file.write_text(HEAD % title + "match: eventName == 'X'\n", encoding="utf-8")
    kind = kinds.kind("tencent.cloudaudit", redaction_key=b"k" * 32)
    event = kind.decode(
        Record(b'{"eventID":"e","eventName":"X","eventTime":1790000000,"userIdentity":{"accountId":"1"}}')
    )
    assert event.event is not None

    try:
        rules = packs.load([str(file)])
    except ConfigurationError:
        return  # refused with its place, which is as good
    shown = rules.rules[0].title.render(event.event.fields)

    assert "49" not in shown
    assert "object" not in shown
    assert len(shown) < 1_000
