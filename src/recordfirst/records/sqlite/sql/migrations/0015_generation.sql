-- Marks are counted in generations, and what the product says of its own history is an id of that. May be run again
-- without harm. SQLite renames no column that may have its new name, so both tables are made anew; each value is read
-- under the name that its column has by now.

DROP TABLE IF EXISTS recordfirst_timeline_wider;
CREATE TABLE IF NOT EXISTS recordfirst_timeline_wider (
    app              TEXT PRIMARY KEY,
    record           TEXT NOT NULL,
    history_id       TEXT,
    restores         INTEGER NOT NULL DEFAULT 0,
    held             TEXT,
    held_at_ms       INTEGER,
    seen_at_ms       INTEGER NOT NULL,
    lost_from_ms     INTEGER,
    accepted_at_ms   INTEGER,
    doubted_until_ms INTEGER
);

INSERT INTO recordfirst_timeline_wider
SELECT app, record,
       (SELECT coalesce(history_id, witness) FROM (SELECT * FROM recordfirst_timeline WHERE rowid = old.row)),
       restores, held, held_at_ms, seen_at_ms, lost_from_ms, accepted_at_ms, doubted_until_ms
FROM (SELECT NULL AS history_id, NULL AS witness) AS absent,
     (SELECT rowid AS row, app, record, restores, held, held_at_ms, seen_at_ms, lost_from_ms, accepted_at_ms,
             doubted_until_ms
      FROM recordfirst_timeline) AS old;

DROP TABLE recordfirst_timeline;
ALTER TABLE recordfirst_timeline_wider RENAME TO recordfirst_timeline;

DROP TABLE IF EXISTS recordfirst_mark_wider;
CREATE TABLE IF NOT EXISTS recordfirst_mark_wider (
    app        TEXT NOT NULL,
    engine     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    token      TEXT NOT NULL,
    confirmed  INTEGER NOT NULL,
    PRIMARY KEY (engine, app)
);

INSERT INTO recordfirst_mark_wider
SELECT app, engine,
       (SELECT coalesce(generation, space) FROM (SELECT * FROM recordfirst_mark WHERE rowid = old.row)),
       number, token, confirmed
FROM (SELECT NULL AS generation, NULL AS space) AS absent,
     (SELECT rowid AS row, app, engine, number, token, confirmed FROM recordfirst_mark) AS old;

DROP TABLE recordfirst_mark;
ALTER TABLE recordfirst_mark_wider RENAME TO recordfirst_mark;
