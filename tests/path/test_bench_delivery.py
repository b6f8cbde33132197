"""What `scripts/bench delivery` computes from what it noted, and that its worlds lose nothing themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from benchmarks import faults, latency, outage, page
from benchmarks.delivery import commits_text, latency_text
from benchmarks.faults import Mark, Soak, Turned
from benchmarks.latency import Happening, Notes, NotingStore, Split, Spread, Way, first_seen, percentile, split
from benchmarks.simulator import Misfortune, Result, World
from benchmarks.stores import Commits
from engine.event import Page, Record
from tests.samples import an_alert

MOMENTS = st.lists(st.integers(0, 10**9), min_size=6, max_size=6).map(sorted)


def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]

    assert [percentile(values, share) for share in (0.0, 0.2, 0.5, 0.8, 0.99, 1.0)] == [1.0, 1.0, 3.0, 4.0, 5.0, 5.0]


@given(st.lists(st.integers(-1000, 1000), min_size=1), st.floats(0.01, 1.0))
def test_of_any_values_at_least_the_share_do_not_exceed_the_percentile(values: list[int], share: float) -> None:
    found = percentile(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@given(MOMENTS)
def test_the_five_parts_of_a_way_add_up_to_the_whole(moments: list[int]) -> None:
    way = Way(*map(float, moments))

    assert sum(way.parts) == way.whole
    assert all(part >= 0 for part in way.parts)


@given(st.lists(MOMENTS, min_size=1))
def test_the_means_of_the_parts_add_up_to_the_mean_of_the_whole(ways: list[list[int]]) -> None:
    taken = [Way(*map(float, moments)) for moments in ways]

    whole = sum(way.whole for way in taken) / len(taken)

    assert sum(part.mean for part in split(taken)) == pytest.approx(whole)


def test_an_event_is_fetched_when_it_first_comes() -> None:
    def a_page(*ids: str) -> Page:
        return Page(tuple(Record(json.dumps({"EventId": one}).encode()) for one in ids))

    assert first_seen([(1.0, a_page("a")), (2.0, a_page("b", "a"))]) == {"a": 1.0, "b": 2.0}


def test_an_event_that_has_not_arrived_has_no_way() -> None:
    event = Happening("e", 1, 2.0)
    came = [(3.0, Page((Record(b'{"EventId": "e"}'),)))]
    here = Notes([], pages=came, event_of={"d": "e"}, queued={"d": 4.0}, claimed={"d": 5.0}, delivered={"d": 6.0})

    assert here.ways([event, Happening("never", 1, 2.0)]) == [Way(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)]


def test_a_delivery_counts_as_queued_only_when_it_is_committed(tmp_path: Path) -> None:
    store = NotingStore(str(tmp_path / "noting.db"))
    store.notes = notes = Notes([])
    alert = an_alert(id="A-1")

    def undone() -> None:
        with store.transaction() as tx:
            tx.save_alert(alert)
            tx.queue("undone", alert.id, "hook", 1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        undone()
    with store.transaction() as tx:
        tx.save_alert(alert)
        tx.queue("done", alert.id, "hook", 1.0)
        before = dict(notes.queued)
    claimed = store.claim("hook", 2.0, 60.0)
    store.close()

    assert before == {}
    assert set(notes.queued) == {"done"}
    assert claimed is not None
    assert notes.claimed["done"] >= notes.queued["done"]


def test_what_had_piled_up_was_queued_before_and_arrived_after_the_return() -> None:
    arrivals = [(10.0, 90.0), (20.0, 101.0), (30.0, 130.0), (99.0, 150.0), (120.0, 121.0)]

    assert outage.drained("hook", arrivals, 100.0, 100.0, 7) == outage.Drained("hook", 3, 1.0, 50.0, 7)
    assert outage.drained("hook", [], 100.0, 100.0, 0).alerts == 0


@pytest.mark.parametrize("away", outage.PARTS)
def test_after_six_hours_away_everything_is_told_once_and_slack_at_its_pace(away: outage.Part) -> None:
    with faults.a_folder() as folder:
        found = outage.run(folder, away, events=400)

    hook, chat = found.drained
    assert (found.lost, found.repeated) == (0, 0)
    assert hook.alerts >= chat.alerts > 2
    assert chat.last - chat.first >= (chat.alerts - 1) * outage.slack_pace().total_seconds()
    assert (hook.attempts_while_away > 0) == (away == "destinations")


def test_a_world_whose_outside_is_another_process_loses_nothing_either(tmp_path: Path) -> None:
    result = World(tmp_path, 1, events=300, days=0.25, bad=Misfortune(crash=0.0), apart=True).run()

    assert result.good, result
    assert result.wanted > 10


def test_growth_is_counted_from_the_first_mark_of_the_day_on() -> None:
    result = Result(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3.0, 0.0, 0.0)
    soak = Soak(result, (Mark(1.0, 50.0, 1.0, 9), Mark(2.0, 80.0, 1.0, 9), Mark(3.0, 88.0, 1.0, 9)))

    assert soak.growth(0) == pytest.approx(0.76)
    assert soak.growth(1.5) == pytest.approx(0.1)


def test_the_scheduler_is_shown_the_clock_that_was_set() -> None:
    clock = Turned()
    now = clock.as_datetime().now
    before = now(UTC)
    clock.off = 30 * 86_400.0

    assert 29.9 < (now(UTC) - before).days + 1 < 31.1
    assert abs((datetime.now(UTC) - before).total_seconds()) < 3600


def test_a_benchmark_writes_between_its_own_marks_only() -> None:
    text = "a\n<!-- one: begin -->\nold\n<!-- one: end -->\nb\n<!-- two: begin -->\nkept\n<!-- two: end -->\n"

    assert page.placed(text, "one", "new\n") == text.replace("\nold\n", "\n\nnew\n\n")


def test_a_page_without_its_marks_is_not_written() -> None:
    with pytest.raises(ValueError, match="three: begin"):
        page.placed("nothing", "three", "text")


@pytest.mark.parametrize("name", ["delivery", "faults"])
def test_the_page_about_performance_has_a_place_for_the_figures(name: str) -> None:
    assert "figures" in page.placed(page.PAGE.read_text(encoding="utf-8"), name, "figures")


def test_the_table_of_the_latency_as_people_see_it() -> None:
    parts = tuple(Spread(float(n), n - 0.5, n + 0.25) for n in range(1, 6))

    said = latency_text(Split(60.0, 240.0, 240, 0, 60.02, 0.05, parts, Spread(15.0, 14.0, 19.5)))

    assert said == snapshot("""\
