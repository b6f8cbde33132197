-- Rules with memory. Times are those of events, epoch seconds, UTC, unless said otherwise.

ALTER TABLE sources ADD COLUMN watermark REAL;                   -- everything up to here was applied to the windows
ALTER TABLE sources ADD COLUMN late INTEGER NOT NULL DEFAULT 0;  -- matches that came behind the watermark
ALTER TABLE sources ADD COLUMN found_again INTEGER NOT NULL DEFAULT 0;  -- events that only a second look found
ALTER TABLE sources ADD COLUMN overlap REAL;                     -- seconds, of the last poll

-- How late events come: counts in buckets whose bounds grow by a constant factor, so that two histograms can be added.
CREATE TABLE lags (
    source TEXT NOT NULL,
    service TEXT NOT NULL,
    measure TEXT NOT NULL,            -- 'seen': first seen - event time; 'behind': cursor at that moment - event time
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    most REAL NOT NULL,               -- the largest value in the bucket, seconds
    PRIMARY KEY (source, service, measure, bucket)
) WITHOUT ROWID;

-- What a rule remembers of one group. `meaning` is a digest of what the window counts: when it changes, counting begins anew.
CREATE TABLE windows (
    source TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    meaning TEXT NOT NULL,
    story BLOB NOT NULL,              -- 16 bytes over the group's values
    due INTEGER NOT NULL,             -- when something happens to it by itself
    busy INTEGER NOT NULL,            -- matches so far
    last INTEGER NOT NULL,            -- the newest of them
    told INTEGER NOT NULL,            -- 1: holds a story that was told
    body BLOB NOT NULL,
    PRIMARY KEY (source, rule_id, meaning, story)
) WITHOUT ROWID;
CREATE INDEX windows_due ON windows (source, due);
CREATE INDEX windows_busy ON windows (source, rule_id, meaning, told, busy, last);
CREATE TABLE window_counts (
    source TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    meaning TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (source, rule_id, meaning)
) WITHOUT ROWID;

-- Matches that wait until the watermark has passed them.
CREATE TABLE hits (
    source TEXT NOT NULL,
    time INTEGER NOT NULL,
    rule_id TEXT NOT NULL,
    meaning TEXT NOT NULL,
    story BLOB NOT NULL,
    account TEXT NOT NULL,
    event_id TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (source, time, rule_id, meaning, story, account, event_id)
) WITHOUT ROWID;
CREATE INDEX hits_story ON hits (source, rule_id, meaning, story);
