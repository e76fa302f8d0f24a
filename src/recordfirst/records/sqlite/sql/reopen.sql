-- A failed workflow's next life: a new epoch, which no engine has yet. Who cancelled it, and why, stays.
UPDATE recordfirst_start
SET state = 'open', epoch = epoch + 1, engine = NULL, result = NULL, error = CASE WHEN lives_from IS NOT NULL THEN error END, finished_at_ms = NULL
WHERE app = :app AND id = :id AND state = 'failed'
RETURNING {start}
