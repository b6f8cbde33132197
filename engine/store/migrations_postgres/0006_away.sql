-- Whether a destination refuses (a person must mend it) or only fails: is away, and comes back by itself.
ALTER TABLE breakers ADD COLUMN refuses BOOLEAN NOT NULL DEFAULT TRUE;

-- Destinations at which the latest attempts failed, with no success or refusal since.
CREATE TABLE failing (
    destination TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,        -- in a row; while it is not broken, one after the other at the same delivery is one
    delivery_id TEXT NOT NULL,        -- of the latest
    at DOUBLE PRECISION NOT NULL                -- of the latest
);
