-- recordfirst's tables. May be run again without harm, by recordfirst or by the sqlite3 shell.
-- Times are milliseconds since 1970; the views at the end show them as people read them.

CREATE TABLE IF NOT EXISTS recordfirst_migration (
    version       INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    applied_at_ms INTEGER NOT NULL
);

-- The record's clock, in one place. SQLite holds it still within a statement.
CREATE VIEW IF NOT EXISTS recordfirst_clock AS
SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) AS now_ms;

-- A workflow that was accepted, and what came of it.
CREATE TABLE IF NOT EXISTS recordfirst_start (
    app            TEXT NOT NULL,
    id             TEXT NOT NULL,
    workflow       TEXT NOT NULL,
    arguments      TEXT NOT NULL,
    fingerprint    TEXT NOT NULL,
    state          TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'succeeded', 'failed')),
    epoch          INTEGER NOT NULL DEFAULT 1 CHECK (epoch >= 1),
    engine         TEXT,
    result         TEXT,
    error          TEXT,
    created_at_ms  INTEGER NOT NULL,
    finished_at_ms INTEGER,
    PRIMARY KEY (id, app),
    CHECK ((state = 'open') = (finished_at_ms IS NULL))
);

-- Open starts first come, first served, at the cost of what is open; and the newest of any state, for people.
CREATE INDEX IF NOT EXISTS recordfirst_start_by_state ON recordfirst_start (state, app, created_at_ms);

-- A write or an effect that happened, or may have.
CREATE TABLE IF NOT EXISTS recordfirst_receipt (
    app             TEXT NOT NULL,
    key             TEXT NOT NULL,
    attempt         INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    kind            TEXT NOT NULL CHECK (kind IN ('write', 'effect')),
    function        TEXT NOT NULL,
    workflow        TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('intended', 'unknown', 'declined', 'succeeded')),
    fingerprint     TEXT NOT NULL,
    request         TEXT NOT NULL,
    frozen          TEXT,
    undo            TEXT,
    result          TEXT,
    revision        INTEGER NOT NULL DEFAULT 1,
    created_at_ms   INTEGER NOT NULL,
    settled_at_ms   INTEGER,
    calls           INTEGER NOT NULL DEFAULT 0 CHECK (calls >= 0),
    doubts          INTEGER NOT NULL DEFAULT 0 CHECK (doubts >= 0),
    replayed        INTEGER NOT NULL DEFAULT 0 CHECK (replayed IN (0, 1)),
    reissue         INTEGER NOT NULL DEFAULT 0,
    claim           TEXT,
    claim_until_ms  INTEGER,
    key_since_ms    INTEGER,
    last_call_at_ms INTEGER,
    next_at_ms      INTEGER,
    reply           TEXT,
    error           TEXT,
    parked_on       TEXT,
    undone_by       TEXT,
    PRIMARY KEY (key, app, attempt),
    CHECK (state NOT IN ('declined', 'succeeded') OR settled_at_ms IS NOT NULL)
);

CREATE INDEX IF NOT EXISTS recordfirst_receipt_by_workflow ON recordfirst_receipt (workflow, app);

-- Effects that are not known to have happened, at the cost of what there is of them.
CREATE INDEX IF NOT EXISTS recordfirst_receipt_unsettled ON recordfirst_receipt (app, state, created_at_ms)
    WHERE kind = 'effect' AND state <> 'succeeded';

-- Workflows to be woken because their effect was resolved.
CREATE INDEX IF NOT EXISTS recordfirst_receipt_wakes ON recordfirst_receipt (app, key, attempt)
    WHERE parked_on IS NOT NULL AND state <> 'unknown';

CREATE VIEW IF NOT EXISTS recordfirst_start_readable AS
SELECT app, id, workflow, state, epoch, engine, arguments, result, error,
       strftime('%Y-%m-%d %H:%M:%f', created_at_ms / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%d %H:%M:%f', finished_at_ms / 1000.0, 'unixepoch') AS finished_at
FROM recordfirst_start;

CREATE VIEW IF NOT EXISTS recordfirst_receipt_readable AS
SELECT app, key, attempt, kind, function, workflow, state, calls, doubts, request, result, error, parked_on, undone_by,
       strftime('%Y-%m-%d %H:%M:%f', created_at_ms / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%d %H:%M:%f', settled_at_ms / 1000.0, 'unixepoch') AS settled_at,
       strftime('%Y-%m-%d %H:%M:%f', last_call_at_ms / 1000.0, 'unixepoch') AS last_call_at,
       strftime('%Y-%m-%d %H:%M:%f', next_at_ms / 1000.0, 'unixepoch') AS next_at
FROM recordfirst_receipt;
