"""
Rules with memory on the path: how late a source's events come, how far its windows may go on, and one turn of them.

Matches wait in the store until the source's watermark has passed them. A turn takes those, and what is late, out of it,
lets `engine.correlate` decide, and writes what comes of it: alerts to be said, verdicts, windows. All of it belongs to
the page's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from engine import exceptions
from engine.alert import Alert, Fault, fingerprint
from engine.correlate import (
    Arrival,
    Joined,
    Key,
    Noted,
    Raised,
    Retracted,
    begun,
    group_of,
    joined_by,
    origin_of,
    retraction,
    tell_story,
    turn,
)
from engine.correlate.lateness import Between, Lags
from engine.correlate.lateness import lateness as lateness_of
from engine.correlate.lateness import overlap as overlap_of
from engine.dedup import Reason, decide
from engine.errors import DecodeError
from engine.event import SEPARATOR, Cursor, Event, Identity
from engine.policy import Policy, Step
from engine.rule import FirstSeen, Rule, Silent
from engine.store import Store, Transaction, Verdict


class Say(Protocol):
    """The rest of the path of an alert: route and queue what is worth saying, and the verdict on its match."""

    def __call__(self, alert: Alert, reason: Reason, path: Step, identity: Identity, *, at: float) -> Verdict: ...


def overlap(source: str, store: Store, limits: Between) -> timedelta:
    with store.transaction() as tx:
        return overlap_of(tx.lags(source, "behind").values(), limits)


def measure(
    source: str, fresh: Sequence[Event], cursor: Cursor, tx: Transaction, now: float, *, second_look: bool
) -> None:
    """How late these events came, by service; see `engine.correlate.lateness`."""
    reached = cursor.until.timestamp()
    behind: dict[str, Lags] = {}
    seen: dict[str, Lags] = {}
    for event in fresh:
        if event.time <= 0:  # it does not say when it happened
            continue
        by = max(0.0, reached - event.time)
        service = _service(event)
        behind.setdefault(service, Lags()).add(by)
        if by or now - reached < CATCH_UP:  # else it waited for us, not we for it
            seen.setdefault(service, Lags()).add(max(0.0, now - event.time))
    tx.note_lags(source, "behind", behind)
    tx.note_lags(source, "seen", seen)
    if second_look and fresh:
        tx.note_late(source, found_again=sum(event.time <= reached for event in fresh))


CATCH_UP = 600.0  # seconds: who has not read for so long catches up


def _service(event: Event) -> str:
    try:
        service = event.view[f"norm{SEPARATOR}service"]
    except DecodeError:
        return ""
    return service if isinstance(service, str) else ""


def reached(source: str, cursor: Cursor | None, tx: Transaction) -> int | None:
    """The watermark so far; none when it lies ahead of the cursor, which was then put back after a wrong clock."""
    watermark = tx.watermark(source)
    return None if watermark is None or cursor is None or watermark > cursor.until.timestamp() else watermark


def watermark(source: str, cursor: Cursor | None, before: int | None, tx: Transaction, limits: Between) -> int | None:
    """Up to where everything may be applied now; it never goes back."""
    if cursor is None:
        return before
    late = lateness_of(tx.lags(source, "behind").values(), limits)
    reached = int((cursor.until - late).timestamp())
    if before is not None and reached <= before:
        return before
    tx.move_watermark(source, reached)
    return reached


def apply(late: Sequence[Arrival], path: Step, say: Say, *, before: int | None, watermark: int | None) -> list[Fault]:
    """Apply what is late and what is ready to the windows, and tell what comes of it; returns what was given up."""
    if watermark is None:
        return []
    tx, source, policy = path.tx, path.source, path.policy
    moved = before is None or watermark > before
    ready = tx.ready(source, watermark) if moved else []
    keys = {one.key for one in (*ready, *late)}
    if moved:
        keys.update(tx.due(source, watermark))
    learning = {key[:2] for key in keys if _is(FirstSeen, key, policy)}
    keys.update(origin_of(policy.memories[rule], rule[1]) for rule in learning)
    silences = dict(
        begun(rule, means, watermark)
        for (_, means), rule in policy.memories.items()
        if isinstance(rule.memory, Silent) and not rule.group_by
    )
    windows = tx.windows(source, (*keys, *silences))
    known = set(windows)
    new = {key: window for key, window in silences.items() if key not in known}
    if not keys and not new:
        return []
    windows |= new
    done = turn(policy.memories, windows, ready, late, before=before, watermark=watermark, limits=policy.limits)
    if late:
        path.tally.late += len(late)
        tx.note_late(source, late=len(late))
    stories = _Stories(path, say)
    for rule, _, outcome in done.outcomes:
        match outcome:
            case Raised():
                stories.raised(rule, outcome)
            case Joined():
                stories.joined(rule, outcome)
            case Retracted():
                stories.retracted(rule, outcome)
            case Noted(kept, _, why) if why:
                stories.verdicts.append(
                    Verdict(Identity(rule.kind, kept.account, kept.event_id), rule.id, "counted", detail=why)
                )
    stories.save()
    grown = tx.save_windows(source, done.windows, done.due, known)
    return [*_lost(done.given_up, policy), *_evicted(grown, path)]


def _is(memory: type, key: Key, policy: Policy) -> bool:
    rule = policy.memories.get(key[:2])
    return rule is not None and isinstance(rule.memory, memory)


def _lost(given_up: Mapping[str, int], policy: Policy) -> list[Fault]:
    message = f"more than {policy.limits.matches} matches of one group: those that weigh least are given up"
    return [Fault(rule_id, Identity("", "", ""), message) for rule_id in given_up]


def _evicted(grown: Iterable[tuple[str, str]], path: Step) -> list[Fault]:
    """Keep the number of windows within the limits; the busiest stories and those that were told stay."""
    tx, source, limits = path.tx, path.source, path.policy.limits
    faults = []
    for rule_id, means in sorted(grown):
        over = tx.window_number(source, rule_id, means) - limits.groups
        over = max(over, tx.windows_in_all(source) - limits.windows)
        if over > 0 and tx.evict(source, rule_id, means, over + limits.groups // 100):
            message = f"more than {limits.groups} groups, or {limits.windows} windows in all: the quietest are given up"
            faults.append(Fault(rule_id, Identity("", "", ""), message))
    return faults


@dataclass(slots=True)
class _Stories:
    """The alerts that one turn makes and lets grow, each read and written once."""

    path: Step
    say: Say
    verdicts: list[Verdict] = field(default_factory=list)
    _grown: dict[str, Alert] = field(default_factory=dict)

    def raised(self, rule: Rule, raised: Raised) -> None:
        path, tx = self.path, self.path.tx
        by = raised.by
        alert = tell_story(
            rule,
            raised,
            fields=by.shown() if by else {},
            evidence=by.evidence if by else "",
            created=path.now,
        )
        alert = replace(alert, notes=exceptions.expired(rule, path.now))
        # The window has seen to the quiet period; what it cannot know is what other windows of the story have told.
        told = tx.told(alert.fingerprint) if rule.quiet and raised.late is None else None
        earlier = self._find(told.alert_id) if told else None
        alert, reason = decide(alert, told, earlier, rule.quiet, raised.moment)
        kept = by.kept if by and by.kept in raised.hits else raised.hits[-1] if raised.hits else None
        identity = Identity(rule.kind, kept.account, kept.event_id) if kept else Identity(rule.kind, "", "")
        verdict = self.say(alert, reason, path, identity, at=raised.moment)
        self._grown.pop(alert.id, None)
        if kept is not None:
            self.verdicts.append(verdict)
        why = f"part of {alert.id}"
        self.verdicts += [_part(rule, one.account, one.event_id, alert.id, why) for one in raised.hits if one != kept]

    def joined(self, rule: Rule, joined: Joined) -> None:
        alert = self._find(joined.alert_id)
        kept = joined.kept
        if alert is None:  # the window's story became part of one that was told before
            mark = fingerprint(rule.id, rule.kind, group_of(joined.group))
            told = self.path.tx.told(mark)
            alert = self._find(told.alert_id) if told else None
        if alert is None:
            return
        self._grown[alert.id] = joined_by(alert, joined)
        self.path.tally.merged += 1
        self.verdicts.append(_part(rule, kept.account, kept.event_id, alert.id, "its story was told"))

    def retracted(self, rule: Rule, retracted: Retracted) -> None:
        earlier = self._find(retracted.alert_id)
        kept = retracted.by.kept
        if earlier is None:
            return
        self.path.tally.retracted += 1
        alert = retraction(earlier, retracted, evidence=retracted.by.evidence, created=self.path.now)
        identity = Identity(rule.kind, kept.account, kept.event_id)
        self.verdicts.append(self.say(alert, Reason.FIRST, self.path, identity, at=retracted.moment))

    def save(self) -> None:
        for alert in self._grown.values():
            self.path.tx.save_alert(alert)
        self.path.tx.retell(self.verdicts, self.path.now)

    def _find(self, alert_id: str) -> Alert | None:
        return self._grown.get(alert_id) or self.path.tx.alert(alert_id)


def _part(rule: Rule, account: str, event_id: str, alert_id: str, why: str) -> Verdict:
    return Verdict(Identity(rule.kind, account, event_id), rule.id, "merged", alert_id, why)
