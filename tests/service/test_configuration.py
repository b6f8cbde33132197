"""Settings of escalation, meta-alerts and the canary, and the pages of the service."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from engine.errors import ConfigurationError
from engine.settings import Loaded, load
from engine.web.health import Server, application

BASE = "notifiers: [{name: a, type: console}, {name: b, type: console}]\n"


def loaded(folder: Path, text: str) -> Loaded:
    path = folder / "tocsin.yaml"
    path.write_text(BASE + text)
    return load(path, environment={})


def test_a_route_names_its_next_destinations(tmp_path: Path) -> None:
    (route,) = loaded(tmp_path, "routes: [{to: [a], then: [b]}]\n").routes({})

    assert (route.to, route.then) == (("a",), ("b",))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("routes: [{to: [a], then: [nobody]}]\n", "2:27"),
        ("meta: {to: [nobody]}\n", "2:13"),
        ("canary: {to: nobody}\n", "2:14"),
    ],
)
def test_a_destination_that_is_not_there_is_an_error_at_its_place(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        loaded(tmp_path, text)

    (problem,) = found.value.problems
    assert problem.message == "no notifier is called 'nobody'"
    assert f"{problem.place.line}:{problem.place.column}" == place


def test_without_a_word_everybody_hears_of_trouble_nobody_of_canaries_and_five_minutes_are_enough(
    tmp_path: Path,
) -> None:
    settings = loaded(tmp_path, "").settings

    assert (settings.meta.to, settings.canary) == (None, None)
    assert settings.delivery.escalate_after.total_seconds() == 300


def test_readyz_says_only_what_keeps_events_from_being_heard_unless_it_is_asked_for_more() -> None:
    reasons: list[str] = []
    pages = application(
        alive=lambda: True, unready=lambda: reasons, registry=CollectorRegistry(), notes=lambda: ["a rule breaks"]
    )
    server = Server(pages, "127.0.0.1", 0)
    server.start()
    ready, more = ask(server, "/readyz"), ask(server, "/readyz?verbose")
    reasons.append("source prod: no answer")
    unready = ask(server, "/readyz?verbose")
    server.stop()

    assert ready == (200, "ready\n")
    assert more == (200, "ready\nnote: a rule breaks\n")
    assert unready == (503, "source prod: no answer\nnote: a rule breaks\n")


def ask(server: Server, page: str) -> tuple[int, str]:
    answer = httpx.get(f"http://127.0.0.1:{server.address[1]}{page}", trust_env=False)
    return answer.status_code, answer.text
