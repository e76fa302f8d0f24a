-- By what a restore of the record or of an engine is noticed. May be run again without harm.

-- One row per app.
CREATE TABLE IF NOT EXISTS recordfirst.timeline (
    app           text COLLATE "C" PRIMARY KEY,
    record        text NOT NULL,
    witness       text,
    restores      integer NOT NULL DEFAULT 0,
    held          text,
    held_at       timestamptz,
    seen_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    lost_from     timestamptz,
    accepted_at   timestamptz,
    doubted_until timestamptz
);

-- The newest mark that each engine was to keep.
CREATE TABLE IF NOT EXISTS recordfirst.mark (
    app       text COLLATE "C" NOT NULL,
    engine    text COLLATE "C" NOT NULL,
    space     integer NOT NULL,
    number    bigint NOT NULL,
    token     text NOT NULL,
    confirmed boolean NOT NULL,
    PRIMARY KEY (engine, app)
);
