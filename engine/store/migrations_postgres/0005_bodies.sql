-- Whether an event that is read again still says what it said.

ALTER TABLE seen ADD COLUMN body INTEGER;  -- engine.kinds.body.checksum; NULL for what was seen before this step

-- Readings that said something else under a known id: not looked at by rules, one row for each thing said.
CREATE TABLE changed (
    id BYTEA NOT NULL,                -- as in seen
    body INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    source TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,     -- when it was first read so
    PRIMARY KEY (id, body)
);
