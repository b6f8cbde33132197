"""From matches and stories to alerts: what a person is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.alert import EVENT_IDS_KEPT, Alert, Match, alert_id, canonical, fingerprint
from engine.correlate.windows import Joined, Raised, Retracted
from engine.errors import EvaluationError
from engine.event import Fields, Identity
from engine.explanation import why
from engine.rule import Rule


def story(match: Match) -> dict[str, Any]:
    """The group that makes two matches one story: expression -> value; a value that breaks counts as null."""
    return {expression.text: _value(expression, match) for expression in match.rule.group_by}


def raise_alert(match: Match, *, now: float, evidence: str) -> Alert:
    """The alert of one match, as if nothing had been told before; *evidence* is the event's redacted record."""
    rule, event = match.rule, match.event
    group = story(match)
    # Without a group each event is its own story.
    mark = fingerprint(rule.id, event.kind, group or {"": list(event.identity)})
    return Alert(
        id=alert_id(mark, event.identity),
        account=event.account,
        group=group,
        fingerprint=mark,
        first_seen=event.time,
        last_seen=event.time,
        count=1,
        event_ids=(event.event_id,),
        created=int(now),
        evidence=evidence,
        **_of_rule(rule, event.fields),
    )


def tell_story(rule: Rule, raised: Raised, *, fields: Fields, evidence: str, created: float) -> Alert:
    """The alert of a story that *rule*'s memory has raised; *fields* is the event that it shows, {} for none."""
    by, group = raised.by, group_of(raised.group)
    alert = Alert(
        id=raised.alert_id,
        account=by.kept.account if by else "",
        group=group,
        fingerprint=fingerprint(rule.id, rule.kind, group),
        first_seen=raised.first,
        last_seen=raised.last,
        count=len(raised.hits),
        event_ids=tuple(kept.event_id for kept in raised.hits[:EVENT_IDS_KEPT]),
        created=int(created),
        evidence=evidence,
        **_of_rule(rule, fields),
    )
    return late(alert, raised)


def late(alert: Alert, outcome: Raised | Joined) -> Alert:
    """*alert*, saying how late the event came that completed it, if it did."""
    hit = outcome.late
    if hit is None:
        return alert
    by = max(0, hit.seen - hit.kept.time)
    return replace(alert, title=f"{alert.title} (late: its event came {span(by)} after it happened)", late_by=by)


def joined_by(alert: Alert, joined: Joined) -> Alert:
    """*alert* grown by one more match of its story."""
    kept, ids = joined.kept, alert.event_ids
    if kept.event_id not in ids and len(ids) < EVENT_IDS_KEPT:
        ids = (*ids, kept.event_id)
    first, last = min(alert.first_seen, kept.time), max(alert.last_seen, kept.time)
    return replace(alert, event_ids=ids, first_seen=first, last_seen=last, count=alert.count + 1)


def retraction(earlier: Alert, retracted: Retracted, *, evidence: str, created: float) -> Alert:
    """The alert that takes *earlier* back: what it said was absent came, late."""
    kept = retracted.by.kept
    by = max(0, retracted.by.seen - kept.time)
    return replace(
        earlier,
        id=alert_id(earlier.fingerprint, Identity(earlier.kind, kept.account, kept.event_id)),
        title=f"RETRACTED: {earlier.title}",
        first_seen=kept.time,
        last_seen=kept.time,
        count=1,
        event_ids=(kept.event_id,),
        created=int(created),
        fields=retracted.by.shown(),
        evidence=evidence,
        description=f"What {earlier.id} said was absent came at {_at(kept.time)}; it was seen {span(by)} later.",
        late_by=by,
        retracts=earlier.id,
    )


def group_of(group: str) -> Mapping[str, Any]:
    """The values of a group that a window holds as text."""
    values: Mapping[str, Any] = json.loads(group)
    return values


def group_text(rule: Rule) -> str:
    """The group of a rule for which no event has been seen."""
    return canonical({expression.text: None for expression in rule.group_by})


def span(seconds: int) -> str:
    """`45 s`, `12 min`, `3 h 12 min`, `2 d 3 h`."""
    days, rest = divmod(timedelta(seconds=seconds), timedelta(days=1))
    hours, minutes = int(rest.total_seconds()) // 3600, int(rest.total_seconds()) % 3600 // 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def _of_rule(rule: Rule, fields: Fields) -> dict[str, Any]:
    return {
        "rule_id": rule.id,
        "rule_version": rule.version,
        "severity": rule.severity,
        "title": rule.title.render(fields),
        "kind": rule.kind,
        "fields": fields,
        "description": rule.describe(fields),
        "runbook": rule.guide(fields),
        "references": rule.references,
        "techniques": rule.attack.techniques if rule.attack else (),
        "matched": " ".join(rule.match.text.split("\n")).strip(),
        "reasons": why(rule, fields) if fields else (),
    }


def _at(seconds: int) -> str:
    return f"{datetime.fromtimestamp(min(max(seconds, 0), 253402300799), UTC):%Y-%m-%d %H:%M:%S} UTC"


def _value(expression: Any, match: Match) -> Any:
    try:
        return expression.search(match.event.fields)
    except EvaluationError:
        return None
