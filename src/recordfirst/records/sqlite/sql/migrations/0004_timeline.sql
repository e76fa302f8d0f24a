-- By what a restore of the record or of an engine is noticed. May be run again without harm.

-- One row per app.
CREATE TABLE IF NOT EXISTS recordfirst_timeline (
    app              TEXT PRIMARY KEY,
    record           TEXT NOT NULL,
    witness          TEXT,
    restores         INTEGER NOT NULL DEFAULT 0,
    held             TEXT,
    held_at_ms       INTEGER,
    seen_at_ms       INTEGER NOT NULL,
    lost_from_ms     INTEGER,
    accepted_at_ms   INTEGER,
    doubted_until_ms INTEGER
);

-- The newest mark that each engine was to keep.
CREATE TABLE IF NOT EXISTS recordfirst_mark (
    app       TEXT NOT NULL,
    engine    TEXT NOT NULL,
    space     INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    token     TEXT NOT NULL,
    confirmed INTEGER NOT NULL,
    PRIMARY KEY (engine, app)
);
