-- A failed workflow's next epoch, which no engine has yet. Who cancelled it, and why, stays. `again` says which attempts
-- are behind it: what was undone or declined is asked for anew, under a new key.
-- By the primary key, whatever Postgres knows of the table: `IS TRUE` keeps the index by state out of it.
UPDATE recordfirst.start
SET state = 'open', epoch = epoch + 1, engine = NULL, result = NULL, error = CASE WHEN undo_only AND %(again)s::json IS NULL THEN error END,
    undo_only = undo_only AND %(again)s::json IS NULL,
    finished_at = NULL, stopped_in = NULL, tries = 0, again = coalesce(%(again)s::json, again)
WHERE app = %(app)s AND id = %(id)s AND (state = 'failed') IS TRUE
RETURNING {start}
