-- What providers have taken back of what had succeeded. May be run again without harm.

-- A row for each fact, by the hash of what makes it the one that it is. The receipt that it is about stays as it was.
CREATE TABLE IF NOT EXISTS recordfirst_reversal (
    app            TEXT NOT NULL,
    hash           TEXT NOT NULL,
    key            TEXT NOT NULL,
    attempt        INTEGER NOT NULL CHECK (attempt >= 1),
    number         INTEGER NOT NULL CHECK (number >= 1),
    kind           TEXT NOT NULL,
    id             TEXT NOT NULL,
    amount_minor   INTEGER NOT NULL,
    currency       TEXT NOT NULL,
    happened_at_ms INTEGER NOT NULL,
    seen_at_ms     INTEGER NOT NULL,
    found_by       TEXT NOT NULL,
    handled_by     TEXT,
    tries          INTEGER NOT NULL DEFAULT 0,
    error          TEXT,
    next_at_ms     INTEGER,
    PRIMARY KEY (hash, app)
);

-- Those of one receipt, in order.
CREATE UNIQUE INDEX IF NOT EXISTS recordfirst_reversal_of ON recordfirst_reversal (key, app, attempt, number);

-- What a handler is to be tried for again, at the cost of what is due.
CREATE INDEX IF NOT EXISTS recordfirst_reversal_due ON recordfirst_reversal (next_at_ms, app) WHERE next_at_ms IS NOT NULL;

-- What nobody has handled, for a reconcile and for people.
CREATE INDEX IF NOT EXISTS recordfirst_reversal_unhandled ON recordfirst_reversal (app, hash) WHERE handled_by IS NULL;
