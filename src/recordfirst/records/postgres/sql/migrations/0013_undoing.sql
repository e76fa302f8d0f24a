-- What each undo takes back. May be run again without harm.

-- Stored before the undo is called. One key of an undo is for one effect, so that none is taken back in name only.
CREATE TABLE IF NOT EXISTS recordfirst.undoing (
    app      text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    attempt  integer NOT NULL CHECK (attempt >= 1),
    undoes   text COLLATE "C" NOT NULL,
    workflow text COLLATE "C" NOT NULL,
    PRIMARY KEY (key, app, attempt)
);

CREATE INDEX IF NOT EXISTS undoing_by_workflow ON recordfirst.undoing (workflow, app);
