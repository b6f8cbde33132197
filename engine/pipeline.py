"""
THE PATH of an event, top to bottom.

    fetch → decode → keep unseen → evaluate → correlate → dedup → route → queue        `poll` and `ingest`
    claim → deliver → record                                                           `engine.sending.deliver`

The two halves meet only in the store. The first reads the state that a decision needs, lets a pure function decide, and
writes everything that follows from one page in ONE transaction: kill the process anywhere and the page was either not
taken at all, and will be read again, or taken with all its consequences. The second sends what the store holds; what
happened is recorded with the attempt, and one policy says when to try again.

Nothing here knows a cloud, a channel or a database by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta

from engine.alert import Fault, Match
from engine.correlate import raise_alert
from engine.dedup import Reason, Told, decide
from engine.errors import DecodeError
from engine.evaluate import evaluate
from engine.event import Cursor, Event, Page, Quarantined
from engine.kinds import Kind
from engine.route import Mute, Route, destinations
from engine.rule import RuleSet
from engine.sending import delivery_id
from engine.sources import Source
from engine.store import Store, Transaction, Verdict


@dataclass(frozen=True, slots=True)
class Policy:
    """What is in force: the rules, who hears of what, and what is silenced. A reload makes a new one."""

    rules: RuleSet
    routes: tuple[Route, ...] = ()


@dataclass(slots=True)
class Tally:
    """What became of some records: counts only, for logs and metrics."""

    pages: int = 0
    records: int = 0
    repeated: int = 0
    events: int = 0
    quarantined: int = 0
    matches: int = 0
    faults: int = 0
    told: int = 0
    merged: int = 0
    excepted: int = 0
    silenced: int = 0
    unrouted: int = 0
    queued: int = 0
    rules_matched: dict[str, int] = field(default_factory=dict)
    rules_faulted: dict[str, int] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        for slot in fields(self):
            mine, theirs = getattr(self, slot.name), getattr(other, slot.name)
            if isinstance(mine, dict):
                for name, number in theirs.items():
                    mine[name] = mine.get(name, 0) + number
            else:
                setattr(self, slot.name, mine + theirs)


# --- fetch


def poll(
    source: Source,
    kind: Kind,
    policy: Policy,
    store: Store,
    *,
    clock: Callable[[], float],
    overlap: timedelta,
    second_look: timedelta | None = None,
    mutes: Callable[[float], Sequence[Mute]] = lambda _: (),
    stopping: Callable[[], bool] = lambda: False,
) -> Tally:
    """
    Read one source up to now and store what it gives, page by page.

    Begins *overlap* before the cursor, since events become visible late and out of order; with *second_look* it reads
    that whole span again and leaves the cursor alone. *stopping* is asked between pages: what was stored stays good.
    Raises SourceError and StoreError; the cursor is then where the last complete slice left it.
    """
    began = clock()
    until = datetime.fromtimestamp(began, UTC)
    cursor = store.source_state(source.name).cursor
    if second_look is not None:
        since: Cursor | None = Cursor(until - second_look)
    else:
        since = Cursor(cursor.until - overlap) if cursor else None
    tally = Tally()
    for page in source.fetch(since, until):
        if second_look is not None:
            page = Page(page.records)  # noqa: PLW2901 the same page, without its say about the cursor
        now = clock()
        tally.add(ingest(page, source.name, kind, policy, store, now=now, mutes=mutes(now)))
        if stopping():
            return tally
    with store.transaction() as tx:
        tx.polled(source.name, clock(), new_events=0, second_look=second_look is not None)
    return tally


# --- decode, keep unseen, evaluate, correlate, dedup, route, queue


def ingest(
    page: Page, source: str, kind: Kind, policy: Policy, store: Store, *, now: float, mutes: Sequence[Mute] = ()
) -> Tally:
    """One page in, one transaction out: seen ids, verdicts, alerts, outbox rows, faults, quarantine and cursor."""
    events, quarantined = _decode(page, kind)
    tally = Tally(pages=1, records=len(page.records))
    with store.transaction() as tx:
        fresh = tx.unseen(events, now)
        matches, faults = _evaluate(fresh, policy.rules, now, kind, quarantined)
        verdicts = [_tell(match, kind, policy, tx, tally, now=now, mutes=mutes) for match in matches]
        tx.record(verdicts, now)
        tx.save_faults(faults, now)
        tally.quarantined = tx.quarantine(source, quarantined, now)
        if page.cursor is not None:
            tx.move_cursor(source, page.cursor)
        tx.polled(source, now, new_events=len(fresh))
    tally.events = len(fresh)
    tally.repeated = len(events) - len(fresh)
    tally.matches = len(matches)
    tally.faults = len(faults)
    for match in matches:
        tally.rules_matched[match.rule.id] = tally.rules_matched.get(match.rule.id, 0) + 1
    for fault in faults:
        tally.rules_faulted[fault.rule_id] = tally.rules_faulted.get(fault.rule_id, 0) + 1
    return tally


def _decode(page: Page, kind: Kind) -> tuple[list[Event], list[Quarantined]]:
    decoded = [kind.decode(record) for record in page.records]
    events = [one.event for one in decoded if one.event is not None]
    return events, [one.quarantined for one in decoded if one.quarantined is not None]


def _evaluate(
    events: Sequence[Event], rules: RuleSet, now: float, kind: Kind, quarantined: list[Quarantined]
) -> tuple[list[Match], list[Fault]]:
    today = datetime.fromtimestamp(now, UTC).date()
    matches: list[Match] = []
    faults: list[Fault] = []
    for event in events:
        try:
            met, broke = evaluate(rules, event, today)
        except DecodeError as error:  # its identity could be read, the rest of it not
            quarantined.append(Quarantined(event.kind, str(error), kind.evidence(event.raw).encode("utf-8", "replace")))
            continue
        matches += met
        faults += broke
    return matches, faults


def _tell(
    match: Match, kind: Kind, policy: Policy, tx: Transaction, tally: Tally, *, now: float, mutes: Sequence[Mute]
) -> Verdict:
    """What becomes of one match: exactly one verdict, and whatever must be queued for it."""
    identity, rule = match.event.identity, match.rule
    if match.excepted is not None:
        tally.excepted += 1
        exception = rule.unless[match.excepted]
        return Verdict(identity, rule.id, "excepted", detail=f"{exception.reason} ({exception.place})")
    alert = raise_alert(match, now=now, evidence=kind.evidence(match.event.raw))
    told = tx.told(alert.fingerprint)
    alert, reason = decide(alert, told, tx.alert(told.alert_id) if told else None, rule.quiet, now)
    tx.save_alert(alert)
    if reason is Reason.MERGED:
        tally.merged += 1
        return Verdict(identity, rule.id, "merged", alert.id, reason.value)
    routing = destinations(alert, policy.routes, mutes)
    if routing.silenced_by:
        tally.silenced += 1
        return Verdict(identity, rule.id, "silenced", alert.id, routing.silenced_by)
    tx.save_told(alert.fingerprint, Told(alert.id, alert.severity, now))
    if not routing.destinations:
        tally.unrouted += 1
        return Verdict(identity, rule.id, "unrouted", alert.id, "no route takes it")
    for name, _ in routing.destinations:
        tx.queue(delivery_id(alert, name), alert.id, name, now)
        tally.queued += 1
    tally.told += 1
    said_why = "; ".join(f"{name} by {why}" for name, why in routing.destinations)
    return Verdict(identity, rule.id, "alert", alert.id, f"{reason.value}; to {said_why}")
