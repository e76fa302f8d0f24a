-- Which attempt each undo takes back. May be run again without harm.

-- NULL, as in rows of an older version: of what has the same attempt.
ALTER TABLE recordfirst.undoing ADD COLUMN IF NOT EXISTS undoes_attempt integer CHECK (undoes_attempt >= 1);
