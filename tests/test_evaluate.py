"""Which rules an event satisfies, and what happens to those that break."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from engine.errors import DecodeError, Place
from engine.evaluate import evaluate
from engine.event import Event, Fields, Identity
from engine.expression import Expression, parse, parse_template
from engine.matching import Matcher
from engine.rule import Exception_, Rule, RuleSet, Severity, Status

TODAY = date(2027, 1, 15)
KIND = "tencent.cloudaudit"


def an_event(**fields: Any) -> Event:
    return Event(Identity(KIND, "1", "e1"), time=0, name="x", raw=b"{}", decode=lambda _: fields)


def a_rule(match: str, *, rule_id: str = "a.rule", unless: tuple[Exception_, ...] = (), **facts: Any) -> Rule:
    values: dict[str, Any] = {
        "id": rule_id,
        "title": parse_template("a title", lists={}),
        "severity": Severity.LOW,
        "status": Status.STABLE,
        "kind": KIND,
        "description": "",
        "match": parse(match, lists={}),
        "place": Place("a.yaml"),
        "version": "v1",
        "unless": unless,
    }
    return Rule(**(values | facts))


def an_exception(match: str, expires: date = TODAY) -> Exception_:
    return Exception_(parse(match, lists={}), "a drill", "secops", expires, Place("a.yaml", 9))


def met(*rules: Rule, today: date = TODAY, **fields: Any) -> tuple[list[tuple[str, int | None]], list[tuple[str, str]]]:
    """(rule, excepted) of the matches; (rule, message) of the faults."""
    matches, faults = evaluate(RuleSet(rules), an_event(**fields), today)
    return [(match.rule.id, match.excepted) for match in matches], [(fault.rule_id, fault.message) for fault in faults]


def test_a_rule_that_is_true_of_the_event_matches() -> None:
    assert met(a_rule("a == 'x'"), a=("x")) == ([("a.rule", None)], [])


def test_a_rule_that_is_not_true_of_the_event_does_not() -> None:
    assert met(a_rule("a == 'x'"), a="y") == ([], [])


def test_rules_of_another_kind_are_not_asked() -> None:
    assert met(a_rule("`true`", kind="aws.cloudtrail")) == ([], [])


def test_rules_that_are_off_are_not_asked() -> None:
    assert met(a_rule("`true`", enabled=False)) == ([], [])


def test_a_rule_that_breaks_is_a_fault_and_the_others_go_on() -> None:
    broken = a_rule("starts_with(a, 'x')", rule_id="a.broken")

    matches, faults = met(broken, a_rule("a == `5`"), a=5)

    assert matches == [("a.rule", None)]
    assert faults == [
        ("a.broken", "match: starts_with() wants string, here it has number: starts_with(a, 'x')"),
    ]


def test_an_exception_that_holds_is_named() -> None:
    rule = a_rule("a", unless=(an_exception("b == 'no'"), an_exception("b == 'yes'")))

    assert met(rule, a=1, b="yes") == ([("a.rule", 1)], [])


@pytest.mark.parametrize(("today", "excepted"), [(TODAY, 0), (date(2027, 1, 16), None)])
def test_an_exception_holds_through_its_last_day(today: date, excepted: int | None) -> None:
    assert met(a_rule("a", unless=(an_exception("a"),)), a=1, today=today) == ([("a.rule", excepted)], [])


def test_an_exception_that_breaks_hides_nothing_and_is_a_fault() -> None:
    rule = a_rule("a", unless=(an_exception("length(a)"),))

    matches, faults = met(rule, a=1)

    assert matches == [("a.rule", None)]
    assert [message.partition(":")[0] for _, message in faults] == ["unless[0]"]


def test_whatever_one_rule_raises_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    surprising = a_rule("zzz", rule_id="a.surprise")
    honest = Expression.holds

    def raising(self: Expression, fields: Fields) -> bool:
        if self.text == "zzz":
            raise KeyError("secret value")
        return honest(self, fields)

    monkeypatch.setattr(Expression, "holds", raising)

    assert met(surprising, a_rule("a"), a=1) == ([("a.rule", None)], [("a.surprise", "match: KeyError in zzz")])


def test_an_event_that_is_none_after_all_is_no_fault_of_a_rule() -> None:
    def refuse(_: bytes) -> Fields:
        raise DecodeError("not JSON")

    event = Event(Identity(KIND, "1", "e1"), time=0, name="x", raw=b"", decode=refuse)

    with pytest.raises(DecodeError):
        evaluate(RuleSet((a_rule("`true`"),)), event, TODAY)


def test_an_index_that_breaks_on_an_event_rules_nothing_out_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_matcher: Matcher, _view: object) -> list[int]:
        raise ValueError("a defect of the index")

    monkeypatch.setattr(Matcher, "candidates", breaks)

    matches, faults = met(a_rule("a == 'x'"), a_rule("a == 'y'", rule_id="a.other"), a="x")

    assert matches == [("a.rule", None)]
    assert faults == [("(index)", "the index broke on it: ValueError")]
