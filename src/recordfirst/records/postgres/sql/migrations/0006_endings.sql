-- Workflows that a person ends, and those whose rows were collected. May be run again without harm.
-- The check is not validated: what is there satisfies a narrower one, and a table of any size is not read for it.

ALTER TABLE recordfirst.start ADD COLUMN IF NOT EXISTS lives_from integer;
ALTER TABLE recordfirst.start ADD COLUMN IF NOT EXISTS left_in text COLLATE "C";
ALTER TABLE recordfirst.start DROP CONSTRAINT IF EXISTS start_state_check;
ALTER TABLE recordfirst.start ADD CONSTRAINT start_state_check
    CHECK (state IN ('open', 'succeeded', 'failed', 'cancelled', 'collected')) NOT VALID;

-- Lives that are over in the record, and that an engine may still hold: asked for each second, and nearly always empty.
CREATE INDEX IF NOT EXISTS start_left ON recordfirst.start (left_in, app) WHERE left_in IS NOT NULL;
