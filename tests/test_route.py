"""Who should hear it?"""

from __future__ import annotations

from engine.errors import Place
from engine.expression import Expression, parse
from engine.route import Mute, Route, destinations
from engine.rule import Severity
from tests.samples import an_alert


def when(text: str) -> Expression:
    return parse(text, place=Place("test"), lists={})


def test_the_first_route_that_matches_takes_the_alert() -> None:
    routes = [
        Route(("oncall", "hook"), when("severity == 'critical'")),
        Route(("oncall",), when("severity == 'high'")),
        Route(("hook",)),
    ]
    taken = {s: [n for n, _ in destinations(an_alert(severity=s), routes, []).destinations] for s in Severity}
    assert taken == {
        Severity.CRITICAL: ["oncall", "hook"],
        Severity.HIGH: ["oncall"],
        Severity.MEDIUM: ["hook"],
        Severity.LOW: ["hook"],
        Severity.INFO: ["hook"],
    }


def test_a_route_that_says_continue_lets_the_next_ones_take_it_too_and_none_twice() -> None:
    routes = [Route(("all",), go_on=True), Route(("oncall", "all"))]
    assert [name for name, _ in destinations(an_alert(), routes, []).destinations] == ["all", "oncall"]


def test_each_destination_comes_with_the_route_that_named_it() -> None:
    routes = [Route(("oncall",), when("norm.actor == 'root'"))]
    assert destinations(an_alert(), routes, []).destinations == (("oncall", "route 1: norm.actor == 'root'"),)


def test_an_alert_that_no_route_takes_goes_nowhere() -> None:
    assert destinations(an_alert(), [Route(("x",), when("severity == 'low'"))], []).destinations == ()


def test_a_silence_holds_an_alert_back_and_is_named() -> None:
    routing = destinations(an_alert(), [Route(("oncall",))], [Mute("S-1", when("event.eventName == 'ConsoleLogin'"))])
    assert (routing.destinations, routing.silenced_by) == ((), "S-1")


def test_a_condition_that_breaks_errs_towards_telling() -> None:
    breaks = when("severity > `1`")
    assert destinations(an_alert(), [Route(("oncall",), breaks)], [Mute("S-1", breaks)]).destinations[0][0] == "oncall"
