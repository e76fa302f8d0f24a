-- Effects that a provider has taken on and has not decided yet. May be run again without harm.
-- The indexes come first: they stand on columns that are there, so they are built beside the work.

-- Pending effects by the time at which they are looked at: asked for each second, and nearly always nothing is due.
CREATE INDEX IF NOT EXISTS receipt_pending ON recordfirst.receipt (app, next_at) WHERE state = 'pending';

-- Workflows to be woken because their effect was settled; receipt_wakes would hold all that is pending, too.
CREATE INDEX IF NOT EXISTS receipt_to_wake ON recordfirst.receipt (app, key, attempt)
    WHERE parked_on IS NOT NULL AND state NOT IN ('unknown', 'pending');

DROP INDEX IF EXISTS recordfirst.receipt_wakes;

ALTER TABLE recordfirst.receipt ADD COLUMN IF NOT EXISTS pending_since timestamptz;
ALTER TABLE recordfirst.receipt ADD COLUMN IF NOT EXISTS until_at timestamptz;
-- The check is not validated: what is there satisfies a narrower one, and a table of any size is not read for it.
ALTER TABLE recordfirst.receipt DROP CONSTRAINT IF EXISTS receipt_state_check;
ALTER TABLE recordfirst.receipt ADD CONSTRAINT receipt_state_check
    CHECK (state IN ('intended', 'unknown', 'pending', 'declined', 'succeeded')) NOT VALID;

-- Under which names a provider knows what a call has made.
CREATE TABLE IF NOT EXISTS recordfirst.receipt_reference (
    app      text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    attempt  integer NOT NULL CHECK (attempt >= 1),
    kind     text COLLATE "C" NOT NULL,
    id       text COLLATE "C" NOT NULL,
    PRIMARY KEY (key, app, attempt, kind, id)
);

CREATE INDEX IF NOT EXISTS receipt_reference_by_id ON recordfirst.receipt_reference (id, app);
