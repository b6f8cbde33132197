"""
The card: what every channel shows of an alert, in the order in which a woken person needs it.

First how bad, what happened, who did it, to which account, whether it worked, when. Then why we think so. Then the
evidence and what to check. Channels differ in form only. All texts here are visible one-liners (see `text.visible`)
but not yet escaped for any channel.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from engine.alert import Alert
from engine.rule import Severity
from notifiers.text import CUT, inert, inert_json, length, readable_json, visible

TITLE = 250
VALUE = 200
MATCHED = 1_500
EVIDENCE = 3_000
EVIDENCE_VALUE = 400
RUNBOOK = 2_000
DESCRIPTION = 600
SEPARATOR = ",\n "  # between the fields of the evidence

# What the first look at an event asks for, under the names of the kinds that we read; the rest follows by name.
KEY_FIELDS = (
    "eventName", "eventTime", "userIdentity", "sourceIPAddress", "errorCode", "errorMessage", "requestParameters",
    "resourceName", "resourceType", "resources", "eventSource", "eventRegion", "awsRegion", "actionType", "readOnly",
    "eventType", "sensitiveAction", "mfa", "Location", "eventID", "requestID", "responseElements",
)  # fmt: skip
# Long, and seldom what decides: last.
LAST_FIELDS = ("userAgent", "sessionContext", "tags", "@timestamp", "updateEsTime")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the sentence: our own words (`prose`), or a value from the event."""

    text: str
    role: Literal["prose", "who", "value"] = "prose"


@dataclass(frozen=True, slots=True)
class Fact:
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The redacted event, a field a line, as inert JSON text; *note* says what is missing, "" when nothing is."""

    text: str
    note: str


OWN = "tocsin.meta"  # what Tocsin says about itself: no event, no actor


REASON = 200  # characters of one deciding part


@dataclass(frozen=True, slots=True)
class Card:
    """One alert for people. *when* and the times in the facts are UTC; *when* is epoch seconds of the last event."""

    severity: Severity
    test: bool
    title: str
    sentence: tuple[Part, ...]  # ends before the time
    when: int
    facts: tuple[Fact, ...]  # at most six
    matched: str
    reasons: tuple[str, ...]  # the parts of the condition that decided, with the values that they saw
    notes: tuple[str, ...]
    rule: str
    techniques: tuple[str, ...]
    description: str
    evidence: Evidence
    runbook: tuple[str, ...]
    link: str  # http(s) address from the rule's references, or ""
    alert_id: str
    latency: str
    destination: str

    @property
    def badge(self) -> str:
        """The first word: the severity, and whether a person is only trying the bell."""
        return self.severity.word.upper() + (" (TEST)" if self.test else "")

    @property
    def said(self) -> str:
        """The sentence as plain text, with its time."""
        return f"{''.join(part.text for part in self.sentence)}, {moment(self.when)}"

    @property
    def footer(self) -> str:
        """Which alert this is and how fresh: tells a live alert from one of a backfill."""
        return f"{self.alert_id} | event to alert {self.latency} | sent via {self.destination}"

    @property
    def origin(self) -> str:
        """Which rule says so."""
        return " | ".join([self.rule, *self.techniques])


def card(alert: Alert, destination: str, *, evidence_limit: int = EVIDENCE) -> Card:
    """What to show of *alert* at *destination*. Total: no value of an event can make it fail."""
    return Card(
        severity=alert.severity,
        test=alert.test,
        title=visible(alert.title, TITLE) or visible(alert.rule_id, TITLE),
        sentence=tuple(_sentence(alert)),
        when=alert.last_seen,
        facts=tuple(_facts(alert)),
        matched=visible(alert.matched, MATCHED),
        reasons=tuple(visible(reason, REASON) for reason in alert.reasons[:10]),
        notes=tuple(visible(note, MATCHED) for note in alert.notes[:10]),
        rule=visible(f"{alert.rule_id} v{alert.rule_version.removeprefix('v')}", VALUE),
        techniques=tuple(visible(technique, 40) for technique in alert.techniques[:8]),
        description=visible(alert.description, DESCRIPTION),
        evidence=evidence(alert, evidence_limit),
        runbook=tuple(_lines(alert.runbook, RUNBOOK)),
        link=next((reference for reference in alert.references if _is_link(reference)), ""),
        alert_id=visible(alert.id, 60),
        latency=span(alert.created - alert.last_seen),
        destination=visible(destination, 60),
    )


def _sentence(alert: Alert) -> Iterator[Part]:
    """Who did what to which account from where and did it work; what is not known is left out."""
    if alert.kind == OWN:
        yield Part(visible(alert.description, MATCHED) or "-")
        return
    actor, action, ip, outcome = (_norm(alert, name) for name in ("actor", "action", "ip", "outcome"))
    if not (actor or action):  # a rule about silence has no event
        yield Part("In account ")
        yield Part(_account(alert), "value")
        return
    yield Part(actor, "who") if actor else Part("Someone")
    if action:
        yield Part(" called ")
        yield Part(action, "value")
    else:
        yield Part(" acted")
    yield Part(" in account ")
    yield Part(_account(alert), "value")
    if ip:
        yield Part(" from ")
        yield Part(ip, "value")
    if outcome:
        yield Part(", result: ")
        yield Part(outcome, "value")


def _facts(alert: Alert) -> Iterator[Fact]:
    if alert.kind == OWN:
        for name, value in list(alert.group.items())[:1]:
            yield Fact(visible(name, 40).capitalize(), _text(value) or "-")
        yield Fact("Events", _events(alert))
        return
    about = [_norm(alert, "actor_type"), "MFA off" if alert.norm("mfa") == "False" else ""]
    yield Fact("Actor", _with(_norm(alert, "actor") or "-", ", ".join(filter(None, about))))
    yield Fact("Action", _with(_norm(alert, "action") or "-", _norm(alert, "service")))
    yield Fact("Target", _target(alert.fields) or "-")
    yield Fact("Source IP", _with(_norm(alert, "ip") or "-", _text(alert.fields.get("Location"))))
    yield Fact("Result", _result(alert))
    yield Fact("Events", _events(alert))


def _norm(alert: Alert, name: str) -> str:
    return visible(alert.norm(name), VALUE)


def _account(alert: Alert) -> str:
    return visible(alert.account, VALUE) or _norm(alert, "account") or "-"


def _with(value: str, more: str) -> str:
    return f"{value} ({more})" if more else value


def _result(alert: Alert) -> str:
    error = _text(alert.fields.get("errorCode"))
    outcome = _norm(alert, "outcome") or "-"
    return _with(outcome, "" if error in {"0", outcome} else error)


def _events(alert: Alert) -> str:
    if alert.count <= 1:
        return f"1, at {moment(alert.last_seen)}"
    return f"{alert.count} within {span(alert.last_seen - alert.first_seen)}, first {moment(alert.first_seen)}"


def _target(fields: Mapping[str, Any]) -> str:
    """What was acted upon: the name of the resource, else its list, else its type."""
    for name in ("resourceName", "resources", "resourceType"):
        value = fields.get(name)
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = ", ".join(filter(None, (_resource(item) for item in value[:3])))
        if (text := _text(value)) not in {"", "*"}:
            return text
    return ""


def _resource(item: Any) -> str:
    if isinstance(item, Mapping):
        item = item.get("ARN") or item.get("type")
    return "" if item == "*" else _text(item)


def _text(value: Any) -> str:
    """A scalar as visible text, "" for nothing and for structures."""
    if value is None or isinstance(value, Mapping | list | tuple):
        return ""
    return visible(str(value), VALUE)


def moment(seconds: int) -> str:
    """`2022-08-16 06:43:24 UTC`; a number that is no time is shown as the number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} (epoch)"


