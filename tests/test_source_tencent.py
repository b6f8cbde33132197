"""The CloudAudit source: windows in slices, cursors that promise no more than was read, settings that are checked."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import stamina
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine import emulator as emulated
from engine import kinds, plugins
from engine.cloudaudit.client import CloudAudit
from engine.cloudaudit.pace import Pace
from engine.emulator import Emulator
from engine.errors import SourceError, SourceRefusedError
from engine.event import Cursor
from engine.pipeline import Policy, poll
from engine.rule import RuleSet
from engine.sources import Source
from engine.sources.tencent_cloudaudit import PLUGIN, Settings, TencentCloudAudit, build
from engine.store.sqlite import open_store
from engine.wallclock import back_from_the_future
from tests.cloudaudit.clients import SECRET_ID, SECRET_KEY, a_key
from tests.cloudaudit.scripted import Asked, Reply, ScriptedApi, a_page, refuses, says

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@contextmanager
def a_source(*replies: Reply, script: Any = None, **options: Any) -> Iterator[tuple[TencentCloudAudit, ScriptedApi]]:
    with ScriptedApi(*replies, script=script) as api, stamina.set_testing(True, attempts=3, cap=True):
        source = TencentCloudAudit("prod", CloudAudit(a_key(), endpoint=api.endpoint, pace=Pace(10_000)), **options)
        try:
            yield source, api
        finally:
            source.close()


def windows(api: ScriptedApi) -> list[tuple[datetime, datetime]]:
    """The distinct windows that were asked for, in order."""
    asked = [(one.parameters["StartTime"], one.parameters["EndTime"]) for one in api.asked]
    return [tuple(datetime.fromtimestamp(edge, UTC) for edge in pair) for pair, _ in itertools.groupby(asked)]  # type: ignore[misc]  # pairs


def test_without_a_cursor_the_last_hour_is_read() -> None:
    with a_source(a_page({"EventId": "1"})) as (source, api):
        (page,) = source.fetch(None, NOW)

    assert windows(api) == [(NOW - HOUR, NOW)]
    assert [record.raw for record in page.records] == [b'{"EventId": "1"}']
    assert page.cursor == Cursor(NOW)


def test_only_the_last_page_of_a_window_moves_the_cursor() -> None:
    with a_source(a_page({"EventId": "1"}, token=9, over=False), a_page(token=9)) as (source, _):
        pages = list(source.fetch(None, NOW))

    assert [page.cursor for page in pages] == [None, Cursor(NOW)]


def test_a_long_span_is_read_in_slices_oldest_first_that_share_their_edges() -> None:
    with a_source(a_page()) as (source, api):
        pages = list(source.fetch(Cursor(NOW - 2 * DAY - HOUR), NOW))

    start = NOW - 2 * DAY - HOUR
    assert windows(api) == [(start, start + DAY), (start + DAY, start + 2 * DAY), (start + 2 * DAY, NOW)]
    assert [page.cursor for page in pages] == [Cursor(start + DAY), Cursor(start + 2 * DAY), Cursor(NOW)]


def test_a_cursor_older_than_the_api_goes_back_is_moved_up_and_said() -> None:
    with structlog.testing.capture_logs() as logs, a_source(a_page(), slices=timedelta(days=1)) as (source, api):
        pages = source.fetch(Cursor(NOW - timedelta(days=120)), NOW)
        next(pages)

    oldest = api.asked[0].parameters["StartTime"]
    assert 0 <= oldest - (time.time() - 90 * 86_400) < 120
    assert [entry["source"] for entry in logs if "90 days" in entry["event"]] == ["prod"]


def test_fractions_of_a_second_are_left_for_the_next_time() -> None:
    until = NOW - HOUR + timedelta(microseconds=999_999)
    with a_source(a_page()) as (source, _):
        (page,) = source.fetch(Cursor(until - timedelta(minutes=5)), until)

    assert page.cursor == Cursor(NOW - HOUR)


def test_a_clock_that_was_put_back_reads_nothing_and_moves_nothing() -> None:
    with a_source(a_page()) as (source, api):
        assert list(source.fetch(Cursor(NOW), NOW - HOUR)) == []

    assert api.asked == []


def test_an_error_in_the_middle_leaves_what_came_before() -> None:
    def script(asked: Asked) -> Reply:
        return refuses("InternalError.SearchError") if "NextToken" in asked.parameters else a_page(token=9, over=False)

    with a_source(script=script) as (source, _):
        pages = source.fetch(None, NOW)
        first = next(pages)
        with pytest.raises(SourceError):
            next(pages)

    assert first.cursor is None


def test_a_key_that_may_not_read_events_is_a_refusal() -> None:
    with a_source(refuses("UnauthorizedOperation.CamNoAuth")) as (source, _), pytest.raises(SourceRefusedError):
        list(source.fetch(None, NOW))


def test_records_say_where_they_were_found() -> None:
    until = datetime(2026, 1, 1, 12, tzinfo=UTC)
    with a_source(a_page({"EventId": "1"}), account="production", now=until.timestamp) as (source, api):
        source.client.clock._wall = until.timestamp
        (page,) = source.fetch(None, until)

    assert page.records[0].place == "prod (production), events until 2026-01-01 12:00:00 UTC, page 1"
    assert api.asked[0].parameters["IsReturnLocation"] == 1


def test_the_page_size_and_the_location_are_settings() -> None:
    with a_source(a_page(), page_size=7, location=False) as (source, api):
        list(source.fetch(None, NOW))

    assert api.asked[0].parameters == {
        "StartTime": int((NOW - HOUR).timestamp()),
        "EndTime": int(NOW.timestamp()),
        "MaxResults": 7,
    }


def test_coverage_is_asked_of_the_account() -> None:
    with a_source(says(Tracks=[], TotalCount=0)) as (source, _):
        assert not source.coverage().covered


@given(
    span=st.integers(0, 89 * 86_400),
    hours=st.integers(1, 24),
    offset=st.integers(0, 86_400),
)
def test_slices_cover_the_span_without_a_gap_and_within_the_apis_limits(span: int, hours: int, offset: int) -> None:
    end = NOW - timedelta(seconds=offset if span + offset < 89 * 86_400 else 0)
    source = TencentCloudAudit("x", CloudAudit(a_key()), slices=timedelta(hours=hours), now=NOW.timestamp)

    slices = list(source._windows(end - timedelta(seconds=span), end))

    assert slices[0][0] == end - timedelta(seconds=span)
    assert slices[-1][1] == end
    assert all(earlier[1] == later[0] for earlier, later in itertools.pairwise(slices))
    assert all(timedelta(0) <= finish - begin <= timedelta(hours=hours) for begin, finish in slices)


# Settings


def test_the_plugin_is_found_by_its_type() -> None:
    assert plugins.source("tencent_cloudaudit") is PLUGIN


def test_a_source_is_built_from_settings_without_asking_anybody(tmp_path: Path) -> None:
    settings = Settings(
        endpoint="http://127.0.0.1:1",
        credentials_file=str(tmp_path / "absent"),
        role_arn="qcs::cam::uin/100000000001:roleName/tocsin",
        external_id="x",
        account="production",
    )
    source: Source = build("prod", settings)
    source.close()

    assert (source.name, source.kind) == ("prod", "tencent.cloudaudit")


def test_a_built_source_reads_with_the_file_that_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(f"[audit]\nsecret_id=id\nsecret_key={SECRET_KEY}\n")
    path.chmod(0o600)
    with ScriptedApi(a_page({"EventId": "1"})) as api:
        source = build("prod", Settings(endpoint=api.endpoint, credentials_file=str(path), profile="audit"))
        pages = list(source.fetch(None, NOW))
        source.close()

    assert len(pages) == 1
    assert "Credential=id/" in api.asked[0].headers["authorization"]


@pytest.mark.parametrize("credentials", ["environment", "default"])
def test_the_environment_is_a_source_of_keys(credentials: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", "env-id")
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", SECRET_KEY)
    monkeypatch.delenv("TENCENTCLOUD_TOKEN", raising=False)
    with ScriptedApi(a_page()) as api:
        source = build("prod", Settings(endpoint=api.endpoint, credentials=credentials))
        list(source.fetch(None, NOW))
        source.close()

    assert "Credential=env-id/" in api.asked[0].headers["authorization"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"regoin": "ap-guangzhou"},
        {"region": "Guangzhou"},
        {"site": "us"},
        {"endpoint": "https://user:pw@host"},
        {"sts_endpoint": "ftp://host"},
        {"credentials": "guess"},
        {"role_arn": "arn:aws:iam::1:role/x"},
        {"role_session_name": "a b"},
        {"proxy": "socks5://host"},
        {"ca_file": "missing.pem"},
        {"page_size": 0},
        {"page_size": 51},
        {"page_size": "50"},
        {"slice_hours": 25},
        {"location": "yes"},
    ],
)
def test_settings_that_are_wrong_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(wrong)


def test_settings_do_not_show_a_proxys_password() -> None:
    assert "canary" not in repr(Settings(proxy="http://user:canary@proxy:3128"))


def test_sources_with_the_same_key_share_what_its_account_allows() -> None:
    one, other = build("one", Settings()), build("other", Settings())
    elsewhere = build("member", Settings(role_arn="qcs::cam::uin/100000000002:roleName/tocsin"))
    assert one.client._api._pace is other.client._api._pace
    assert elsewhere.client._api._pace is not one.client._api._pace
    for source in (one, other, elsewhere):
        source.close()


# --- a clock that is wrong and stays wrong


AHEAD = [-3 * 86_400, -3600, -600, 600, 3600, 3 * 86_400]  # seconds that the cloud's clock is ahead of this machine's


@contextmanager
def another_time(ahead: float) -> Iterator[tuple[TencentCloudAudit, Emulator, Callable[[], float]]]:
    """A source whose machine's clock is right, a cloud whose clock is not, and that one's time."""

    def there() -> float:
        return time.time() + ahead

    settings = emulated.Settings(SECRET_ID, SECRET_KEY, now=there, rate=0, visibility_delay=0.0)
    with Emulator(settings) as cloud:
        source = TencentCloudAudit("prod", CloudAudit(a_key(), endpoint=cloud.endpoint, pace=Pace(10_000)))
        try:
            yield source, cloud, there
        finally:
            source.close()


def happens(cloud: Emulator, event_id: str, at: float) -> None:
    cloud.add([{"eventID": event_id, "eventName": "X", "eventTime": int(at), "userIdentity": {"accountId": "1"}}])


@pytest.mark.parametrize("ahead", AHEAD)
def test_an_event_is_found_by_the_next_poll_whatever_this_machines_clock_says(ahead: int) -> None:
    kind, day = kinds.kind("tencent.cloudaudit", redaction_key=b"k" * 32), timedelta(days=1)
    policy = Policy(RuleSet(()))
    found, back, cursors = [], [], []
    with another_time(ahead) as (source, cloud, there), closing(open_store(":memory:")) as store:
        for number in range(3):
            happens(cloud, f"e-{number}", there() - 3)
            back.append(back_from_the_future(store, "prod", time.time(), span=day, seen=8 * day))
            poll(source, kind, policy, store, clock=time.time, overlap=timedelta(minutes=5))
            found.append(bool(store.seen(f"e-{number}")))
            cursor = store.source_state("prod").cursor
            assert cursor is not None
            cursors.append(cursor.until.timestamp())
        here = time.time()

    assert found == [True, True, True]
    assert back == [0.0, 0.0, 0.0]  # nothing is taken for a cursor of the future, and read again
    assert max(cursors) <= min(here, here + ahead) + 1
    assert min(cursors) > min(here, here + ahead) - 30


def test_a_clock_that_is_off_by_less_than_the_cloud_minds_is_left_alone() -> None:
    with another_time(240) as (source, _, _):
        (page,) = source.fetch(None, NOW)

    assert page.cursor == Cursor(NOW)
