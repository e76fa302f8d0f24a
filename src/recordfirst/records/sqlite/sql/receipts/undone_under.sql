-- What the undo of this key and attempt takes back: the key of that, which has the same attempt.
SELECT undoes, coalesce(undoes_attempt, attempt) FROM recordfirst_undoing WHERE app = :app AND key = :key AND attempt = :attempt
