-- What reconciles find, how far their passes have come, and what people did. May be run again without harm.

-- A disagreement that a reconcile saw. Opened, closed, never deleted; comes it again, it is another row.
CREATE TABLE IF NOT EXISTS recordfirst_finding (
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    app            TEXT NOT NULL,
    code           TEXT NOT NULL,
    subject        TEXT NOT NULL,
    workflow       TEXT,
    detail         TEXT NOT NULL,
    opened_at_ms   INTEGER NOT NULL,
    seen_at_ms     INTEGER NOT NULL,
    times          INTEGER NOT NULL DEFAULT 1,
    round          TEXT NOT NULL,
    closed_at_ms   INTEGER,
    closed_because TEXT,
    CHECK ((closed_at_ms IS NULL) = (closed_because IS NULL))
);

-- One is open at a time; and what is open is listed at the cost of what is open.
CREATE UNIQUE INDEX IF NOT EXISTS recordfirst_finding_open ON recordfirst_finding (subject, code, app)
    WHERE closed_at_ms IS NULL;

-- How far a pass has come, so that the next reconciler goes on from there.
CREATE TABLE IF NOT EXISTS recordfirst_pass (
    app            TEXT NOT NULL,
    name           TEXT NOT NULL,
    round          TEXT NOT NULL,
    position       TEXT,
    finished_at_ms INTEGER,
    PRIMARY KEY (name, app)
);

-- Who changed what, when, and why.
CREATE TABLE IF NOT EXISTS recordfirst_audit (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    app     TEXT NOT NULL,
    at_ms   INTEGER NOT NULL,
    who     TEXT NOT NULL,
    command TEXT NOT NULL,
    subject TEXT NOT NULL,
    why     TEXT,
    detail  TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS recordfirst_audit_by_subject ON recordfirst_audit (subject, app);
