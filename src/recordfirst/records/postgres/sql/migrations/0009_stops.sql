-- Workflows that a defect has stopped. May be run again without harm.
-- A stopped workflow is open: nothing of it runs until another version of the app, or an operator, lets it go on.

ALTER TABLE recordfirst.start ADD COLUMN IF NOT EXISTS undo_only boolean NOT NULL DEFAULT false;
ALTER TABLE recordfirst.start ADD COLUMN IF NOT EXISTS stop json;
ALTER TABLE recordfirst.start ADD COLUMN IF NOT EXISTS stopped_at timestamptz;
ALTER TABLE recordfirst.start ADD COLUMN IF NOT EXISTS stopped_in text COLLATE "C";
ALTER TABLE recordfirst.start ADD COLUMN IF NOT EXISTS tries integer NOT NULL DEFAULT 0;
ALTER TABLE recordfirst.start ADD COLUMN IF NOT EXISTS again json;

-- Until now, an open or failed workflow whose earlier epochs were ended was one that is being cancelled with undo.
UPDATE recordfirst.start SET undo_only = true
WHERE state IN ('open', 'failed') AND lives_from IS NOT NULL AND stopped_in IS NULL AND NOT undo_only;