Polled every 60 s (60.0 s as it came), real time for 240 s, 240 alerts, 0 missing, a receiver that takes 50 ms; seconds, and what ends each part. Means add up, percentiles do not.

| part | mean | p50 | p99 | ends when |
|---|---|---|---|---|
| visibility | 1.00 | 0.50 | 1.25 | the API has it: given to the emulator, 0.2 to 11 s after the time in the event |
| poll | 2.00 | 1.50 | 2.25 | the page with it has come: noted by the source |
| match | 3.00 | 2.50 | 3.25 | decoded, matched, routed, and committed: noted by the store after its commit |
| queue | 4.00 | 3.50 | 4.25 | claimed by the sender, woken after each page; it sends one at a time: noted by the store after commit |
| send | 5.00 | 4.50 | 5.25 | the receiver's answer is there: noted by the notifier |
| whole | 15.00 | 14.00 | 19.50 | the sum of the five |\
""")


def test_a_store_that_could_not_be_measured_is_said() -> None:
    found = [Commits("append and fdatasync", 6000.0, 1.0), Commits("SQLite", 2000.0, 3.0)]

    assert "Postgres was not measured" in commits_text(found)
    assert "Postgres" not in commits_text([*found, Commits("another", 900.0, 6.0)])


def test_a_figure_is_kept_for_the_page_as_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    report = faults.Report()
    report.say("R1", "0 lost")

    assert capsys.readouterr().out == "R1   0 lost\n"
    assert report.rows == [("R1", "0 lost")]


def test_the_parts_are_named_in_their_order() -> None:
    assert len(latency.PARTS) == len(Way(*[0.0] * 6).parts)
