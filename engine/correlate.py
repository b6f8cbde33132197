"""From matches to alerts: what a rule's match means to a person."""

from __future__ import annotations

from typing import Any

from engine.alert import Alert, Match, alert_id, fingerprint
from engine.errors import EvaluationError


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
        rule_id=rule.id,
        rule_version=rule.version,
        severity=rule.severity,
        title=rule.title.render(event.fields),
        kind=event.kind,
        account=event.account,
        group=group,
        fingerprint=mark,
        first_seen=event.time,
        last_seen=event.time,
        count=1,
        event_ids=(event.event_id,),
        created=int(now),
        fields=event.fields,
        evidence=evidence,
        description=rule.describe(event.fields),
        runbook=rule.guide(event.fields),
        references=rule.references,
        techniques=rule.attack.techniques if rule.attack else (),
        matched=rule.match.text,
    )


def _value(expression: Any, match: Match) -> Any:
    try:
        return expression.search(match.event.fields)
    except EvaluationError:
        return None
