-- Effects that a provider has taken on and has not decided yet. May be run again without harm.
-- SQLite cannot widen a check, so the table is made anew, as in 0006_endings.sql.

DROP VIEW IF EXISTS recordfirst_receipt_readable;
DROP TABLE IF EXISTS recordfirst_receipt_wider;

CREATE TABLE IF NOT EXISTS recordfirst_receipt_wider (
    app              TEXT NOT NULL,
    key              TEXT NOT NULL,
    attempt          INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    kind             TEXT NOT NULL CHECK (kind IN ('write', 'effect')),
    function         TEXT NOT NULL,
    workflow         TEXT NOT NULL,
    state            TEXT NOT NULL CHECK (state IN ('intended', 'unknown', 'pending', 'declined', 'succeeded')),
    fingerprint      TEXT NOT NULL,
    request          TEXT NOT NULL,
    frozen           TEXT,
    undo             TEXT,
    result           TEXT,
    revision         INTEGER NOT NULL DEFAULT 1,
    created_at_ms    INTEGER NOT NULL,
    settled_at_ms    INTEGER,
    calls            INTEGER NOT NULL DEFAULT 0 CHECK (calls >= 0),
    doubts           INTEGER NOT NULL DEFAULT 0 CHECK (doubts >= 0),
    replayed         INTEGER NOT NULL DEFAULT 0 CHECK (replayed IN (0, 1)),
    reissue          INTEGER NOT NULL DEFAULT 0,
    claim            TEXT,
    claim_until_ms   INTEGER,
    key_since_ms     INTEGER,
    last_call_at_ms  INTEGER,
    next_at_ms       INTEGER,
    reply            TEXT,
    error            TEXT,
    parked_on        TEXT,
    undone_by        TEXT,
    pending_since_ms INTEGER,
    until_at_ms      INTEGER,
    PRIMARY KEY (key, app, attempt),
    CHECK (state NOT IN ('declined', 'succeeded') OR settled_at_ms IS NOT NULL)
);

INSERT INTO recordfirst_receipt_wider
SELECT app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result, revision,
       created_at_ms, settled_at_ms, calls, doubts, replayed, reissue, claim, claim_until_ms, key_since_ms,
       last_call_at_ms, next_at_ms, reply, error, parked_on, undone_by,
       (SELECT pending_since_ms FROM (SELECT * FROM recordfirst_receipt WHERE rowid = old.row)),
       (SELECT until_at_ms FROM (SELECT * FROM recordfirst_receipt WHERE rowid = old.row))
FROM (SELECT NULL AS pending_since_ms, NULL AS until_at_ms) AS absent,
     (SELECT rowid AS row, app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo,
             result, revision, created_at_ms, settled_at_ms, calls, doubts, replayed, reissue, claim, claim_until_ms,
             key_since_ms, last_call_at_ms, next_at_ms, reply, error, parked_on, undone_by
      FROM recordfirst_receipt) AS old
ORDER BY old.row;

DROP TABLE recordfirst_receipt;
PRAGMA legacy_alter_table = ON;
ALTER TABLE recordfirst_receipt_wider RENAME TO recordfirst_receipt;
PRAGMA legacy_alter_table = OFF;

CREATE INDEX IF NOT EXISTS recordfirst_receipt_by_workflow ON recordfirst_receipt (workflow, app);

-- Effects that are not known to have happened, at the cost of what there is of them.
CREATE INDEX IF NOT EXISTS recordfirst_receipt_unsettled ON recordfirst_receipt (app, state, created_at_ms)
    WHERE kind = 'effect' AND state <> 'succeeded';

-- Pending effects by the time at which they are looked at: asked for each second, and nearly always nothing is due.
CREATE INDEX IF NOT EXISTS recordfirst_receipt_pending ON recordfirst_receipt (app, next_at_ms)
    WHERE state = 'pending';

-- Workflows to be woken because their effect was settled.
CREATE INDEX IF NOT EXISTS recordfirst_receipt_to_wake ON recordfirst_receipt (app, key, attempt)
    WHERE parked_on IS NOT NULL AND state NOT IN ('unknown', 'pending');

-- Under which names a provider knows what a call has made.
CREATE TABLE IF NOT EXISTS recordfirst_receipt_reference (
    app     TEXT NOT NULL,
    key     TEXT NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    PRIMARY KEY (key, app, attempt, kind, id)
);

CREATE INDEX IF NOT EXISTS recordfirst_receipt_reference_by_id ON recordfirst_receipt_reference (id, app);

CREATE VIEW IF NOT EXISTS recordfirst_receipt_readable AS
SELECT app, key, attempt, kind, function, workflow, state, calls, doubts, request, result, error, parked_on, undone_by,
       strftime('%Y-%m-%d %H:%M:%f', created_at_ms / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%d %H:%M:%f', settled_at_ms / 1000.0, 'unixepoch') AS settled_at,
       strftime('%Y-%m-%d %H:%M:%f', last_call_at_ms / 1000.0, 'unixepoch') AS last_call_at,
       strftime('%Y-%m-%d %H:%M:%f', next_at_ms / 1000.0, 'unixepoch') AS next_at,
       strftime('%Y-%m-%d %H:%M:%f', pending_since_ms / 1000.0, 'unixepoch') AS pending_since,
       strftime('%Y-%m-%d %H:%M:%f', until_at_ms / 1000.0, 'unixepoch') AS until_at
FROM recordfirst_receipt;
