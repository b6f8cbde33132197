-- Times are epoch seconds, UTC.

CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE sources (
    name TEXT PRIMARY KEY,
    cursor REAL,                      -- read completely up to here
    last_poll REAL,
    last_error TEXT NOT NULL DEFAULT '',
    last_error_at REAL,
    last_second_look REAL,
    events INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- 16 bytes of BLAKE2b over (kind, account, eventID): as small as a UUID, whatever the id looks like.
CREATE TABLE seen (id BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE accounts (kind TEXT NOT NULL, account TEXT NOT NULL, PRIMARY KEY (kind, account)) WITHOUT ROWID;

CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    rule_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created REAL NOT NULL,
    body BLOB NOT NULL                -- the whole alert, JSON
);
CREATE INDEX alerts_created ON alerts (created);

CREATE TABLE told (
    fingerprint TEXT PRIMARY KEY,
    alert_id TEXT NOT NULL,
    severity INTEGER NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;

-- The ledger: every match ends in exactly one verdict.
CREATE TABLE verdicts (
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    alert_id TEXT NOT NULL,
    detail TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (event_id, rule_id, kind, account)
) WITHOUT ROWID;

CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    alert_id TEXT NOT NULL REFERENCES alerts (id),
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    lease REAL NOT NULL DEFAULT 0,
    ambiguous INTEGER NOT NULL DEFAULT 0,   -- an earlier attempt may have arrived
    created REAL NOT NULL,
    updated REAL NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    receipt TEXT NOT NULL DEFAULT ''
);
CREATE INDEX outbox_open ON outbox (destination, due) WHERE state IN ('queued', 'sending', 'retry', 'ambiguous');
CREATE INDEX outbox_alert ON outbox (alert_id);

CREATE TABLE attempts (
    delivery_id TEXT NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    receipt TEXT NOT NULL,
    PRIMARY KEY (delivery_id, number)
) WITHOUT ROWID;

CREATE TABLE faults (
    rule_id TEXT NOT NULL,
    message TEXT NOT NULL,
    event_id TEXT NOT NULL,           -- the latest event it happened on
    count INTEGER NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    PRIMARY KEY (rule_id, message)
) WITHOUT ROWID;

CREATE TABLE quarantine (
    digest BLOB PRIMARY KEY,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    place TEXT NOT NULL,
    raw BLOB NOT NULL,                -- secrets replaced
    at REAL NOT NULL
);

CREATE TABLE silences (
    id TEXT PRIMARY KEY,
    match TEXT NOT NULL,
    author TEXT NOT NULL,
    comment TEXT NOT NULL,
    starts REAL NOT NULL,
    ends REAL NOT NULL
) WITHOUT ROWID;
