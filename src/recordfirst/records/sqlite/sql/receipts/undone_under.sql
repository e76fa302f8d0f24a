-- What the undo of this key and attempt takes back: key and attempt of that. Rows of an older version have no other attempt.
SELECT undoes, coalesce(undoes_attempt, attempt)
FROM recordfirst_undoing
WHERE app = :app AND key = :key AND attempt = :attempt
