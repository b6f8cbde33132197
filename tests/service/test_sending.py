"""Claim, deliver, record, escalate: over a real store, with a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from engine.delivery import Delivered, Refused, TryLater
from engine.errors import Place
from engine.expression import parse
from engine.route import Route
from engine.rule import Severity
from engine.sending import deliver, escalate
from engine.store import Store
from engine.store.sqlite import open_store
from notifiers import slack
from tests.notifiers.fake_http import FakeSlack, Reply
from tests.service.parts import NOW, Clock, Destination, queue

PATIENCE = timedelta(minutes=5)
BROKEN = Refused("invalid_auth", permanent=True)


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store(":memory:")
    yield opened
    opened.close()


def send(store: Store, clock: Clock, notifier: Destination, name: str = "oncall") -> str | None:
    """The state in which one attempt left its delivery; None when nothing was due."""
    done = deliver(notifier, name, store, clock=clock, chance=lambda: 0.5)
    return done[2] if done else None


def test_what_waits_for_a_broken_destination_is_not_burnt(store: Store) -> None:
    clock, broken = Clock(), Destination([BROKEN])
    for number in range(3):
        queue(store, "oncall", number=number)

    states = [send(store, clock, broken) for _ in range(3)]

    assert states == ["retry", None, None]
    assert sorted(d.state for d in store.deliveries()) == ["queued", "queued", "retry"]
    assert [b.reason for b in store.breakers()] == ["invalid_auth"]


def test_a_broken_destination_is_probed_once_a_minute(store: Store) -> None:
    clock, broken = Clock(), Destination([BROKEN])
    for number in range(3):
        queue(store, "oncall", number=number)

    for _ in range(300):
        send(store, clock, broken)
        clock.advance(1)

    assert len(broken.sent) == 5


def test_one_success_mends_a_broken_destination_and_everything_goes_out(store: Store) -> None:
    clock, mended = Clock(), Destination([BROKEN, Delivered("ok")])
    for number in range(3):
        queue(store, "oncall", number=number)
    send(store, clock, mended)
    clock.advance(60)

    states = [send(store, clock, mended) for _ in range(4)]

    assert states == ["delivered", "delivered", "delivered", None]
    assert store.breakers() == []


def test_a_message_that_is_refused_for_its_form_shows_that_the_destination_is_there(store: Store) -> None:
    clock, destination = Clock(), Destination([BROKEN, Refused("msg_too_long")])
    queue(store, "oncall")
    queue(store, "oncall", number=2)
    send(store, clock, destination)
    clock.advance(60)

    assert send(store, clock, destination) == "refused"
    assert store.breakers() == []


def test_a_retry_by_hand_does_not_wait_for_the_next_probe(store: Store) -> None:
    clock, mended = Clock(), Destination([BROKEN, Delivered("ok")])
    delivery = queue(store, "oncall")
    send(store, clock, mended)
    clock.advance(1)

    assert store.requeue(delivery, clock())
    assert send(store, clock, mended) == "delivered"


def test_what_waited_a_day_for_a_broken_destination_is_dead_when_it_is_probed(store: Store) -> None:
    clock = Clock()
    queue(store, "oncall")
    clock.advance(86_400)

    assert send(store, clock, Destination([BROKEN])) == "dead"


def test_another_destination_does_not_wait_for_the_broken_one(store: Store) -> None:
    clock, whole = Clock(), Destination()
    queue(store, "oncall")
    queue(store, "hook", number=2)
    send(store, clock, Destination([BROKEN]))

    assert send(store, clock, whole, "hook") == "delivered"


@pytest.mark.parametrize("outcome", [Refused("msg_too_long"), BROKEN])
def test_a_refused_critical_alert_goes_to_the_next_destination_at_once(store: Store, outcome: Refused) -> None:
    clock = Clock()
    first = queue(store, "oncall", severity=Severity.CRITICAL)
    send(store, clock, Destination([outcome]))

    gone_on = escalate(store, [Route(("oncall",), then=("phone", "hook"))], clock(), patience=PATIENCE)

    assert [(failed.id, name) for failed, name in gone_on] == [(first, "phone")]
    second = store.find_delivery("A-1-phone")
    assert second is not None
    assert (second.state, second.escalated_from, second.due) == ("queued", first, NOW)
    assert outcome.reason in second.cause
    assert "route 1" in second.cause


def test_a_critical_alert_that_lies_too_long_goes_on_while_it_is_still_tried(store: Store) -> None:
    clock, routes = Clock(), [Route(("oncall",), then=("phone",))]
    queue(store, "oncall", severity=Severity.CRITICAL)
    send(store, clock, Destination([TryLater("no connection")]))
    clock.advance(299)
    early = escalate(store, routes, clock(), patience=PATIENCE)
    clock.advance(1)

    late = escalate(store, routes, clock(), patience=PATIENCE)

    assert early == []
    assert [name for _, name in late] == ["phone"]
    assert {d.destination: d.state for d in store.deliveries()} == {"oncall": "retry", "phone": "queued"}


def test_an_alert_is_escalated_once_from_each_destination_and_then_further_on(store: Store) -> None:
    clock, routes = Clock(), [Route(("oncall",), then=("phone", "hook"))]
    queue(store, "oncall", severity=Severity.CRITICAL)
    refusing = Destination([Refused("no")])
    told = []
    for name in ("oncall", "phone", "hook"):
        send(store, clock, refusing, name)
        told.append([to for _ in range(3) for _, to in escalate(store, routes, clock(), patience=PATIENCE)])

    assert told == [["phone"], ["hook"], []]


def test_what_is_not_critical_stays_where_it_is(store: Store) -> None:
    clock = Clock()
    queue(store, "oncall", severity=Severity.HIGH)
    send(store, clock, Destination([Refused("no")]))

    assert escalate(store, [Route(("oncall",), then=("phone",))], clock(), patience=PATIENCE) == []


def test_a_destination_that_has_the_alert_already_is_not_told_again(store: Store) -> None:
    clock = Clock()
    queue(store, "oncall", severity=Severity.CRITICAL)
    queue(store, "hook", severity=Severity.CRITICAL)
    send(store, clock, Destination([Refused("no")]))

    gone_on = escalate(store, [Route(("oncall", "hook"), then=("hook", "phone"))], clock(), patience=PATIENCE)

    assert [name for _, name in gone_on] == ["phone"]


def test_only_the_routes_that_took_the_alert_say_who_is_next(store: Store) -> None:
    clock = Clock()
    queue(store, "oncall", severity=Severity.CRITICAL)
    send(store, clock, Destination([Refused("no")]))
    low = parse("severity == 'low'", place=Place("test"), lists={})
    routes = [Route(("oncall",), low, then=("wrong",)), Route(("oncall",), then=("right",))]

    assert [name for _, name in escalate(store, routes, clock(), patience=PATIENCE)] == ["right"]


def a_bot(fake: FakeSlack) -> slack.Bot | slack.Webhook:
    settings: dict[str, Any] = {"token": "xoxb-test-token", "channel": "C0123456789", "base_url": fake.base_url}
    return slack.build("oncall", slack.Settings(**settings, allow_http=True, allow_hosts=["127.0.0.1"]))


def test_an_ambiguous_slack_send_is_looked_up_before_it_is_repeated(store: Store) -> None:
    clock = Clock()
    queue(store, "oncall")
    with FakeSlack() as fake:
        bot = a_bot(fake)
        fake.posted_but(Reply(hang_up=True))
        first = deliver(bot, "oncall", store, clock=clock, chance=lambda: 0.5)
        clock.advance(60)
        second = deliver(bot, "oncall", store, clock=clock, chance=lambda: 0.5)
        bot.close()

        assert [done[2] for done in (first, second) if done] == ["ambiguous", "delivered"]
        assert len(fake.parents()) == 1
        assert len(fake.calls("conversations.history")) == 1


def test_a_slack_send_that_was_cut_off_by_the_end_of_the_process_is_looked_up_too(store: Store) -> None:
    clock = Clock()
    queue(store, "oncall")
    with FakeSlack() as fake:
        bot = a_bot(fake)
        claimed = store.claim("oncall", clock(), 120)
        assert claimed is not None
        bot.send(claimed)  # and the process dies before it can record it
        store.release(clock())
        done = deliver(bot, "oncall", store, clock=clock, chance=lambda: 0.5)
        bot.close()

        assert done is not None
        assert done[2] == "delivered"
        assert len(fake.parents()) == 1


# --- destinations that are away


AWAY = TryLater("HTTP 503")


def send_for(store: Store, clock: Clock, notifier: Destination, seconds: int, *, step: float = 0.5) -> list[float]:
    """Everything that is due, for so long; the moments at which something was tried, as seconds from the beginning."""
    began, tried = clock(), []
    while clock() - began < seconds:
        while send(store, clock, notifier):
            tried.append(clock() - began)
        clock.advance(step)
    return tried


def test_a_destination_that_is_away_is_tried_by_one_delivery_at_a_time_however_many_wait(store: Store) -> None:
    clock, away = Clock(), Destination([AWAY])
    for number in range(100):
        queue(store, "oncall", number=number)

    tried = send_for(store, clock, away, 6 * 3600, step=5)

    assert len(tried) < 120
    assert {one.state for one in store.deliveries(limit=200)} <= {"queued", "retry"}


def test_a_destination_that_is_away_is_tried_at_the_pace_of_the_retries_of_one_delivery(store: Store) -> None:
    clock, away = Clock(), Destination([AWAY])
    for number in range(5):
        queue(store, "oncall", number=number)

    tried = send_for(store, clock, away, 1000, step=0.25)

    # chance is 0.5: three quarters of 1, 2, 5, 10, 30, 60 and then 300 seconds
    assert tried == [0, 0, 0, 0, 0, 0.75, 2.25, 6.0, 13.5, 36.0, 81.0, 306.0, 531.0, 756.0, 981.0]


def test_the_first_success_after_it_was_away_sends_everything_at_once(store: Store) -> None:
    clock = Clock()
    for number in range(20):
        queue(store, "oncall", number=number)
    send_for(store, clock, Destination([AWAY]), 3600, step=5)
    queue(store, "oncall", number=20, at=clock())

    tried = send_for(store, clock, Destination(), 301)

    assert len(tried) == 21
    assert set(tried) == {tried[0]}
    assert {one.state for one in store.deliveries()} == {"delivered"}
    assert store.breakers() == []


def test_one_delivery_that_fails_again_and_again_says_nothing_about_its_destination(store: Store) -> None:
    clock, spoilt = Clock(), Destination([AWAY])
    queue(store, "oncall")
    send_for(store, clock, spoilt, 3600, step=5)
    queue(store, "oncall", number=2, at=clock())

    assert store.breakers() == []
    assert send(store, clock, Destination()) == "delivered"


def test_attempts_that_fail_between_others_that_arrive_break_nothing(store: Store) -> None:
    clock, shaky = Clock(), Destination([AWAY, AWAY, AWAY, AWAY, Delivered()] * 20)
    for number in range(100):
        queue(store, "oncall", number=number)

    tried = send_for(store, clock, shaky, 1)

    assert len(tried) >= 100
    assert store.breakers() == []


def test_a_destination_that_asks_for_patience_is_not_probed_before(store: Store) -> None:
    clock, away = Clock(), Destination([TryLater("HTTP 503", after=timedelta(seconds=120))])
    for number in range(8):
        queue(store, "oncall", number=number)

    tried = send_for(store, clock, away, 300)

    assert tried == [0, 0, 0, 0, 0, 120, 240]


def test_a_destination_that_names_its_limit_is_not_away(store: Store) -> None:
    clock, busy = Clock(), Destination([TryLater("HTTP 429", after=timedelta(seconds=30), limited=True)])
    for number in range(8):
        queue(store, "oncall", number=number)

    tried = send_for(store, clock, busy, 35)

    assert tried == [0] * 8 + [30] * 8
    assert store.breakers() == []


def test_what_waited_a_day_for_a_destination_that_is_away_is_dead_tried_or_not(store: Store) -> None:
    clock, away = Clock(), Destination([AWAY])
    for number in range(300):
        queue(store, "oncall", number=number)
    send_for(store, clock, away, 86_400 - 3600, step=30)
    queue(store, "oncall", number=300, at=clock())
    send_for(store, clock, away, 3600 + 400, step=30)

    states = {one.id: one.state for one in store.deliveries(limit=400)}
    young = states.pop("A-300-oncall")
    assert set(states.values()) == {"dead"}
    assert young in {"queued", "retry"}


def test_what_waited_a_day_because_nobody_ran_gets_its_fair_share_of_attempts(store: Store) -> None:
    clock, away = Clock(), Destination([AWAY])
    for number in range(10):
        queue(store, "oncall", number=number)
    send_for(store, clock, away, 6 * 3600, step=5)
    clock.advance(86_400)
    store.release(clock())

    tried = send_for(store, clock, away, 3600, step=5)

    assert {one.state for one in store.deliveries()} <= {"queued", "retry"}
    assert len(tried) > 15


def test_a_critical_alert_is_not_escalated_sooner_nor_later_for_a_destination_that_is_away(store: Store) -> None:
    clock, away, routes = Clock(), Destination([AWAY]), [Route(("oncall",), then=("phone",))]
    for number in range(8):
        queue(store, "oncall", number=number, severity=Severity.CRITICAL)
    send_for(store, clock, away, 299)
    early = escalate(store, routes, clock(), patience=PATIENCE)
    clock.advance(1)

    late = escalate(store, routes, clock(), patience=PATIENCE)

    assert early == []
    assert [name for _, name in late] == ["phone"] * 8


def test_another_destination_does_not_wait_for_the_one_that_is_away(store: Store) -> None:
    clock = Clock()
    for number in range(8):
        queue(store, "oncall", number=number)
    send_for(store, clock, Destination([AWAY]), 10)
    queue(store, "hook", number=9, at=clock())

    assert [one.destination for one in store.breakers()] == ["oncall"]
    assert send(store, clock, Destination(), "hook") == "delivered"
