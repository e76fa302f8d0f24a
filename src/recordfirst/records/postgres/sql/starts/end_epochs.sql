-- An operator ends an open workflow: its epochs so far begin no further step. The next one, if there is to be one, undoes.
-- By the primary key, whatever Postgres knows of the table: `IS TRUE` keeps the index by state out of it.
UPDATE recordfirst.start
SET epoch = epoch + 1, min_epoch = epoch + 1, left_in = coalesce(engine, left_in, ''), engine = NULL,
    state = CASE WHEN %(undo)s THEN 'open' ELSE 'cancelled' END,
    finished_at = CASE WHEN NOT %(undo)s THEN clock_timestamp() END,
    undo_only = %(undo)s, stop = NULL, stopped_at = NULL, stopped_in = NULL, tries = 0, error = %(error)s::json
WHERE app = %(app)s AND id = %(id)s AND (state = 'open') IS TRUE
RETURNING {start}
