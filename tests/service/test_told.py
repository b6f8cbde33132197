"""What people see of a meta-alert: what is wrong, about what, and what to do."""

from __future__ import annotations

from inline_snapshot import snapshot

from engine.delivery import Delivery
from engine.meta import RULES, meta_alert
from notifiers import console
from notifiers.card import card


def test_a_meta_alert_says_what_is_wrong_and_what_to_do() -> None:
    alert = meta_alert(RULES["destination_refuses"], "oncall", "invalid_auth: the token is wrong", 1_790_000_000.0)

    assert console.build("c", console.Settings(width=90)).preview(Delivery("x", alert, "hook")) == snapshot("""\
 HIGH   Destination oncall takes no messages
 invalid_auth: the token is wrong, 2026-09-21 14:13:20 UTC
 About   oncall
 Events  1, at 2026-09-21 14:13:20 UTC
 Why     invalid_auth: the token is wrong
 Rule    tocsin.meta.destination_refuses vbuiltin
 Check   Mend the destination's settings (`tocsin doctor` checks them); what waits for it
         is sent then, by itself or at once with `tocsin deliveries retry`.
 A-WCDI5OORJR | event to alert 0 s | sent via hook
""")


def test_every_meta_alert_can_be_shown() -> None:
    for rule in RULES.values():
        shown = card(meta_alert(rule, "prod", "the reason", 1_790_000_000.0), "hook")
        assert shown.said == "the reason, 2026-09-21 14:13:20 UTC"
        assert shown.runbook
