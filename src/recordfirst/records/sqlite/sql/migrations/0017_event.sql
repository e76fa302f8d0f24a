-- What providers tell by themselves. May be run again without harm.

-- An event counts once for good: its row stays, by the hash of its id, when its retention drops all else.
CREATE TABLE IF NOT EXISTS recordfirst_event (
    app            TEXT NOT NULL,
    hash           TEXT NOT NULL,
    provider       TEXT NOT NULL,
    id             TEXT,
    type           TEXT NOT NULL,
    livemode       INTEGER,
    account        TEXT,
    names          TEXT NOT NULL,
    body           TEXT,
    state          TEXT NOT NULL CHECK (state IN ('open', 'waiting', 'done', 'stopped', 'ignored')),
    tries          INTEGER NOT NULL DEFAULT 0,
    looks          INTEGER NOT NULL DEFAULT 0,
    error          TEXT,
    happened_at_ms INTEGER,
    received_at_ms INTEGER NOT NULL,
    next_at_ms     INTEGER,
    PRIMARY KEY (hash, app)
);

-- What is to be taken up, at the cost of what is due.
CREATE INDEX IF NOT EXISTS recordfirst_event_due ON recordfirst_event (next_at_ms, app) WHERE next_at_ms IS NOT NULL;

-- What is not done, for a reconcile and for people.
CREATE INDEX IF NOT EXISTS recordfirst_event_open ON recordfirst_event (received_at_ms, app)
    WHERE state IN ('open', 'waiting', 'stopped');

-- Newest first, and what a retention is over for.
CREATE INDEX IF NOT EXISTS recordfirst_event_received ON recordfirst_event (received_at_ms, app);

-- By the id that people know.
CREATE INDEX IF NOT EXISTS recordfirst_event_by_id ON recordfirst_event (id, app) WHERE id IS NOT NULL;
