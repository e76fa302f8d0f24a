-- recordfirst's tables. May be run again without harm, by recordfirst or by psql.
-- Text that identifies is compared byte by byte (COLLATE "C"): the same on every machine, and no operating system's
-- upgrade can break the indexes. JSON is json, not jsonb: it must come back as it was stored, byte for byte.
-- No full index begins with the app: on new tables the planner knows no better than to take any index that fits, and
-- keeps that plan; one that fits by the app alone would read all of it.

CREATE SCHEMA IF NOT EXISTS recordfirst;

CREATE TABLE IF NOT EXISTS recordfirst.migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A workflow that was accepted, and what came of it.
CREATE TABLE IF NOT EXISTS recordfirst.start (
    app         text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    workflow    text NOT NULL,
    arguments   json NOT NULL,
    fingerprint text NOT NULL,
    state       text COLLATE "C" NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'succeeded', 'failed')),
    epoch       integer NOT NULL DEFAULT 1 CHECK (epoch >= 1),
    engine      text,
    result      json,
    error       json,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    PRIMARY KEY (id, app),
    CHECK ((state = 'open') = (finished_at IS NULL))
);

-- Open starts first come, first served, at the cost of what is open; and the newest of any state, for people.
-- The engine is not in it: being dispatched then touches no index.
CREATE INDEX IF NOT EXISTS start_by_state ON recordfirst.start (state, app, created_at);

-- A write or an effect that happened, or may have.
CREATE TABLE IF NOT EXISTS recordfirst.receipt (
    app          text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    attempt      integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    kind         text NOT NULL CHECK (kind IN ('write', 'effect')),
    function     text NOT NULL,
    workflow     text COLLATE "C" NOT NULL,
    state        text COLLATE "C" NOT NULL CHECK (state IN ('intended', 'unknown', 'declined', 'succeeded')),
    fingerprint  text NOT NULL,
    request      json NOT NULL,
    frozen       json,
    undo         text,
    result       json,
    revision     bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at   timestamptz,
    calls        integer NOT NULL DEFAULT 0 CHECK (calls >= 0),
    doubts       integer NOT NULL DEFAULT 0 CHECK (doubts >= 0),
    replayed     boolean NOT NULL DEFAULT false,
    reissue      integer NOT NULL DEFAULT 0,
    claim        text,
    claim_until  timestamptz,
    key_since    timestamptz,
    last_call_at timestamptz,
    next_at      timestamptz,
    reply        json,
    error        json,
    parked_on    text,
    undone_by    text,
    PRIMARY KEY (key, app, attempt),
    CHECK (state NOT IN ('declined', 'succeeded') OR settled_at IS NOT NULL)
);

CREATE INDEX IF NOT EXISTS receipt_by_workflow ON recordfirst.receipt (workflow, app);

-- Effects that are not known to have happened, at the cost of what there is of them.
CREATE INDEX IF NOT EXISTS receipt_unsettled ON recordfirst.receipt (app, state, created_at)
    WHERE kind = 'effect' AND state <> 'succeeded';

-- Workflows to be woken because their effect was resolved.
CREATE INDEX IF NOT EXISTS receipt_wakes ON recordfirst.receipt (app, key, attempt)
    WHERE parked_on IS NOT NULL AND state <> 'unknown';
