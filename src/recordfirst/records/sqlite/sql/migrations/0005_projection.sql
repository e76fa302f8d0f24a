-- What mirrors are to show of the record. May be run again without harm.

CREATE TABLE IF NOT EXISTS recordfirst_projection (
    app             TEXT NOT NULL,
    key             TEXT NOT NULL,
    function        TEXT NOT NULL,
    workflow        TEXT,
    fingerprint     TEXT NOT NULL,
    request         TEXT NOT NULL,
    version         INTEGER NOT NULL CHECK (version >= 1),
    projected       INTEGER NOT NULL DEFAULT 0 CHECK (projected BETWEEN 0 AND version),
    tries           INTEGER NOT NULL DEFAULT 0,
    error           TEXT,
    asked_at_ms     INTEGER NOT NULL,
    projected_at_ms INTEGER,
    PRIMARY KEY (key, app)
);

-- Mirrors that are behind, at the cost of what there is of them.
CREATE INDEX IF NOT EXISTS recordfirst_projection_open ON recordfirst_projection (app, key) WHERE projected < version;
