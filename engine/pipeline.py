"""
THE PATH of an event, top to bottom.

    fetch → decode → keep unseen → evaluate → correlate → dedup → route → queue        `poll` and `ingest`
    claim → deliver → record                                                           `engine.sending.deliver`

A rule with memory waits: its matches are held until the source's watermark has passed them, then its windows decide
(`engine.correlate`), in the same transaction. Time that passes without events comes in by `advance`.

The two halves meet only in the store. The first reads the state that a decision needs, lets a pure function decide, and
writes everything that follows from one page in ONE transaction: kill the process anywhere and the page was either not
taken at all, and will be read again, or taken with all its consequences. The second sends what the store holds; what
happened is recorded with the attempt, and one policy says when to try again.

Nothing here knows a cloud, a channel or a database by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta

from engine import exceptions
from engine.alert import Alert, Fault, Match, fingerprint
from engine.correlate import (
    Arrival,
    Joined,
    Key,
    Limits,
    Noted,
    Raised,
    Retracted,
    begun,
    counts_for,
    group_of,
    joined_by,
    meaning,
    origin_of,
    raise_alert,
    retraction,
    tell_story,
    turn,
)
from engine.correlate.lateness import LATENESS, Between, Lags
from engine.correlate.lateness import lateness as lateness_of
from engine.correlate.lateness import overlap as overlap_of
from engine.dedup import Reason, Told, decide
from engine.errors import DecodeError
from engine.evaluate import evaluate
from engine.event import SEPARATOR, Cursor, Event, Identity, Page, Quarantined
from engine.kinds import Kind
from engine.meta import RULES as META
from engine.meta import meta_alert
from engine.route import Mute, Route, destinations
from engine.rule import Count, Exception_, FirstSeen, Rule, RuleSet, Silent
from engine.sending import delivery_id
from engine.sources import Source
from engine.store import Store, Transaction, Verdict

LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Policy:
    """What is in force: the rules, who hears of what, and what is silenced. A reload makes a new one."""

    rules: RuleSet
    routes: tuple[Route, ...] = ()
    limits: Limits = LIMITS
    meanings: Mapping[str, str] = field(init=False, repr=False, compare=False)  # of the rules with memory, by id
    memories: Mapping[tuple[str, str], Rule] = field(init=False, repr=False, compare=False)  # by (id, meaning)

    def __post_init__(self) -> None:
        remembering = [rule for rule in self.rules if rule.memory is not None and rule.enabled]
        object.__setattr__(self, "meanings", {rule.id: meaning(rule) for rule in remembering})
        object.__setattr__(self, "memories", {(rule.id, self.meanings[rule.id]): rule for rule in remembering})


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
    counted: int = 0  # matches that became part of a rule's memory
    late: int = 0  # of them, those behind the watermark
    retracted: int = 0
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
    overlap: timedelta | Between,
    second_look: timedelta | None = None,
    mutes: Callable[[float], Sequence[Mute]] = lambda _: (),
    stopping: Callable[[], bool] = lambda: False,
    lateness: Between = LATENESS,
) -> Tally:
    """
    Read one source up to now and store what it gives, page by page.

    Begins *overlap* before the cursor, since events become visible late and out of order: so much, or, between limits,
    what the events of this source were measured to need. With *second_look* it reads that whole span again and leaves
    the cursor alone. The watermark stays *lateness* behind the cursor, as measured, between these limits. *stopping* is
    asked between pages: what was stored stays good.
    Raises SourceError and StoreError; the cursor is then where the last complete slice left it.
    """
    began = clock()
    until = datetime.fromtimestamp(began, UTC)
    cursor = store.source_state(source.name).cursor
    reach = overlap if isinstance(overlap, timedelta) else _overlap(source.name, store, overlap)
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
        if stopping():
            return tally
    now = clock()
    with store.transaction() as tx:
        tx.polled(source.name, now, new_events=0, second_look=second_look is not None)
        if second_look is None:
            tx.note_overlap(source.name, reach.total_seconds())
    if policy.memories:
        tally.add(advance(source.name, policy, store, now=now, mutes=mutes(now), lateness=lateness))
    return tally


def _overlap(source: str, store: Store, limits: Between) -> timedelta:
    with store.transaction() as tx:
        return overlap_of(tx.lags(source, "behind").values(), limits)


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
    tally = Tally(pages=1, records=len(page.records))
    cursor = store.source_state(source).cursor
    with store.transaction() as tx:
        path = _Path(source, policy, tx, tally, now, mutes)
        fresh = tx.unseen(events, now)
        matches, faults = _evaluate(fresh, policy.rules, now, kind, quarantined)
        # Only now: what is remembered is read by one worker at a time, and evaluating can go on beside it.
        before = _reached(source, cursor, tx) if policy.memories else None
        arrived: list[Arrival] = []
        verdicts = [_verdict(match, kind, path, arrived, faults) for match in matches]
        tx.record(verdicts, now, matches=len(matches))
        tally.quarantined = tx.quarantine(source, quarantined, now)
        if page.cursor is not None:
            tx.move_cursor(source, page.cursor)
        tx.polled(source, now, new_events=len(fresh))
        if cursor is not None:
            _measure(source, fresh, cursor, tx, now, second_look=second_look)
        if policy.memories:
            late = [one for one in arrived if before is not None and one.hit.kept.time <= before]
            tx.hold(source, (one for one in arrived if before is None or one.hit.kept.time > before))
            watermark = _watermark(source, page.cursor, before, tx, lateness)
            faults += _turn(late, path, before=before, watermark=watermark)
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
        before = _reached(source, cursor, tx)
        watermark = _watermark(source, cursor, before, tx, lateness)
        faults = _turn([], _Path(source, policy, tx, tally, now, mutes), before=before, watermark=watermark)
        tx.save_faults(faults, now)
    tally.faults = len(faults)
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


@dataclass(slots=True)
class _Path:
    """What every step of one transaction needs."""

    source: str
    policy: Policy
    tx: Transaction
    tally: Tally
    now: float
    mutes: Sequence[Mute]
    waiting: dict[Key, int] = field(default_factory=dict)  # matches of a group that wait for the watermark


def _verdict(match: Match, kind: Kind, path: _Path, arrived: list[Arrival], faults: list[Fault]) -> Verdict:
    """What becomes of one match: exactly one verdict, and whatever must be queued for it."""
    rule = match.rule
    if match.excepted is not None:
        return _except(match, rule.unless[match.excepted], path)
    if rule.memory is not None:
        return _remember(match, kind, path, arrived, faults)
    return _tell(match, kind, path)


def _except(match: Match, exception: Exception_, path: _Path) -> Verdict:
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


def _tell(match: Match, kind: Kind, path: _Path) -> Verdict:
    """A match of a rule without memory is an alert, or part of one."""
    identity, rule, tx = match.event.identity, match.rule, path.tx
    alert = raise_alert(match, now=path.now, evidence=kind.evidence(match.event.raw))
    alert = replace(alert, notes=exceptions.expired(rule, path.now))
    told = tx.told(alert.fingerprint)
    alert, reason = decide(alert, told, tx.alert(told.alert_id) if told else None, rule.quiet, path.now)
    return _say(alert, reason, path, identity, at=path.now)


def _say(alert: Alert, reason: Reason, path: _Path, identity: Identity, *, at: float) -> Verdict:
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


def _remember(match: Match, kind: Kind, path: _Path, arrived: list[Arrival], faults: list[Fault]) -> Verdict:
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


def _measure(
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


def _reached(source: str, cursor: Cursor | None, tx: Transaction) -> int | None:
    """The watermark so far; none when it lies ahead of the cursor, which was then put back after a wrong clock."""
    watermark = tx.watermark(source)
    return None if watermark is None or cursor is None or watermark > cursor.until.timestamp() else watermark


def _watermark(source: str, cursor: Cursor | None, before: int | None, tx: Transaction, limits: Between) -> int | None:
    """Up to where everything may be applied now; it never goes back."""
    if cursor is None:
        return before
    late = lateness_of(tx.lags(source, "behind").values(), limits)
    reached = int((cursor.until - late).timestamp())
    if before is not None and reached <= before:
        return before
    tx.move_watermark(source, reached)
    return reached


def _turn(late: Sequence[Arrival], path: _Path, *, before: int | None, watermark: int | None) -> list[Fault]:
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
    stories = _Stories(path)
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


def _evicted(grown: Iterable[tuple[str, str]], path: _Path) -> list[Fault]:
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

    path: _Path
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
        verdict = _say(alert, reason, path, identity, at=raised.moment)
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
        self.verdicts.append(_say(alert, Reason.FIRST, self.path, identity, at=retracted.moment))

    def save(self) -> None:
        for alert in self._grown.values():
            self.path.tx.save_alert(alert)
        self.path.tx.retell(self.verdicts, self.path.now)

    def _find(self, alert_id: str) -> Alert | None:
        return self._grown.get(alert_id) or self.path.tx.alert(alert_id)


def _part(rule: Rule, account: str, event_id: str, alert_id: str, why: str) -> Verdict:
    return Verdict(Identity(rule.kind, account, event_id), rule.id, "merged", alert_id, why)
