-- What each undo takes back. May be run again without harm.

-- Stored before the undo is called. One key of an undo is for one effect, so that none is taken back in name only.
CREATE TABLE IF NOT EXISTS recordfirst_undoing (
    app      TEXT NOT NULL,
    key      TEXT NOT NULL,
    attempt  INTEGER NOT NULL CHECK (attempt >= 1),
    undoes   TEXT NOT NULL,
    workflow TEXT NOT NULL,
    PRIMARY KEY (key, app, attempt)
);

CREATE INDEX IF NOT EXISTS recordfirst_undoing_by_workflow ON recordfirst_undoing (workflow, app);
