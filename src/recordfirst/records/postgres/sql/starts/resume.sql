-- A stopped workflow may go on, in the epoch that it has. `forget`: an operator says so, and every version may try it.
UPDATE recordfirst.start
SET stop = NULL, stopped_at = NULL, stopped_in = CASE WHEN NOT %(forget)s THEN stopped_in END
WHERE app = %(app)s AND id = %(id)s AND epoch = %(epoch)s AND stopped_at IS NOT NULL AND (state = 'open') IS TRUE
RETURNING {start}
