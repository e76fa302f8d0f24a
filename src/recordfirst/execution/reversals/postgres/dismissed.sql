-- An operator has dealt with what a finding is about: no handler does it again. By reversal_unhandled.
UPDATE recordfirst.reversal SET handled_by = %(by)s, next_at = NULL
WHERE app = %(app)s AND handled_by IS NULL
  AND key || CASE WHEN attempt = 1 THEN '' ELSE '#' || attempt::text END || '/' || kind || '/' || id = %(subject)s
RETURNING hash
