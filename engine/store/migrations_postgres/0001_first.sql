-- The same tables as SQLite's, one file for each of its steps. Times are epoch seconds, UTC.

CREATE TABLE meta (name TEXT PRIMARY KEY, value BYTEA NOT NULL);

CREATE TABLE sources (
    name TEXT PRIMARY KEY,
    cursor DOUBLE PRECISION,          -- read completely up to here
    last_poll DOUBLE PRECISION,
    last_error TEXT NOT NULL DEFAULT '',
    last_error_at DOUBLE PRECISION,
    last_second_look DOUBLE PRECISION,
    events BIGINT NOT NULL DEFAULT 0
);

-- Which process polls a source, until when: the others leave it alone.
CREATE TABLE holders (
    source TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    lease DOUBLE PRECISION NOT NULL
);

-- Keys that hold what an event says are digests: an index entry of Postgres takes 2,700 bytes, and an event may say more.

-- 16 bytes of BLAKE2b over (kind, account, eventID): as small as a UUID, whatever the id looks like.
CREATE TABLE seen (id BYTEA PRIMARY KEY, at BIGINT NOT NULL);
CREATE TABLE accounts (digest BYTEA PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL);

CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    rule_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    severity INTEGER NOT NULL,
    created DOUBLE PRECISION NOT NULL,
    body BYTEA NOT NULL               -- the whole alert, JSON; not jsonb, which refuses the character U+0000
);
CREATE INDEX alerts_created ON alerts (created);

CREATE TABLE told (
    fingerprint TEXT PRIMARY KEY,
    alert_id TEXT NOT NULL,
    severity INTEGER NOT NULL,
    at DOUBLE PRECISION NOT NULL
);

-- The ledger: every match ends in exactly one verdict.
CREATE TABLE verdicts (
    digest BYTEA PRIMARY KEY,         -- of the event and the rule
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    alert_id TEXT NOT NULL,
    detail TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL
);
CREATE INDEX verdicts_event ON verdicts USING hash (event_id);

CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    alert_id TEXT NOT NULL REFERENCES alerts (id),
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due DOUBLE PRECISION NOT NULL,
    lease DOUBLE PRECISION NOT NULL DEFAULT 0,
    claim TEXT NOT NULL DEFAULT '',                -- of the latest claim: tells whose a claim is whose answer was lost
    ambiguous BOOLEAN NOT NULL DEFAULT FALSE,      -- an earlier attempt may have arrived
    created DOUBLE PRECISION NOT NULL,
    updated DOUBLE PRECISION NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    receipt TEXT NOT NULL DEFAULT ''
);
CREATE INDEX outbox_open ON outbox (destination, due) WHERE state IN ('queued', 'sending', 'retry', 'ambiguous');
CREATE INDEX outbox_alert ON outbox (alert_id);

CREATE TABLE attempts (
    delivery_id TEXT NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    receipt TEXT NOT NULL,
    PRIMARY KEY (delivery_id, number)
);

CREATE TABLE faults (
    digest BYTEA PRIMARY KEY,         -- of rule_id and message
    rule_id TEXT NOT NULL,
    message TEXT NOT NULL,
    event_id TEXT NOT NULL,           -- the latest event it happened on
    count BIGINT NOT NULL,
    first_at DOUBLE PRECISION NOT NULL,
    last_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE quarantine (
    digest BYTEA PRIMARY KEY,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    place TEXT NOT NULL,
    raw BYTEA NOT NULL,               -- secrets replaced
    at DOUBLE PRECISION NOT NULL
);

CREATE TABLE silences (
    id TEXT PRIMARY KEY,
    match TEXT NOT NULL,
    author TEXT NOT NULL,
    comment TEXT NOT NULL,
    starts DOUBLE PRECISION NOT NULL,
    ends DOUBLE PRECISION NOT NULL
);