def span(seconds: int) -> str:
    """`75 s`, `12 min`, `5 h`, `3 d`; less than nothing (clocks differ) is 0 s."""
    if seconds < 120:
        return f"{max(seconds, 0)} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h"
    return f"{seconds // 86400} d"


def _lines(text: str, limit: int) -> Iterator[str]:
    """The lines of *text*, empty ones left out, together at most about *limit* long."""
    left = limit
    for line in text[: limit + 1].split("\n"):
        if left <= 0:
            yield CUT
            return
        if shown := visible(line.rstrip(), left):
            left -= len(shown) + 1
            yield shown


def _is_link(reference: str) -> bool:
    """May be the address of a button: written by the rule's author, http(s), and nothing odd about it."""
    return (
        reference.startswith(("https://", "http://"))
        and reference.isascii()
        and reference.isprintable()
        and " " not in reference
        and len(reference) <= 3_000
    )


def evidence(alert: Alert, limit: int = EVIDENCE) -> Evidence:
    """The event as its decoder left it (secrets replaced), key fields first, at most *limit* long."""
    fields = {name: value for name, value in alert.fields.items() if name != "norm"} or _parsed(alert.evidence)
    if not fields:
        return Evidence(inert(alert.evidence, limit), "cut" if length(alert.evidence) > limit else "")
    names = sorted(fields, key=lambda name: (_rank(name, fields[name]), name))
    lines: list[str] = []
    shortened = 0
    left = limit - len("{}")
    for name in names:
        line = f"{inert_json(visible(name, 80))}: {readable_json(fields[name], EVIDENCE_VALUE)}"
        if length(line) + len(SEPARATOR) > left:
            break
        shortened += line.endswith(CUT)
        left -= length(line) + len(SEPARATOR)
        lines.append(line)
    notes = []
    if missing := len(names) - len(lines):
        notes.append(f"cut {missing} of {len(names)} fields")
    if shortened:
        notes.append(f"shortened {shortened}")
    return Evidence("{" + SEPARATOR.join(lines) + "}", ", ".join(notes))


def _rank(name: str, value: Any) -> int:
    """Where a field stands: the key fields in their order, then the others, then the long ones, then the empty."""
    if value in (None, "", [], {}):
        return len(KEY_FIELDS) + 2
    if name in LAST_FIELDS:
        return len(KEY_FIELDS) + 1
    return KEY_FIELDS.index(name) if name in KEY_FIELDS else len(KEY_FIELDS)


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
