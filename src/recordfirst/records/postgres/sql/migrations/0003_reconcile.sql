-- What reconciles find, how far their passes have come, and what people did. May be run again without harm.

-- A disagreement that a reconcile saw. Opened, closed, never deleted; comes it again, it is another row.
CREATE TABLE IF NOT EXISTS recordfirst.finding (
    number         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app            text COLLATE "C" NOT NULL,
    code           text COLLATE "C" NOT NULL,
    subject        text COLLATE "C" NOT NULL,
    workflow       text COLLATE "C",
    detail         text NOT NULL,
    opened_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    times          integer NOT NULL DEFAULT 1,
    round          text NOT NULL,
    closed_at      timestamptz,
    closed_because text,
    CHECK ((closed_at IS NULL) = (closed_because IS NULL))
);

-- One is open at a time; and what is open is listed at the cost of what is open.
CREATE UNIQUE INDEX IF NOT EXISTS finding_open ON recordfirst.finding (subject, code, app) WHERE closed_at IS NULL;

-- How far a pass has come, so that the next reconciler goes on from there.
CREATE TABLE IF NOT EXISTS recordfirst.pass (
    app         text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    round       text NOT NULL,
    position    text,
    finished_at timestamptz,
    PRIMARY KEY (name, app)
);

-- Who changed what, when, and why.
CREATE TABLE IF NOT EXISTS recordfirst.audit (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app     text COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    who     text NOT NULL,
    command text NOT NULL,
    subject text COLLATE "C" NOT NULL,
    why     text,
    detail  text NOT NULL
);

CREATE INDEX IF NOT EXISTS audit_by_subject ON recordfirst.audit (subject, app);
