-- What providers tell by themselves. May be run again without harm.

-- An event counts once for good: its row stays, by the hash of its id, when its retention drops all else.
CREATE TABLE IF NOT EXISTS recordfirst.event (
    app         text COLLATE "C" NOT NULL,
    hash        text COLLATE "C" NOT NULL,
    provider    text COLLATE "C" NOT NULL,
    id          text COLLATE "C",
    type        text COLLATE "C" NOT NULL,
    livemode    boolean,
    account     text,
    names       json NOT NULL,
    body        json,
    state       text COLLATE "C" NOT NULL CHECK (state IN ('open', 'waiting', 'done', 'stopped', 'ignored')),
    tries       integer NOT NULL DEFAULT 0,
    looks       integer NOT NULL DEFAULT 0,
    error       json,
    happened_at timestamptz,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_at     timestamptz,
    PRIMARY KEY (hash, app)
);

-- What is to be taken up, at the cost of what is due.
CREATE INDEX IF NOT EXISTS event_due ON recordfirst.event (next_at, app) WHERE next_at IS NOT NULL;

-- What is not done, for a reconcile and for people.
CREATE INDEX IF NOT EXISTS event_open ON recordfirst.event (received_at, app) WHERE state IN ('open', 'waiting', 'stopped');

-- Newest first, and what a retention is over for.
CREATE INDEX IF NOT EXISTS event_received ON recordfirst.event (received_at, app);

-- By the id that people know.
CREATE INDEX IF NOT EXISTS event_by_id ON recordfirst.event (id, app) WHERE id IS NOT NULL;
