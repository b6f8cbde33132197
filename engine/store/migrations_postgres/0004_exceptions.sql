-- What each exception of a rule has hidden, so that exceptions that rot can be seen.

CREATE TABLE exceptions (
    id TEXT PRIMARY KEY,              -- engine.exceptions.key
    rule_id TEXT NOT NULL,
    loaded DOUBLE PRECISION NOT NULL, -- when it was first in force
    body BYTEA                        -- engine.exceptions.Hidden, JSON; NULL: nothing yet
);
