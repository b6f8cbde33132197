-- What each exception of a rule has hidden, so that exceptions that rot can be seen.

CREATE TABLE exceptions (
    id TEXT PRIMARY KEY,              -- engine.exceptions.key
    rule_id TEXT NOT NULL,
    loaded REAL NOT NULL,             -- when it was first in force
    body BLOB                         -- engine.exceptions.Hidden, JSON; NULL: nothing yet
) WITHOUT ROWID;
