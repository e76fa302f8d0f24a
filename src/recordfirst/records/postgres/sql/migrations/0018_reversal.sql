-- What providers have taken back of what had succeeded. May be run again without harm.

-- A row for each fact, by the hash of what makes it the one that it is. The receipt that it is about stays as it was.
CREATE TABLE IF NOT EXISTS recordfirst.reversal (
    app          text COLLATE "C" NOT NULL,
    hash         text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    attempt      integer NOT NULL CHECK (attempt >= 1),
    number       integer NOT NULL CHECK (number >= 1),
    kind         text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL,
    currency     text NOT NULL,
    happened_at  timestamptz NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    found_by     text NOT NULL,
    handled_by   text,
    tries        integer NOT NULL DEFAULT 0,
    error        json,
    next_at      timestamptz,
    PRIMARY KEY (hash, app)
);

-- Those of one receipt, in order.
CREATE UNIQUE INDEX IF NOT EXISTS reversal_of ON recordfirst.reversal (key, app, attempt, number);

-- What a handler is to be tried for again, at the cost of what is due.
CREATE INDEX IF NOT EXISTS reversal_due ON recordfirst.reversal (next_at, app) WHERE next_at IS NOT NULL;

-- What nobody has handled, for a reconcile and for people.
CREATE INDEX IF NOT EXISTS reversal_unhandled ON recordfirst.reversal (app, hash) WHERE handled_by IS NULL;
