-- Rules with memory. Times are those of events, epoch seconds, UTC, unless said otherwise.

ALTER TABLE sources ADD COLUMN watermark DOUBLE PRECISION;      -- everything up to here was applied to the windows
ALTER TABLE sources ADD COLUMN late BIGINT NOT NULL DEFAULT 0;  -- matches that came behind the watermark
ALTER TABLE sources ADD COLUMN found_again BIGINT NOT NULL DEFAULT 0;  -- events that only a second look found
ALTER TABLE sources ADD COLUMN overlap DOUBLE PRECISION;        -- seconds, of the last poll

-- How late events come: counts in buckets whose bounds grow by a constant factor, so that two histograms can be added.
CREATE TABLE lags (
    source TEXT NOT NULL,
    service TEXT NOT NULL,
    measure TEXT NOT NULL,            -- 'seen': first seen - event time; 'behind': cursor at that moment - event time
    bucket INTEGER NOT NULL,
    count BIGINT NOT NULL,
    most DOUBLE PRECISION NOT NULL,   -- the largest value in the bucket, seconds
    PRIMARY KEY (source, service, measure, bucket)
);

-- What a rule remembers of one group. `meaning` is a digest of what the window counts: when it changes, counting begins anew.
CREATE TABLE windows (
    source TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    meaning TEXT NOT NULL,
    story BYTEA NOT NULL,             -- 16 bytes over the group's values
    due BIGINT NOT NULL,              -- when something happens to it by itself
    busy BIGINT NOT NULL,             -- matches so far
    last BIGINT NOT NULL,             -- the newest of them
    told INTEGER NOT NULL,            -- 1: holds a story that was told
    body BYTEA NOT NULL,
    PRIMARY KEY (source, rule_id, meaning, story)
);
CREATE INDEX windows_due ON windows (source, due);
CREATE INDEX windows_busy ON windows (source, rule_id, meaning, told, busy, last);
CREATE TABLE window_counts (
    source TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    meaning TEXT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (source, rule_id, meaning)
);

-- Matches that wait until the watermark has passed them.
CREATE TABLE hits (
    source TEXT NOT NULL,
    time BIGINT NOT NULL,
    rule_id TEXT NOT NULL,
    meaning TEXT NOT NULL,
    story BYTEA NOT NULL,
    account TEXT NOT NULL,
    event_id TEXT NOT NULL,
    body BYTEA NOT NULL
);
CREATE UNIQUE INDEX hits_once ON hits (source, time, rule_id, meaning, story, md5(account), md5(event_id));
CREATE INDEX hits_story ON hits (source, rule_id, meaning, story);
