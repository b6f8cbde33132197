"""Have we said this already?"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from engine.alert import EVENT_IDS_KEPT
from engine.dedup import Reason, Told, decide, merged
from engine.rule import Severity
from tests.samples import an_alert

HOUR = timedelta(hours=1)


def test_what_was_never_told_is_told() -> None:
    alert = an_alert()
    assert decide(alert, None, None, HOUR, 1000) == (alert, Reason.FIRST)


def test_within_the_quiet_period_a_story_grows_and_is_not_told_again() -> None:
    first = an_alert(id="A-1", event_ids=("e1",), first_seen=100, last_seen=100)
    later = an_alert(id="A-2", event_ids=("e2",), first_seen=90, last_seen=90)

    alert, reason = decide(later, Told("A-1", Severity.HIGH, 1000), first, HOUR, 1000 + 3599)

    assert reason is Reason.MERGED
    assert not reason.tells
    assert (alert.id, alert.count, alert.event_ids) == ("A-1", 2, ("e1", "e2"))
    assert (alert.first_seen, alert.last_seen) == (90, 100)


def test_after_the_quiet_period_it_is_told_again() -> None:
    later = an_alert(id="A-2")
    assert decide(later, Told("A-1", Severity.HIGH, 1000), an_alert(id="A-1"), HOUR, 1000 + 3600) == (
        later,
        Reason.QUIET_OVER,
    )


def test_a_rise_in_severity_breaks_the_silence_and_a_fall_does_not() -> None:
    told, first = Told("A-1", Severity.MEDIUM, 1000), an_alert(id="A-1")
    assert decide(an_alert(id="A-2", severity=Severity.HIGH), told, first, HOUR, 1001)[1] is Reason.SEVERITY_ROSE
    assert decide(an_alert(id="A-2", severity=Severity.LOW), told, first, HOUR, 1001)[1] is Reason.MERGED


def test_the_same_alert_is_never_told_twice_however_late() -> None:
    first = an_alert(id="A-1")
    assert decide(first, Told("A-1", Severity.HIGH, 0), first, HOUR, 1e9) == (first, Reason.MERGED)


def test_a_story_keeps_its_first_events_and_counts_them_all() -> None:
    story = an_alert(event_ids=tuple(f"e{n}" for n in range(EVENT_IDS_KEPT)), count=EVENT_IDS_KEPT)
    grown = merged(story, replace(an_alert(), event_ids=("one more",)))
    assert (grown.count, grown.event_ids) == (EVENT_IDS_KEPT + 1, story.event_ids)
