-- A failed workflow's next life: a new epoch, which no engine has yet.
UPDATE recordfirst.start
SET state = 'open', epoch = epoch + 1, engine = NULL, result = NULL, error = NULL, finished_at = NULL
WHERE app = %(app)s AND id = %(id)s AND state = 'failed'
RETURNING {start}
