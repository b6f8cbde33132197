"""Do the exceptions of a rule still deserve their place?"""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Place
from engine.exceptions import KINDS_KEPT, Hidden, complaints, hide, key, traits
from engine.expression import parse
from engine.rule import Exception_

DAY = 86400.0
NOW = 1_790_000_000.0  # 2026-09-21


def an_exception(
    match: str = "norm.ip == '203.0.113.7'", *, expires: str = "2027-03-31", reason: str = "r"
) -> Exception_:
    place = Place("rule.yaml", 9, 5)
    return Exception_(
        parse(match, lists={}, place=place), reason, "secops@example.com", date.fromisoformat(expires), place
    )


def an_event(ip: str = "203.0.113.7", **fields: Any) -> dict[str, Any]:
    event = {
        "norm": {"outcome": "ok", "ip": ip},
        "Location": "中国 广东省 深圳市 中国电信",
        "userAgent": "SDK_GO_1.0.374",
    }
    return event | fields


def test_what_is_hidden_is_counted_with_its_times() -> None:
    hidden, _ = hide(None, an_event(), 100)
    hidden, _ = hide(hidden, an_event(), 300)
    hidden, _ = hide(hidden, an_event(), 200)
    assert (hidden.count, hidden.first, hidden.last) == (3, 100, 300)


def test_the_first_event_is_what_the_exception_was_written_for() -> None:
    assert hide(None, an_event(), 100)[1] == ()


def test_an_event_of_a_new_kind_is_news_once() -> None:
    hidden, _ = hide(None, an_event(), 100)
    hidden, new = hide(hidden, an_event("198.51.100.9", Location="荷兰 北荷兰省", userAgent="curl/8.1"), 200)
    assert new == ("country: 荷兰", "client: curl", "network: 198.51.100.0/24")
    assert hide(hidden, an_event("198.51.100.77"), 300)[1] == ()


def test_another_outcome_is_news() -> None:
    hidden, _ = hide(None, an_event(), 100)
    assert hide(hidden, an_event(norm={"outcome": "denied", "ip": "203.0.113.7"}), 200)[1] == ("outcome: denied",)


def test_another_version_of_the_same_client_and_a_neighbouring_address_are_not_news() -> None:
    hidden, _ = hide(None, an_event(), 100)
    assert hide(hidden, an_event("203.0.113.200", userAgent="SDK_GO_1.0.999"), 200)[1] == ()


def test_an_exception_that_hid_very_many_kinds_is_broad_by_intent() -> None:
    hidden, _ = hide(None, an_event("10.0.0.1"), 0)
    for n in range(200):
        hidden, _ = hide(hidden, an_event(f"10.1.{n}.1"), n)
    assert len(hidden.kinds["network"]) == KINDS_KEPT


def test_it_is_complained_of_when_expired_idle_or_hiding_something_new() -> None:
    fresh = Hidden(1, NOW, NOW)
    assert complaints(an_exception(), fresh, NOW, NOW) == ()
    assert complaints(an_exception(expires="2026-09-20"), fresh, NOW, NOW) == ("expired on 2026-09-20",)
    assert complaints(an_exception(), Hidden(1, 0, NOW - 31 * DAY), NOW - 90 * DAY, NOW) == ("hid nothing for 31 days",)
    assert complaints(an_exception(), None, NOW - 29 * DAY, NOW) == ()
    assert complaints(an_exception(), None, NOW - 30 * DAY, NOW) == ("hid nothing for 30 days",)
    assert complaints(an_exception(), Hidden(2, NOW, NOW, {}, ("country: 荷兰",)), NOW, NOW) == (
        "hid something of a new kind (country: 荷兰)",
    )


def test_an_edit_of_the_reason_keeps_the_count_and_an_edit_of_the_condition_begins_anew() -> None:
    assert key("r.a", an_exception(reason="x")) == key("r.a", an_exception(reason="y"))
    assert key("r.a", an_exception("norm.ip == '203.0.113.7'")) == key(
        "r.a", an_exception("norm.ip   == '203.0.113.7'")
    )
    assert key("r.a", an_exception("norm.ip == '203.0.113.8'")) != key("r.a", an_exception())


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_no_value_of_an_event_breaks_it(odd: Any) -> None:
    for name in ("Location", "userAgent", "norm"):
        assert isinstance(traits(an_event() | {name: odd}), dict)
    assert isinstance(traits(an_event(norm={"ip": odd, "outcome": odd})), dict)
