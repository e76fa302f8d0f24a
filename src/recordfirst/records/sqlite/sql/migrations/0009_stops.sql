-- Workflows that a defect has stopped. May be run again without harm.
-- A stopped workflow is open: nothing of it runs until another version of the app, or an operator, lets it go on.
-- SQLite cannot add a column that may be there, so the table is made anew, as in 0006_endings.sql.

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
    undo_only      INTEGER NOT NULL DEFAULT 0 CHECK (undo_only IN (0, 1)),
    stop           TEXT,
    stopped_at_ms  INTEGER,
    stopped_in     TEXT,
    tries          INTEGER NOT NULL DEFAULT 0,
    again          TEXT,
    PRIMARY KEY (id, app),
    CHECK ((state = 'open') = (finished_at_ms IS NULL))
);

-- Until now, an open or failed workflow whose earlier epochs were ended was one that is being cancelled with undo.
INSERT INTO recordfirst_start_wider
SELECT app, id, workflow, arguments, fingerprint, state, epoch, engine, result, error, created_at_ms, finished_at_ms,
       lives_from, left_in,
       (SELECT coalesce(undo_only, state IN ('open', 'failed') AND lives_from IS NOT NULL)
        FROM (SELECT * FROM recordfirst_start WHERE rowid = old.row)),
       (SELECT stop FROM (SELECT * FROM recordfirst_start WHERE rowid = old.row)),
       (SELECT stopped_at_ms FROM (SELECT * FROM recordfirst_start WHERE rowid = old.row)),
       (SELECT stopped_in FROM (SELECT * FROM recordfirst_start WHERE rowid = old.row)),
       (SELECT coalesce(tries, 0) FROM (SELECT * FROM recordfirst_start WHERE rowid = old.row)),
       (SELECT again FROM (SELECT * FROM recordfirst_start WHERE rowid = old.row))
FROM (SELECT NULL AS undo_only, NULL AS stop, NULL AS stopped_at_ms, NULL AS stopped_in, NULL AS tries, NULL AS again)
         AS absent,
     (SELECT rowid AS row, app, id, workflow, arguments, fingerprint, state, epoch, engine, result, error,
             created_at_ms, finished_at_ms, lives_from, left_in
      FROM recordfirst_start) AS old
ORDER BY old.row;

DROP TABLE recordfirst_start;
PRAGMA legacy_alter_table = ON;
ALTER TABLE recordfirst_start_wider RENAME TO recordfirst_start;
PRAGMA legacy_alter_table = OFF;

CREATE INDEX IF NOT EXISTS recordfirst_start_by_state ON recordfirst_start (state, app, created_at_ms);
CREATE INDEX IF NOT EXISTS recordfirst_start_left ON recordfirst_start (left_in, app) WHERE left_in IS NOT NULL;

-- Open starts that are not stopped, by the engine that has them: what a worker is to take.
CREATE INDEX IF NOT EXISTS recordfirst_start_to_run ON recordfirst_start (app, engine, created_at_ms)
    WHERE finished_at_ms IS NULL AND stopped_at_ms IS NULL;

-- Stopped workflows: nearly always none.
CREATE INDEX IF NOT EXISTS recordfirst_start_stopped ON recordfirst_start (app, stopped_at_ms)
    WHERE stopped_at_ms IS NOT NULL;

CREATE VIEW IF NOT EXISTS recordfirst_start_readable AS
SELECT app, id, workflow, state, epoch, engine, arguments, result, error, stop, stopped_in, tries,
       strftime('%Y-%m-%d %H:%M:%f', created_at_ms / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%d %H:%M:%f', finished_at_ms / 1000.0, 'unixepoch') AS finished_at,
       strftime('%Y-%m-%d %H:%M:%f', stopped_at_ms / 1000.0, 'unixepoch') AS stopped_at
FROM recordfirst_start;
