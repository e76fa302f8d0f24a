-- Whose transaction this is: once. What was handled stays so.
UPDATE recordfirst_reversal SET handled_by = :by, error = NULL, next_at_ms = NULL
WHERE app = :app AND hash = :hash AND handled_by IS NULL
RETURNING hash
