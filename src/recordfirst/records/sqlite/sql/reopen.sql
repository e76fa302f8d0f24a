-- A failed workflow's next life: a new epoch, which no engine has yet.
UPDATE recordfirst_start
SET state = 'open', epoch = epoch + 1, engine = NULL, result = NULL, error = NULL, finished_at_ms = NULL
WHERE app = :app AND id = :id AND state = 'failed'
RETURNING {start}
