-- What mirrors are to show of the record. May be run again without harm.

CREATE TABLE IF NOT EXISTS recordfirst.projection (
    app          text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    function     text NOT NULL,
    workflow     text COLLATE "C",
    fingerprint  text NOT NULL,
    request      json NOT NULL,
    version      bigint NOT NULL CHECK (version >= 1),
    projected    bigint NOT NULL DEFAULT 0 CHECK (projected BETWEEN 0 AND version),
    tries        integer NOT NULL DEFAULT 0,
    error        json,
    asked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    projected_at timestamptz,
    PRIMARY KEY (key, app)
);

-- Mirrors that are behind, at the cost of what there is of them.
CREATE INDEX IF NOT EXISTS projection_open ON recordfirst.projection (app, key) WHERE projected < version;
