-- Whose transaction this is: once. What was handled stays so.
UPDATE recordfirst.reversal SET handled_by = %(by)s, error = NULL, next_at = NULL
WHERE app = %(app)s AND hash = %(hash)s AND handled_by IS NULL
RETURNING hash
