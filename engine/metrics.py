"""What the service counts, for Prometheus. Labels are names that the operator gave, never a value from an event."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from engine import __version__
from engine.pipeline import Tally


class Metrics:
    """One registry for one service."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.events = Counter("tocsin_events", "New events evaluated", ["source"], registry=registry)
        self.repeated = Counter("tocsin_events_repeated", "Events read again", ["source"], registry=registry)
        self.changed = Counter(
            "tocsin_events_changed",
            "Events that said something else when they were read again",
            ["source"],
            registry=registry,
        )
        self.quarantined = Counter(
            "tocsin_quarantined", "Records that could not be decoded", ["source"], registry=registry
        )
        self.matches = Counter("tocsin_matches", "Rules that met an event", ["rule"], registry=registry)
        self.rule_errors = Counter("tocsin_rule_errors", "Rules that broke on an event", ["rule"], registry=registry)
        self.verdicts = Counter("tocsin_verdicts", "What became of matches", ["outcome"], registry=registry)
        self.polls = Counter("tocsin_polls", "Polls of a source", ["source", "result"], registry=registry)
        self.poll_seconds = Histogram("tocsin_poll_seconds", "How long a poll took", ["source"], registry=registry)
        self.poll_lag = Gauge("tocsin_poll_lag_seconds", "Now minus the cursor", ["source"], registry=registry)
        self.deliveries = Counter(
            "tocsin_notifications", "Attempts to deliver", ["destination", "result"], registry=registry
        )
        self.pending = Gauge("tocsin_outbox_pending", "Deliveries not yet ended", registry=registry)
        self.oldest = Gauge("tocsin_outbox_oldest_seconds", "Age of the oldest of them", registry=registry)
        self.broken = Gauge("tocsin_destination_broken", "1 while it takes nothing", ["destination"], registry=registry)
        self.escalations = Counter(
            "tocsin_escalations", "Critical alerts that went on to this one", ["destination"], registry=registry
        )
        self.imbalance = Gauge(
            "tocsin_ledger_imbalance",
            "Matches without exactly one outcome, and alerts without delivery",
            registry=registry,
        )
        self.meta = Counter("tocsin_meta_alerts", "What Tocsin told about itself", ["rule"], registry=registry)
        self.trouble = Gauge("tocsin_trouble", "1 while it lasts", ["rule", "about"], registry=registry)
        self.canary = Gauge(
            "tocsin_canary_age_seconds", "Since a canary last reached its destination, or the start", registry=registry
        )
        self.clock_steps = Counter("tocsin_clock_steps", "How often the wall clock was set", registry=registry)
        self.ticks = Counter("tocsin_ticks", "Ticks of the scheduler", registry=registry)
        self.reload_ok = Gauge(
            "tocsin_config_last_reload_successful", "1 when the rules in force are those on disk", registry=registry
        )
        self.rules = Gauge("tocsin_rules", "Rules in force", registry=registry)
        self.tracked = Gauge(
            "tocsin_source_tracked", "1 when an enabled tracking set covers write events", ["source"], registry=registry
        )
        build = Gauge("tocsin_build_info", "Version of Tocsin", ["version"], registry=registry)
        build.labels(__version__).set(1)
        self.reload_ok.set(1)

    def polled(self, source: str, tally: Tally, seconds: float) -> None:
        """One poll that came through."""
        self.polls.labels(source, "ok").inc()
        self.poll_seconds.labels(source).observe(seconds)
        self.events.labels(source).inc(tally.events)
        self.repeated.labels(source).inc(tally.repeated)
        self.changed.labels(source).inc(tally.changed)
        self.quarantined.labels(source).inc(tally.quarantined)
        for rule, number in tally.rules_matched.items():
            self.matches.labels(rule).inc(number)
        for rule, number in tally.rules_faulted.items():
            self.rule_errors.labels(rule).inc(number)
        for outcome in ("told", "merged", "excepted", "silenced", "unrouted"):
            self.verdicts.labels(outcome).inc(getattr(tally, outcome))
