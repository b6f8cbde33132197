"""The card: what every channel shows, in the order in which a woken person needs it."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.alert import Alert
from notifiers.card import Card, card, moment, span
from notifiers.text import length
from tests.notifiers.samples import EVENT, a_login, hostile_alerts, unhurried


def fact(shown: Card, label: str) -> str:
    return next(fact.value for fact in shown.facts if fact.label == label)


def test_the_sentence_says_who_did_what_to_which_account_from_where_and_whether_it_worked() -> None:
    said = card(a_login(), "oncall").said

    assert said == (
        "root called ConsoleLogin in account 100000000001 from 203.0.113.162, result: ok, 2022-08-16 06:43:24 UTC"
    )


def test_the_sentence_leaves_out_what_is_not_known() -> None:
    shown = card(a_login(fields={"norm": {"action": "DeleteTrail"}}), "oncall")

    assert shown.said == "Someone called DeleteTrail in account 100000000001, 2022-08-16 06:43:24 UTC"


def test_an_alert_about_silence_has_no_actor() -> None:
    shown = card(a_login(fields={}, evidence=""), "oncall")

    assert shown.said == "In account 100000000001, 2022-08-16 06:43:24 UTC"
    assert shown.evidence.text == ""


def test_the_badge_is_the_severity_and_says_when_it_is_a_test() -> None:
    assert card(a_login(), "oncall").badge == "CRITICAL"
    assert card(a_login(test=True), "oncall").badge == "CRITICAL (TEST)"


def test_the_footer_tells_a_live_alert_from_one_of_a_backfill() -> None:
    late = card(a_login(created=1660632204 + 3 * 86400), "oncall")

    assert card(a_login(), "oncall").footer == "A-7F3KQ2M4XA | event to alert 75 s | sent via oncall"
    assert "event to alert 3 d" in late.footer


def test_a_story_of_several_events_says_how_many_and_since_when() -> None:
    shown = card(a_login(count=5, first_seen=1660632204 - 724), "oncall")

    assert fact(shown, "Events") == "5 within 12 min, first 2022-08-16 06:31:20 UTC"


def test_a_denied_call_shows_its_error_code() -> None:
    norm = EVENT["norm"] | {"outcome": "denied"}
    shown = card(a_login(fields=EVENT | {"errorCode": "UnauthorizedOperation", "norm": norm}), "oncall")

    assert fact(shown, "Result") == "denied (UnauthorizedOperation)"


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ({"resourceName": "ins-1", "resources": ["qcs::cvm:x"]}, "ins-1"),
        ({"resourceName": "", "resources": ["qcs::cvm:x", "qcs::cvm:y"]}, "qcs::cvm:x, qcs::cvm:y"),
        ({"resources": [{"ARN": "arn:aws:s3:::bucket", "type": "AWS::S3::Bucket"}]}, "arn:aws:s3:::bucket"),
        ({"resources": ["*"], "resourceType": "cam"}, "cam"),
        ({"resources": None}, "-"),
    ],
)
def test_the_target_is_the_best_name_there_is(fields: dict[str, object], target: str) -> None:
    assert fact(card(a_login(fields=fields), "oncall"), "Target") == target


def test_evidence_shows_key_fields_first_and_is_json_when_whole() -> None:
    evidence = card(a_login(), "oncall").evidence

    assert list(json.loads(evidence.text))[:3] == ["eventName", "eventTime", "userIdentity"]
    assert "norm" not in json.loads(evidence.text)
    assert evidence.note == ""


def test_evidence_says_how_many_fields_were_cut() -> None:
    many = {f"field{number:02}": "x" * 190 for number in range(40)}
    evidence = card(a_login(fields=EVENT | many), "oncall").evidence

    assert length(evidence.text) <= 3_000
    assert re.fullmatch(r"cut \d+ of 54 fields", evidence.note)
    assert evidence.text.startswith('{"eventName": "ConsoleLogin"')


def test_one_long_field_does_not_push_out_the_others() -> None:
    evidence = card(a_login(fields=EVENT | {"requestParameters": {"x": "y" * 50_000}}), "oncall").evidence

    assert evidence.note == "shortened 1"
    assert '"eventID"' in evidence.text


def test_without_fields_the_raw_record_is_the_evidence() -> None:
    assert card(a_login(fields={}), "oncall").evidence.text.startswith('{"EventId":')
    assert card(a_login(fields={}, evidence="<not json>"), "oncall").evidence.text == "\\u003cnot json\\u003e"


@pytest.mark.parametrize(
    ("references", "link"),
    [
        (("https://wiki.example.com/x",), "https://wiki.example.com/x"),
        (("MITRE T1078", "http://wiki.example.com/y"), "http://wiki.example.com/y"),
        (("javascript:alert(1)", "https://a b", "https://" + "x" * 3_000, "https://x/\u202e"), ""),
        ((), ""),
    ],
)
def test_only_a_web_address_becomes_a_link(references: tuple[str, ...], link: str) -> None:
    assert card(a_login(references=references), "oncall").link == link


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d")]
)
def test_spans_are_short(seconds: int, text: str) -> None:
    assert span(seconds) == text


def test_a_number_that_is_no_time_is_shown_as_the_number() -> None:
    assert moment(10**18) == "1000000000000000000 (epoch)"


@unhurried
@given(hostile_alerts(), st.text(max_size=10))
def test_no_event_can_break_the_card_hide_in_it_or_forge_a_line(alert: Alert, destination: str) -> None:
    shown = card(alert, destination)
    texts = [shown.title, shown.said, shown.matched, shown.origin, shown.footer, shown.description, *shown.runbook]
    texts += [f"{fact.label}{fact.value}" for fact in shown.facts]

    assert len(shown.facts) <= 6
    assert length(shown.evidence.text) <= 3_000
    for text in [*texts, shown.evidence.text.replace(",\n ", ",")]:
        assert not {unicodedata.category(one) for one in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
