-- Escalation: a delivery whose alert went on to another destination, and the one that it came from.
ALTER TABLE outbox ADD COLUMN escalated BOOLEAN NOT NULL DEFAULT FALSE;  -- the next destination was asked for once
ALTER TABLE outbox ADD COLUMN escalated_from TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN cause TEXT NOT NULL DEFAULT '';            -- why it was queued, where that is not the route
CREATE INDEX outbox_failed ON outbox (state) WHERE state IN ('dead', 'refused') AND NOT escalated;

-- Destinations that take nothing until a person mends them: their rows wait, one is tried at probe_at.
CREATE TABLE breakers (
    destination TEXT PRIMARY KEY,
    since DOUBLE PRECISION NOT NULL,
    probe_at DOUBLE PRECISION NOT NULL,
    reason TEXT NOT NULL
);

-- When a source last gave an event that was new; the beginning of the watch where it never did.
ALTER TABLE sources ADD COLUMN last_event DOUBLE PRECISION;

-- The other side of the ledger: matches, counted where they are found and not where their outcome is written.
CREATE TABLE ledger (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO ledger (name, value) SELECT 'matches', count(*) FROM verdicts;

-- Moments that the service must remember about itself.
CREATE TABLE marks (name TEXT PRIMARY KEY, at DOUBLE PRECISION NOT NULL);
