-- What the undo of this key and attempt takes back: key and attempt of that. Rows of an older version have no other attempt.
SELECT undoes, coalesce(undoes_attempt, attempt)
FROM recordfirst.undoing
WHERE app = %(app)s AND key = %(key)s AND attempt = %(attempt)s
