"""`tocsin status`, `doctor`, `route`, `why` and `deliveries`, as a person on call uses them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot

from engine.alert import Fault
from engine.cli import tocsin
from engine.cloudaudit.answers import Storage
from engine.cloudaudit.client import CloudAudit
from engine.cloudaudit.credentials import Credentials, Fixed
from engine.delivery import Delivered, Refused, TryLater
from engine.emulator import Emulator, Settings
from engine.event import Identity
from engine.route import Route
from engine.rule import Severity
from engine.sending import deliver, escalate
from engine.store import Silence, Store, Verdict
from engine.store.sqlite import open_store
from tests.notifiers.fake_http import FakeHttp, FakeSlack, Reply, says
from tests.samples import an_event
from tests.service.parts import Destination, queue

KEY_ID, KEY = "AKIDtestKeyOfTheEmulator0000000000000", "key-of-the-emulator"
RULE = """
id: test.root_key
title: "{norm.actor} made a key"
severity: critical
status: stable
kind: tencent.cloudaudit
description: An access key of root.
match: eventName == 'CreateApiKey' && norm.actor_type == 'root'
"""
LOGIN = {
    "eventName": "CreateApiKey",
    "eventID": "e9",
    "errorCode": "0",
    "userIdentity": {"type": "Root", "userName": "root", "accountId": "100000000001"},
}


@dataclass(frozen=True)
class Desk:
    """A configuration in a folder, and the command line over it."""

    folder: Path

    def configure(self, text: str) -> None:
        rule = self.folder / "rule.yaml"
        rule.write_text(RULE)
        own = f"store: sqlite://{self.folder / 'tocsin.db'}\nrules: [{rule}]\n"
        (self.folder / "tocsin.yaml").write_text(own + text)

    def tocsin(self, *words: str) -> Result:
        config = ["-c", str(self.folder / "tocsin.yaml")]
        return CliRunner().invoke(
            tocsin, [*words, *config], env={"TENCENTCLOUD_SECRET_ID": KEY_ID, "TENCENTCLOUD_SECRET_KEY": KEY}
        )

    def event(self, **fields: Any) -> str:
        path = self.folder / "event.json"
        path.write_text(json.dumps(LOGIN | fields))
        return str(path)

    @property
    def store(self) -> Store:
        return open_store(str(self.folder / "tocsin.db"))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.configure(
        """\
