"""
What Tocsin says about itself: the built-in rules of the watch over the watchman, and their alerts.

A meta-alert is an alert like any other, of the kind "tocsin.meta": it has a story, is told at most once an hour, lies
in the same tables and leaves by the same outbox. It is about one thing (a source, a destination, a rule): its group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from engine.alert import Alert, alert_id, fingerprint
from engine.event import Identity
from engine.rule import Severity

KIND: Final = "tocsin.meta"
QUIET: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class MetaRule:
    """One built-in rule: what is wrong, how bad that is, and what to do. *blocks*: events may go unheard meanwhile."""

    name: str
    severity: Severity
    title: str  # {about} is the thing that it is about
    runbook: str
    blocks: bool = False

    @property
    def id(self) -> str:
        return f"tocsin.meta.{self.name}"


_RULES: Final = (
    MetaRule(
        "source_silent",
        Severity.HIGH,
        "Source {about} gives no events",
        "Is the account really idle? Look with `tocsin events fetch {about}` and in the cloud's console; check the"
        " region and the key of the source with `tocsin doctor`.",
    ),
    MetaRule(
        "source_failing",
        Severity.HIGH,
        "Source {about} cannot be read",
        "`tocsin doctor` says what is wrong with the key, its permissions, the clock or the network. Nothing is lost"
        " for 90 days: reading goes on where it stopped.",
        blocks=True,
    ),
    MetaRule(
        "rule_fault",
        Severity.MEDIUM,
        "Rule {about} breaks on events",
        "`tocsin events faults` names the events; `tocsin explain {about} EVENT` shows the part that breaks.",
    ),
    MetaRule(
        "quarantine_growth",
        Severity.MEDIUM,
        "Records of source {about} cannot be decoded",
        "`tocsin events quarantine` shows them with the reason. They were not looked at by rules.",
    ),
    MetaRule(
        "stalled",
        Severity.CRITICAL,
        "Tocsin stood still and was started again",
        "Reading went on where it stopped. If it comes again, keep the log and tell the authors.",
        blocks=True,
    ),
    MetaRule(
        "destination_refuses",
        Severity.HIGH,
        "Destination {about} takes no messages",
        "Mend the destination's settings (`tocsin doctor` checks them); what waits for it is sent then, by itself or at"
        " once with `tocsin deliveries retry`.",
        blocks=True,
    ),
    MetaRule(
        "clock_step",
        Severity.MEDIUM,
        "The clock of {about} was set",
        "Is time synchronised (chrony, systemd-timesyncd)? Requests are refused when the clock is five minutes off.",
    ),
    MetaRule(
        "disk_full",
        Severity.CRITICAL,
        "No space is left for the store {about}",
        "Make space. Reading is paused and goes on by itself; nothing that was stored is lost.",
        blocks=True,
    ),
    MetaRule(
        "store_replaced",
        Severity.CRITICAL,
        "The store {about} was damaged and put aside",
        "A new store was begun and the last hours are read again: alerts of that time may come twice, silences are"
        " gone. Look for faults of the disk; restore silences by hand.",
    ),
    MetaRule(
        "ledger_imbalance",
        Severity.CRITICAL,
        "The ledger of {about} does not add up",
        "A match has no outcome, or an alert no delivery. Keep the store and the log and tell the authors;"
        " `tocsin status` shows the figures.",
        blocks=True,
    ),
    MetaRule(
        "canary_missing",
        Severity.CRITICAL,
        "The canary did not reach {about}",
        "The test event that goes the whole way did not arrive: look at `tocsin status` and at the log.",
        blocks=True,
    ),
    MetaRule(
        "not_tracked",
        Severity.HIGH,
        "Write events of source {about} are not tracked",
        "`tocsin tracks list` shows the tracking sets, `tocsin tracks create` makes one that keeps every write event.",
    ),
    MetaRule(
        "exception_hides_new",
        Severity.MEDIUM,
        "An exception hides something of a new kind: {about}",
        "Is it still what the exception was written for? `tocsin rules exceptions` shows what it hid; narrow it, or"
        " accept what is new with `tocsin rules exceptions --accept KEY`.",
    ),
    MetaRule(
        "delivery_dead",
        Severity.HIGH,
        "Alerts did not reach destination {about}",
        "`tocsin deliveries list --state dead --state refused` shows them, `tocsin deliveries retry` sends again.",
    ),
)
RULES: Final[Mapping[str, MetaRule]] = {rule.name: rule for rule in _RULES}


def meta_alert(rule: MetaRule, about: str, detail: str, now: float) -> Alert:
    """The alert that *rule* raises about *about* at *now* (epoch seconds); *detail* is one sentence."""
    group = {"about": about}
    mark = fingerprint(rule.id, KIND, group)
    moment = int(now)
    # Each telling is an event of its own: what makes two of them one story is the group.
    event = Identity(KIND, "", f"{rule.name}:{about}:{moment}")
    return Alert(
        id=alert_id(mark, event),
        rule_id=rule.id,
        rule_version="builtin",
        severity=rule.severity,
        title=rule.title.replace("{about}", about),
        kind=KIND,
        account="",
        group=group,
        fingerprint=mark,
        first_seen=moment,
        last_seen=moment,
        count=1,
        event_ids=(event.event_id,),
        created=moment,
        description=detail,
        matched=detail,
        runbook=rule.runbook.replace("{about}", about),
    )


def meta_destinations(names: Sequence[str], about: str) -> tuple[str, ...]:
    """Who hears of it: *names* without the destination that it is about, unless there is no other."""
    return tuple(name for name in names if name != about) or tuple(names)
