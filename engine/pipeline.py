"""
THE PATH of an event, top to bottom.

    fetch → decode → keep unseen → evaluate → correlate → dedup → route → queue        `poll` and `ingest`
    claim → deliver → record                                                           `engine.sending.deliver`

A rule with memory waits: its matches are held until the source's watermark has passed them, then its windows decide
(`engine.remembering`), in the same transaction. Time that passes without events comes in by `advance`.

The two halves meet only in the store. The first reads the state that a decision needs, lets a pure function decide, and
writes everything that follows from one page in ONE transaction: kill the process anywhere and the page was either not
taken at all, and will be read again, or taken with all its consequences. The second sends what the store holds; what
happened is recorded with the attempt, and one policy says when to try again.

Nothing here knows a cloud, a channel or a database by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine import exceptions, remembering
from engine.alert import Alert, Fault, Match
from engine.correlate import Arrival, counts_for, raise_alert
from engine.correlate.lateness import LATENESS, Between
from engine.dedup import Reason, Told, decide
from engine.errors import DecodeError
from engine.evaluate import evaluate
from engine.event import Cursor, Event, Identity, Page, Quarantined
from engine.kinds import Kind
from engine.kinds.body import checksum
from engine.meta import RULES as META
from engine.meta import meta_alert
from engine.policy import Policy, Step, Tally
from engine.route import Mute, destinations
from engine.rule import Count, Exception_, RuleSet
from engine.sending import delivery_id
from engine.sources import Source
from engine.store import Store, Transaction, Verdict

__all__ = ["Policy", "Tally", "advance", "ingest", "poll"]


# --- fetch


def poll(
    source: Source,
    kind: Kind,
    policy: Policy,
    store: Store,
    *,
    clock: Callable[[], float],
    overlap: timedelta | Between,
    second_look: timedelta | None = None,
    mutes: Callable[[float], Sequence[Mute]] = lambda _: (),
    stopping: Callable[[], bool] = lambda: False,
    lateness: Between = LATENESS,
    queued: Callable[[], object] = lambda: None,
) -> Tally:
    """
    Read one source up to now and store what it gives, page by page.

    Begins *overlap* before the cursor, since events become visible late and out of order: so much, or, between limits,
    what the events of this source were measured to need. With *second_look* it reads that whole span again and leaves
    the cursor alone. The watermark stays *lateness* behind the cursor, as measured, between these limits. *stopping* is
    asked between pages: what was stored stays good. *queued* is called after each commit that put something into the
    outbox, so that nothing waits there for the poll to end.
    Raises SourceError and StoreError; the cursor is then where the last complete slice left it.
    """
    began = clock()
    until = datetime.fromtimestamp(began, UTC)
    cursor = store.source_state(source.name).cursor
    reach = overlap if isinstance(overlap, timedelta) else remembering.overlap(source.name, store, overlap)
    if second_look is not None:
        since: Cursor | None = Cursor(until - second_look)
    else:
        since = Cursor(cursor.until - reach) if cursor else None
    tally = Tally()
    for page in source.fetch(since, until):
        if second_look is not None:
            page = Page(page.records)  # noqa: PLW2901 the same page, without its say about the cursor
        now = clock()
        again = second_look is not None
        told = ingest(
            page, source.name, kind, policy, store, now=now, mutes=mutes(now), lateness=lateness, second_look=again
        )
        tally.add(told)
        if told.queued:
            queued()
        if stopping():
            return tally
    now = clock()
    with store.transaction() as tx:
        tx.polled(source.name, now, new_events=0, second_look=second_look is not None)
        if second_look is None:
            tx.note_overlap(source.name, reach.total_seconds())
    if policy.memories:
        passed = advance(source.name, policy, store, now=now, mutes=mutes(now), lateness=lateness)
        tally.add(passed)
        if passed.queued:
            queued()
    return tally


# --- decode, keep unseen, evaluate, correlate, dedup, route, queue


def ingest(
    page: Page,
    source: str,
    kind: Kind,
    policy: Policy,
    store: Store,
    *,
    now: float,
    mutes: Sequence[Mute] = (),
    lateness: Between = LATENESS,
    second_look: bool = False,
) -> Tally:
    """One page in, one transaction out: seen ids, verdicts, alerts, outbox, windows, faults, quarantine, cursor."""
    events, quarantined = _decode(page, kind)
    bodies = [checksum(event) for event in events]
    tally = Tally(pages=1, records=len(page.records))
    cursor = store.source_state(source).cursor
    with store.transaction() as tx:
        path = Step(source, policy, tx, tally, now, mutes)
        fresh = tx.unseen(events, now, bodies)
        tally.changed = _note_changed(source, events, bodies, fresh, tx, now)
        matches, faults = _evaluate(fresh, policy.rules, now, kind, quarantined)
        # Only now: what is remembered is read by one worker at a time, and evaluating can go on beside it.
        before = remembering.reached(source, cursor, tx) if policy.memories else None
        arrived: list[Arrival] = []
        verdicts = [_verdict(match, kind, path, arrived, faults) for match in matches]
        tx.record(verdicts, now, matches=len(matches))
        tally.quarantined = tx.quarantine(source, quarantined, now)
        if page.cursor is not None:
            tx.move_cursor(source, page.cursor)
        tx.polled(source, now, new_events=len(fresh))
        if cursor is not None:
            remembering.measure(source, fresh, cursor, tx, now, second_look=second_look)
        if policy.memories:
            late = [one for one in arrived if before is not None and one.hit.kept.time <= before]
            tx.hold(source, (one for one in arrived if before is None or one.hit.kept.time > before))
            watermark = remembering.watermark(source, page.cursor, before, tx, lateness)
            faults += remembering.apply(late, path, _say, before=before, watermark=watermark)
        tx.save_faults(faults, now)
    tally.events = len(fresh)
    tally.repeated = len(events) - len(fresh)
    tally.matches = len(matches)
    tally.faults = len(faults)
    for match in matches:
        tally.rules_matched[match.rule.id] = tally.rules_matched.get(match.rule.id, 0) + 1
    for fault in faults:
        tally.rules_faulted[fault.rule_id] = tally.rules_faulted.get(fault.rule_id, 0) + 1
    return tally


def advance(
    source: str,
    policy: Policy,
    store: Store,
    *,
    now: float,
    mutes: Sequence[Mute] = (),
    lateness: Between = LATENESS,
) -> Tally:
    """Let time pass for the rules with memory: what did not happen is told, what is over is forgotten."""
    tally = Tally()
    cursor = store.source_state(source).cursor
    with store.transaction() as tx:
        before = remembering.reached(source, cursor, tx)
        watermark = remembering.watermark(source, cursor, before, tx, lateness)
        path = Step(source, policy, tx, tally, now, mutes)
        faults = remembering.apply([], path, _say, before=before, watermark=watermark)
        tx.save_faults(faults, now)
    tally.faults = len(faults)
    return tally


def _decode(page: Page, kind: Kind) -> tuple[list[Event], list[Quarantined]]:
    decoded = [kind.decode(record) for record in page.records]
    events = [one.event for one in decoded if one.event is not None]
    return events, [one.quarantined for one in decoded if one.quarantined is not None]


def _note_changed(
    source: str, events: Sequence[Event], bodies: Sequence[int], fresh: Sequence[Event], tx: Transaction, now: float
) -> int:
    """An event is looked at once, as it was first read; that a later reading says something else is noted."""
    new = {id(event) for event in fresh}
    again = [(event, body) for event, body in zip(events, bodies, strict=True) if id(event) not in new]
    return tx.note_changed(source, [event for event, _ in again], now, [body for _, body in again])


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


def _verdict(match: Match, kind: Kind, path: Step, arrived: list[Arrival], faults: list[Fault]) -> Verdict:
    """What becomes of one match: exactly one verdict, and whatever must be queued for it."""
    rule = match.rule
    if match.excepted is not None:
        return _except(match, rule.unless[match.excepted], path)
    if rule.memory is not None:
        return _remember(match, kind, path, arrived, faults)
    return _tell(match, kind, path)


def _except(match: Match, exception: Exception_, path: Step) -> Verdict:
    """A known good is recorded and not told, but for what its exception has never hidden before: that is news."""
    rule, tx, now = match.rule, path.tx, path.now
    path.tally.excepted += 1
    name = exceptions.key(rule.id, exception)
    hidden, new = exceptions.hide(tx.hidden(name), match.event.fields, now)
    tx.save_hidden(name, rule.id, hidden, now)
    if new:
        detail = f"{exception.reason} ({exception.owner}, {exception.place}) hid event {match.event.event_id}: "
        alert = meta_alert(META["exception_hides_new"], f"{rule.id} {name}", detail + "; ".join(new), now)
        _say(alert, Reason.FIRST, path, match.event.identity, at=now)
    return Verdict(match.event.identity, rule.id, "excepted", detail=f"{exception.reason} ({exception.place})")


def _tell(match: Match, kind: Kind, path: Step) -> Verdict:
    """A match of a rule without memory is an alert, or part of one."""
    identity, rule, tx = match.event.identity, match.rule, path.tx
    alert = raise_alert(match, now=path.now, evidence=kind.evidence(match.event.raw))
    alert = replace(alert, notes=exceptions.expired(rule, path.now))
    told = tx.told(alert.fingerprint)
    alert, reason = decide(alert, told, tx.alert(told.alert_id) if told else None, rule.quiet, path.now)
    return _say(alert, reason, path, identity, at=path.now)


def _say(alert: Alert, reason: Reason, path: Step, identity: Identity, *, at: float) -> Verdict:
    """Route and queue what is worth saying. *at* is when it was true, for the quiet period that begins with it."""
    tx, tally = path.tx, path.tally
    tx.save_alert(alert)
    if reason is Reason.MERGED:
        tally.merged += 1
        return Verdict(identity, alert.rule_id, "merged", alert.id, reason.value)
    routing = destinations(alert, path.policy.routes, path.mutes)
    if routing.silenced_by:
        tally.silenced += 1
        return Verdict(identity, alert.rule_id, "silenced", alert.id, routing.silenced_by)
    if not alert.retracts:
        tx.save_told(alert.fingerprint, Told(alert.id, alert.severity, at))
    if not routing.destinations:
        tally.unrouted += 1
        return Verdict(identity, alert.rule_id, "unrouted", alert.id, "no route takes it")
    for name, _ in routing.destinations:
        tx.queue(delivery_id(alert, name), alert.id, name, path.now)
        tally.queued += 1
    tally.told += 1
    said_why = "; ".join(f"{name} by {why}" for name, why in routing.destinations)
    return Verdict(identity, alert.rule_id, "alert", alert.id, f"{reason.value}; to {said_why}")


# --- rules with memory


def _remember(match: Match, kind: Kind, path: Step, arrived: list[Arrival], faults: list[Fault]) -> Verdict:
    """A match of a rule with memory counts for a window; what comes of it is decided when its time has come."""
    identity, rule = match.event.identity, match.rule
    path.tally.counted += 1
    counts = counts_for(
        match, path.policy.meanings[rule.id], evidence=kind.evidence(match.event.raw), seen=int(path.now)
    )
    faults += counts.faults
    if counts.key is None or counts.hit is None:
        return Verdict(identity, rule.id, "counted", detail=counts.why)
    most = max(path.policy.limits.matches, rule.memory.at_least if isinstance(rule.memory, Count) else 0)
    if counts.key not in path.waiting:
        path.waiting[counts.key] = path.tx.held(path.source, counts.key)
    path.waiting[counts.key] += 1
    if path.waiting[counts.key] > most:
        faults.append(Fault(rule.id, identity, f"more than {most} matches of one group wait: later ones are given up"))
        return Verdict(identity, rule.id, "counted", detail=f"given up: more than {most} matches of its group wait")
    arrived.append(Arrival(counts.key, counts.hit))
    return Verdict(identity, rule.id, "counted")