sources: [{name: prod, type: tencent_cloudaudit, endpoint: "http://127.0.0.1:9"}]
notifiers: [{name: terminal, type: console}, {name: other, type: console}]
routes: [{match: "severity == 'critical'", to: [terminal], then: [other]}]
"""
    )
    return made


# --- status


def test_all_is_well_when_everything_was_read_and_told(desk: Desk) -> None:
    store = desk.store
    with store.transaction() as tx:
        tx.polled("prod", time.time(), new_events=3)
    store.close()

    result = desk.tocsin("status")

    assert result.exit_code == 0, result.output
    assert result.output.endswith("all is well\n")


def test_status_says_everything_that_is_wrong_and_exits_with_1(desk: Desk) -> None:
    now, store = time.time(), desk.store
    queue(store, "terminal", at=now)
    deliver(
        Destination([Refused("invalid_auth", permanent=True)]), "terminal", store, clock=lambda: now, chance=lambda: 0
    )
    for number in range(7):
        store.count_failure("away", f"d{number}", now, gap=900)
    store.break_destination("away", "HTTP 503", 0, 60, refuses=False)
    queue(store, "other", at=now, number=2)
    deliver(Destination([Refused("msg_too_long")]), "other", store, clock=lambda: now, chance=lambda: 0)
    with store.transaction() as tx:
        tx.save_faults([Fault("my.rule", Identity("k", "a", "e1"), "no number")], now)
        tx.record([Verdict(Identity("k", "a", "e1"), "r", "excepted")], now, matches=3)
    store.source_failed("prod", "AuthFailure", now)
    store.close()

    result = desk.tocsin("status", "--format", "json")
    wrong = json.loads(result.output)["wrong"]

    assert result.exit_code == 1
    assert [re.sub(r"since 20[^:]+:\d\d:\d\dZ", "since …", line) for line in wrong] == snapshot(
        [
            "destination other: 1 dead or refused in a day, the latest: msg_too_long",
            "destination away takes nothing since 1970-01-01T00:00:00Z: HTTP 503; 7 attempts in a row failed, one delivery is tried at 1970-01-01T00:01:00Z",
            "destination terminal takes nothing since …: invalid_auth; it refuses until it is mended",
            "source prod cannot be read since -: AuthFailure",
            "the ledger does not add up: it is off by 2",
            "rule my.rule broke: no number",
        ]
    )


def test_a_destination_whose_tries_fail_is_not_ok_before_it_counts_as_away(desk: Desk) -> None:
    now, store = time.time(), desk.store
    with store.transaction() as tx:
        tx.polled("prod", now, new_events=3)
    failing = Destination([TryLater("HTTP 500"), TryLater("HTTP 502")])
    for number in range(2):
        queue(store, "terminal", at=now, number=number)
        deliver(failing, "terminal", store, clock=lambda: now, chance=lambda: 0)
    queue(store, "other", at=now, number=3)
    store.close()

    result = desk.tocsin("status")

    assert result.exit_code == 1
    assert re.findall(r"^(?:terminal|other|WRONG).*", result.output, re.MULTILINE) == snapshot(
        [
            "terminal     2        0                2 tries failed of what waits, the latest: HTTP 502",
            "other        1        0                ok",
            "WRONG: destination terminal: 2 tries failed of what waits, the latest: HTTP 502",
        ]
    )


def test_status_forgets_tries_that_failed_once_the_delivery_has_arrived(desk: Desk) -> None:
    now, store = time.time(), desk.store
    with store.transaction() as tx:
        tx.polled("prod", now, new_events=3)
    queue(store, "terminal", at=now - 60)
    mended = Destination([TryLater("HTTP 500"), Delivered("ok")])
    deliver(mended, "terminal", store, clock=lambda: now - 60, chance=lambda: 0)
    deliver(mended, "terminal", store, clock=lambda: now, chance=lambda: 0)
    store.close()

    assert desk.tocsin("status").exit_code == 0


def test_a_source_that_was_last_read_long_ago_asks_whether_the_service_runs(desk: Desk) -> None:
    store = desk.store
    with store.transaction() as tx:
        tx.polled("prod", time.time() - 7200, new_events=0)
    store.close()

    result = desk.tocsin("status")

    assert result.exit_code == 1
    assert "does the service run?" in result.output


# --- why, deliveries


def test_why_shows_that_an_alert_went_on_to_the_next_destination_and_why(desk: Desk) -> None:
    now, store = time.time(), desk.store
    with store.transaction() as tx:
        tx.record([Verdict(Identity("k", "a", "e1"), "r", "alert", "A-1")], now)
    queue(store, "terminal", at=now, severity=Severity.CRITICAL)
    deliver(Destination([Refused("msg_too_long")]), "terminal", store, clock=lambda: now, chance=lambda: 0)
    escalate(store, [Route(("terminal",), then=("other",))], now, patience=timedelta(minutes=5))
    store.close()

    said = desk.tocsin("why", "e1").output
    tree = json.loads(desk.tocsin("why", "e1", "--format", "json").output)

    assert "escalated from A-1-terminal: terminal: refused, msg_too_long; next by route 1" in said
    assert {d["id"]: d["escalated_from"] for d in tree["verdicts"][0]["deliveries"]} == {
        "A-1-terminal": None,
        "A-1-other": "A-1-terminal",
    }


def test_status_and_why_show_an_event_that_said_something_else_when_it_was_read_again(desk: Desk) -> None:
    store, event = desk.store, an_event(event_id="e9")
    with store.transaction() as tx:
        tx.polled("prod", time.time(), new_events=1)
        tx.unseen([event], 1_790_000_000, [1])
        tx.note_changed("prod", [event], time.time(), [2])
    with store.transaction() as tx:
        tx.note_changed("prod", [event], 1_790_000_060, [3])
    store.close()
    said = desk.tocsin("status")
    assert said.exit_code == 1
    assert [line for line in said.output.splitlines() if line.startswith(("WRONG", "changed"))] == snapshot(
        [
            "changed     1 events read again with another body in a day",
            "WRONG: source prod: 1 events were read again with another body in a day, the latest: e9",
        ]
    )
    assert json.loads(desk.tocsin("status", "--format", "json").output)["changed"] == snapshot(
        {"prod": {"count": 1, "latest": "e9"}}
    )
    assert desk.tocsin("why", "e9").output.splitlines()[:2] == snapshot(
        [
            "2026-09-21T14:13:20Z  seen: tencent.cloudaudit, account 100000000001",
            "2026-09-21T14:14:20Z  read again with another body (source prod, account 100000000001): not looked at, rules saw the first",
        ]
    )
    (first, _) = json.loads(desk.tocsin("why", "e9", "--format", "json").output)["changed"]
    assert first == snapshot(
        {"kind": "tencent.cloudaudit", "account": "100000000001", "source": "prod", "at": 1790000060.0}
    )


def test_deliveries_retry_sends_a_refused_delivery_again(desk: Desk) -> None:
    now, store = time.time(), desk.store
    delivery = queue(store, "terminal", at=now)
    deliver(Destination([Refused("msg_too_long")]), "terminal", store, clock=lambda: now, chance=lambda: 0)
    store.close()

    result = desk.tocsin("deliveries", "retry", delivery)

    store = desk.store
    claimed = store.claim("terminal", time.time() + 1, 60)
    store.close()
    assert result.exit_code == 0
    assert claimed is not None


# --- route


def test_route_says_rules_alert_route_and_the_next_destinations(desk: Desk) -> None:
    result = desk.tocsin("route", "--event", desk.event(), "--no-message")

    assert result.exit_code == 0
    assert result.output == snapshot("""\
