"""Each way to misbehave, seen from the caller's side; and that no event is lost to one that asks again."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping

import httpx
import pytest

from engine.emulator import FAULTS, Emulator, Fault, Settings
from tests.emulator.calling import ID, KEY, NOW, an_emulator, an_event, ask, post, refusal

WINDOW = {"StartTime": NOW - 600, "EndTime": NOW}


def failing(fault: Fault, share: float = 1.0, **settings: object) -> Emulator:
    emulator = an_emulator(faults={fault: share}, **settings)
    emulator.add(an_event(f"e-{n}", NOW - n) for n in range(25))
    return emulator


def test_limit_is_a_code_inside_http_200() -> None:
    with failing("limit") as emulator:
        assert refusal(post(emulator, "DescribeEvents", WINDOW)) == "RequestLimitExceeded"


def test_5xx_is_a_page_of_a_gateway() -> None:
    with failing("5xx") as emulator:
        answers = [post(emulator, "DescribeEvents", WINDOW) for _ in range(12)]

    assert {answer.status_code for answer in answers} == {500, 502, 503}
    assert {answer.headers["content-type"] for answer in answers} == {"text/html"}
    assert emulator.outcomes == {"5xx": 12}


def test_html_is_http_200_all_the_same() -> None:
    with failing("html") as emulator:
        answer = post(emulator, "DescribeEvents", WINDOW)

    assert answer.status_code == 200
    assert answer.text.startswith("<html>")


def test_reset_ends_the_connection_before_an_answer() -> None:
    with failing("reset") as emulator, pytest.raises(httpx.ReadError):
        post(emulator, "DescribeEvents", WINDOW)


def test_truncated_ends_before_the_announced_length() -> None:
    with failing("truncated") as emulator, pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        post(emulator, "DescribeEvents", WINDOW)


def test_slow_comes_in_drips_and_is_whole_in_the_end() -> None:
    with failing("slow", slow_for=0.3) as emulator:
        begun = time.monotonic()
        answer = post(emulator, "DescribeEvents", WINDOW)

    assert time.monotonic() - begun >= 0.3
    assert len(answer.json()["Response"]["Events"]) == 10


def test_a_slow_answer_does_not_keep_the_emulator_from_stopping() -> None:
    emulator = failing("slow", slow_for=600.0)
    emulator.start()
    cut: list[Exception] = []

    def caller() -> None:
        try:
            post(emulator, "DescribeEvents", WINDOW)
        except httpx.HTTPError as error:
            cut.append(error)

    thread = threading.Thread(target=caller)
    thread.start()
    while not emulator.outcomes:
        time.sleep(0.01)
    emulator.stop()
    thread.join(timeout=30)

    assert len(cut) == 1


def test_null_events_do_not_move_forward() -> None:
    with failing("null-events") as emulator:
        spoilt = ask(emulator, "DescribeEvents", **WINDOW)

        assert (spoilt["Events"], spoilt["TotalCount"], spoilt["ListOver"]) == (None, None, False)
        tokens = [spoilt["NextToken"]]
        for _ in range(5):
            tokens.append(ask(emulator, "DescribeEvents", **WINDOW, NextToken=tokens[-1])["NextToken"])

    assert tokens == sorted(set(tokens), reverse=True)
    assert tokens[-1] > NOW * 10**7  # the newest event's index time: it is still to come


def test_null_events_on_an_empty_page_end_the_list() -> None:
    with an_emulator(faults={"null-events": 1.0}) as emulator:
        page = ask(emulator, "DescribeEvents", **WINDOW)

    assert (page["Events"], page["ListOver"], page["NextToken"]) == (None, True, 0)


def test_a_repeated_token_leads_to_the_same_page() -> None:
    with failing("repeat-token") as emulator:
        first = ask(emulator, "DescribeEvents", **WINDOW)
        second = ask(emulator, "DescribeEvents", **WINDOW, NextToken=first["NextToken"])

    assert first["ListOver"] is False
    assert second["NextToken"] == first["NextToken"]
    assert second["Events"] == first["Events"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_caller_that_asks_again_loses_nothing_to_a_fault(fault: Fault) -> None:
    with failing(fault, 0.5, slow_for=0.0) as emulator:
        found: list[str] = []
        token: dict[str, int] = {}
        over = False
        while not over:
            try:
                answer = post(emulator, "DescribeEvents", {**WINDOW, **token})
                page = answer.json()["Response"]
            except (httpx.HTTPError, ValueError):
                continue
            if "Error" in page:
                continue
            found += [event["EventId"] for event in page["Events"] or ()]
            token, over = {"NextToken": page["NextToken"]}, page["ListOver"]

    assert set(found) == {f"e-{n}" for n in range(25)}
    if fault != "repeat-token":
        assert len(found) == 25
    assert emulator.outcomes[fault if fault != "limit" else "RequestLimitExceeded"] > 0


def test_faults_come_at_their_rates() -> None:
    with failing("limit", 0.25) as emulator:
        codes = Counter(ask(emulator, "ListAudits").get("Error", {}).get("Code") for _ in range(200))

    assert 25 < codes["RequestLimitExceeded"] < 80


@pytest.mark.parametrize("faults", [{"limit": 1.5}, {"limit": -0.1}, {"limit": 0.6, "5xx": 0.6}, {"earthquake": 0.1}])
def test_rates_that_cannot_be_are_refused(faults: Mapping[Fault, float]) -> None:
    with pytest.raises(ValueError, match=r"above 1|between|earthquake"):
        Settings(ID, KEY, faults=faults)


def test_an_emulator_stops_twice_and_starts_again() -> None:
    emulator = an_emulator()
    emulator.add([an_event("kept")])
    with emulator:
        first = emulator.endpoint
        with pytest.raises(RuntimeError, match="running"):
            emulator.start()
    emulator.stop()

    with emulator:
        assert emulator.endpoint.startswith("http://127.0.0.1:")
        assert ask(emulator, "DescribeEvents", **WINDOW)["Events"][0]["EventId"] == "kept"
    assert first


def test_events_may_be_added_while_pages_are_read() -> None:
    with an_emulator() as emulator:
        adders = [
            threading.Thread(target=lambda k=k: [emulator.add([an_event(f"{k}-{n}")]) for n in range(100)])
            for k in range(4)
        ]
        for adder in adders:
            adder.start()
        while any(adder.is_alive() for adder in adders):
            assert "Error" not in ask(emulator, "DescribeEvents", **WINDOW)
        for adder in adders:
            adder.join()

    assert len(emulator) == 400


def test_a_caller_who_leaves_before_it_has_asked_is_no_mistake_of_the_emulator(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with an_emulator() as emulator:
        url = httpx.URL(emulator.endpoint)
        with socket.create_connection((url.host, url.port or 80)) as caller:
            caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf of it")
            time.sleep(0.05)  # so that it has begun to read
        post(emulator, "DescribeEvents", WINDOW)

    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
