-- Which attempt each undo takes back. May be run again without harm. SQLite adds no column that may be there, so the
-- table is made anew.

DROP TABLE IF EXISTS recordfirst_undoing_wider;
CREATE TABLE IF NOT EXISTS recordfirst_undoing_wider (
    app            TEXT NOT NULL,
    key            TEXT NOT NULL,
    attempt        INTEGER NOT NULL CHECK (attempt >= 1),
    undoes         TEXT NOT NULL,
    undoes_attempt INTEGER CHECK (undoes_attempt >= 1), -- NULL, as in rows of an older version: the same attempt
    workflow       TEXT NOT NULL,
    PRIMARY KEY (key, app, attempt)
);

INSERT INTO recordfirst_undoing_wider
SELECT app, key, attempt, undoes,
       (SELECT undoes_attempt FROM (SELECT * FROM recordfirst_undoing WHERE rowid = old.row)), workflow
FROM (SELECT NULL AS undoes_attempt) AS absent,
     (SELECT rowid AS row, app, key, attempt, undoes, workflow FROM recordfirst_undoing) AS old;

DROP TABLE recordfirst_undoing;
ALTER TABLE recordfirst_undoing_wider RENAME TO recordfirst_undoing;

CREATE INDEX IF NOT EXISTS recordfirst_undoing_by_workflow ON recordfirst_undoing (workflow, app);