CreateApiKey e9 (tencent.cloudaudit)
  test.root_key: critical: root made a key
    to terminal by route 1: severity == 'critical'; if it does not arrive: other
""")


def test_route_shows_the_message_for_each_destination(desk: Desk) -> None:
    result = desk.tocsin("route", "--event", desk.event(), "--format", "json")

    (match,) = json.loads(result.output)["matches"]
    assert [d["name"] for d in match["destinations"]] == ["terminal"]
    assert "root made a key" in match["destinations"][0]["message"]


def test_an_event_that_nobody_would_hear_of_exits_with_1_and_says_why(desk: Desk) -> None:
    ordinary = desk.tocsin("route", "--event", desk.event(eventName="DescribeInstances"))
    store = desk.store
    now = time.time()
    store.add_silence(Silence("S-1", "rule_id == 'test.root_key'", "me", "known", now - 1, now + 60))
    store.close()
    silenced = desk.tocsin("route", "--event", desk.event())

    assert (ordinary.exit_code, silenced.exit_code) == (1, 1)
    assert "meets no rule: nobody is told" in ordinary.output
    assert "silenced by S-1: nobody is told" in silenced.output


def test_an_event_without_a_time_is_taken_to_happen_now(desk: Desk) -> None:
    result = desk.tocsin("route", "--event", desk.event())

    assert "1970" not in result.output
    assert "event to alert 0 s" in result.output


@pytest.mark.parametrize("text", ["[1]", "{oops", ""])
def test_route_ends_with_2_for_a_file_without_an_event(desk: Desk, text: str) -> None:
    (desk.folder / "none.json").write_text(text)

    result = desk.tocsin("route", "--event", str(desk.folder / "none.json"))

    assert result.exit_code == 2
    assert "--event" in result.output


def test_route_ends_with_74_for_a_file_that_cannot_be_read(desk: Desk) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "engine.cli",
            "route",
            "-c",
            str(desk.folder / "tocsin.yaml"),
            "--event",
            "nowhere.json",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stderr) == (74, "tocsin: nowhere.json: No such file or directory\n")


def test_route_leaves_no_trace(desk: Desk) -> None:
    desk.tocsin("route", "--event", desk.event())

    assert not (desk.folder / "tocsin.db").exists()


# --- doctor


@pytest.fixture
def cloud() -> Iterator[Emulator]:
    with Emulator(Settings(KEY_ID, KEY, account="100000000001", rate=0)) as running:
        yield running


def doctor(desk: Desk) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """The exit code, and what was found: about -> (result, sentence)."""
    result = desk.tocsin("doctor", "--format", "json")
    found: dict[str, list[tuple[str, str]]] = {}
    for line in result.output.splitlines():
        one = json.loads(line)
        found.setdefault(one["about"], []).append((one["result"], one["what"]))
    return result.exit_code, found


def test_a_healthy_house_passes(desk: Desk, cloud: Emulator) -> None:
    client = CloudAudit(Fixed(Credentials(KEY_ID, KEY)), endpoint=cloud.endpoint)
    place = Storage(storage_type="cos", storage_region="ap-guangzhou", storage_name="audit", storage_prefix="all")
    client.create_audit_track(
        name="everything", action_type="*", resource_type="*", event_names=["*"], status=True, storage=place
    )
    client.close()
    with FakeSlack() as fake:
        answer = says(ok=True, user="tocsin")
        scopes = {**answer.headers, "X-OAuth-Scopes": "chat:write,channels:history,channels:read"}
        fake.fail("auth.test", Reply(200, answer.body, scopes))
        fake.fail("conversations.info", says(ok=True, channel={"id": "C0123456789", "is_member": True}))
        desk.configure(house(desk, cloud, fake))

        code, found = doctor(desk)

    assert code == 0, found
    assert [result for result, _ in found["source prod"]] == ["ok", "ok", "ok"]
    assert [sentence for _, sentence in found["destination oncall"]] == snapshot(
        ["the token is good (app tocsin)", "the token may post (chat:write)", "the app is in the channel"]
    )
    assert fake.messages == []


@pytest.mark.parametrize(
    ("scopes", "channel", "said"),
    [
        ("channels:read", says(ok=True, channel={"is_member": True}), "the token may not post"),
        ("chat:write", says(ok=True, channel={"is_member": False}), "the app is not in the channel"),
        ("chat:write", says(ok=True, channel={"is_member": True, "is_archived": True}), "the channel is archived"),
        ("chat:write", says(ok=False, error="channel_not_found"), "the channel cannot be used: channel_not_found"),
    ],
)
def test_what_is_wrong_with_a_slack_app_is_named(
    desk: Desk, cloud: Emulator, scopes: str, channel: Reply, said: str
) -> None:
    with FakeSlack() as fake:
        fake.fail("auth.test", Reply(200, says(ok=True, user="tocsin").body, {"X-OAuth-Scopes": scopes}))
        fake.fail("conversations.info", channel)
        desk.configure(house(desk, cloud, fake))

        code, found = doctor(desk)

    assert code == 1
    assert any(result == "failed" and sentence.startswith(said) for result, sentence in found["destination oncall"])


def test_a_revoked_token_and_a_wrong_key_are_named(desk: Desk) -> None:
    other = Settings("AKIDanotherKeyOfSomebodyElse00000000", "another-key", account="100000000001", rate=0)
    with Emulator(other) as cloud, FakeSlack() as fake:
        fake.fail("auth.test", says(ok=False, error="token_revoked"))
        desk.configure(house(desk, cloud, fake))

        code, found = doctor(desk)

    assert code == 1
    assert "token_revoked" in found["destination oncall"][0][1]
    assert "AuthFailure" in found["source prod"][0][1]
    assert KEY not in str(found)


def test_an_account_that_is_not_tracked_fails_and_says_so(desk: Desk, cloud: Emulator) -> None:
    desk.configure(
        f'sources: [{{name: prod, type: tencent_cloudaudit, endpoint: "{cloud.endpoint}"}}]\n'
        "notifiers: [{name: terminal, type: console}]\nroutes: [{to: [terminal]}]\n"
    )

    code, found = doctor(desk)

    assert code == 1
    assert ("failed", "there is no tracking set: events are kept nowhere but in CloudAudit, for 90 days") in found[
        "source prod"
    ]


def test_a_webhook_is_reached_without_telling_it_anything(desk: Desk, cloud: Emulator) -> None:
    with FakeHttp(Reply(405)) as receiver:
        desk.configure(
            "notifiers:\n"
            f'  - {{name: hook, type: webhook, url: "{receiver.url}/x", unsigned: true, allow_http: true,'
            " allow_hosts: [127.0.0.1]}\n"
            "routes: [{to: [hook]}]\n"
        )

        _, found = doctor(desk)

    assert found["destination hook"][0] == ("ok", "somebody answers there (HTTP 501 to HEAD)")
    assert receiver.received == []


def test_a_broken_configuration_is_what_the_doctor_finds(desk: Desk) -> None:
    desk.configure("routes: [{to: [nobody]}]\n")

    code, found = doctor(desk)

    assert code == 1
    assert "no notifier is called 'nobody'" in found["configuration"][0][1]


def house(desk: Desk, cloud: Emulator, fake: FakeSlack) -> str:
    (desk.folder / "token").write_text("xoxb-1-test")
    return f"""\
