-- Workflows that a person ends, and those whose rows were collected. May be run again without harm.
-- SQLite cannot widen a check, so the table is made anew. Run again, it keeps what the new columns hold: a column that
-- the table has not got yet is that of `absent`. Renamed in the old way, which looks at no view of the user's that reads it.

DROP VIEW IF EXISTS recordfirst_start_readable;
DROP TABLE IF EXISTS recordfirst_start_wider;

CREATE TABLE IF NOT EXISTS recordfirst_start_wider (
    app            TEXT NOT NULL,
    id             TEXT NOT NULL,
    workflow       TEXT NOT NULL,
    arguments      TEXT NOT NULL,
    fingerprint    TEXT NOT NULL,
    state          TEXT NOT NULL DEFAULT 'open'
                   CHECK (state IN ('open', 'succeeded', 'failed', 'cancelled', 'collected')),
    epoch          INTEGER NOT NULL DEFAULT 1 CHECK (epoch >= 1),
    engine         TEXT,
    result         TEXT,
    error          TEXT,
    created_at_ms  INTEGER NOT NULL,
    finished_at_ms INTEGER,
    lives_from     INTEGER,
    left_in        TEXT,
    PRIMARY KEY (id, app),
    CHECK ((state = 'open') = (finished_at_ms IS NULL))
);

INSERT INTO recordfirst_start_wider
SELECT app, id, workflow, arguments, fingerprint, state, epoch, engine, result, error, created_at_ms, finished_at_ms,
       (SELECT lives_from FROM (SELECT * FROM recordfirst_start WHERE rowid = old.row)),
       (SELECT left_in FROM (SELECT * FROM recordfirst_start WHERE rowid = old.row))
FROM (SELECT NULL AS lives_from, NULL AS left_in) AS absent,
     (SELECT rowid AS row, app, id, workflow, arguments, fingerprint, state, epoch, engine, result, error,
             created_at_ms, finished_at_ms
      FROM recordfirst_start) AS old
ORDER BY old.row;

DROP TABLE recordfirst_start;
PRAGMA legacy_alter_table = ON;
ALTER TABLE recordfirst_start_wider RENAME TO recordfirst_start;
PRAGMA legacy_alter_table = OFF;

CREATE INDEX IF NOT EXISTS recordfirst_start_by_state ON recordfirst_start (state, app, created_at_ms);

-- Lives that are over in the record, and that an engine may still hold: asked for each second, and nearly always empty.
CREATE INDEX IF NOT EXISTS recordfirst_start_left ON recordfirst_start (left_in, app) WHERE left_in IS NOT NULL;

CREATE VIEW IF NOT EXISTS recordfirst_start_readable AS
SELECT app, id, workflow, state, epoch, engine, arguments, result, error,
       strftime('%Y-%m-%d %H:%M:%f', created_at_ms / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%d %H:%M:%f', finished_at_ms / 1000.0, 'unixepoch') AS finished_at
FROM recordfirst_start;
