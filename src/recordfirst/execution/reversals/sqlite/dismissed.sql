-- An operator has dealt with what a finding is about: no handler does it again. By recordfirst_reversal_unhandled.
UPDATE recordfirst_reversal SET handled_by = :by, next_at_ms = NULL
WHERE app = :app AND handled_by IS NULL
  AND key || CASE WHEN attempt = 1 THEN '' ELSE '#' || CAST(attempt AS TEXT) END || '/' || kind || '/' || id = :subject
RETURNING hash