sources: [{{name: prod, type: tencent_cloudaudit, endpoint: "{cloud.endpoint}"}}]
notifiers:
  - name: oncall
    type: slack
    token: {{file: "{desk.folder / "token"}"}}
    channel: C0123456789
    base_url: "{fake.base_url}"
    allow_http: true
    allow_hosts: [127.0.0.1]
routes: [{{to: [oncall]}}]
"""


def test_what_to_do_about_a_destination_that_takes_nothing_is_said_by_its_own_check(
    desk: Desk, cloud: Emulator
) -> None:
    with FakeSlack() as fake:
        fake.fail("auth.test", says(ok=False, error="token_revoked"))
        desk.configure(house(desk, cloud, fake))
        store = desk.store
        store.break_destination("oncall", "token_revoked", 0, 60)
        store.break_destination("gone", "HTTP 410", 0, 60)
        store.close()

        lines = [json.loads(line) for line in desk.tocsin("doctor", "--format", "json").output.splitlines()]

    own = next(line for line in lines if line["about"] == "destination oncall")
    broken = {line["about"]: line for line in lines if line["what"].startswith("it takes nothing: ")}
    assert own["to_do"]
    assert broken["destination oncall"]["to_do"] == own["to_do"]
    assert "not configured any more" in broken["destination gone"]["to_do"]
