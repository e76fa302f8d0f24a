-- A failed workflow's next life: a new epoch, which no engine has yet. Who cancelled it, and why, stays.
-- By the primary key, whatever Postgres knows of the table: `IS TRUE` keeps the index by state out of it.
UPDATE recordfirst.start
SET state = 'open', epoch = epoch + 1, engine = NULL, result = NULL, error = CASE WHEN lives_from IS NOT NULL THEN error END, finished_at = NULL
WHERE app = %(app)s AND id = %(id)s AND (state = 'failed') IS TRUE
RETURNING {start}
