-- What the undo of this key and attempt takes back: the key of that, which has the same attempt.
SELECT undoes, coalesce(undoes_attempt, attempt) FROM recordfirst.undoing WHERE app = %(app)s AND key = %(key)s AND attempt = %(attempt)s
