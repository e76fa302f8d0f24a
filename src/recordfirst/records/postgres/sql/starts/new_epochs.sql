-- A new epoch for all that is open, or all that this engine was given. By start_by_state.
UPDATE recordfirst.start SET epoch = epoch + 1, engine = NULL
WHERE app = %(app)s AND state = 'open' AND (%(engine)s::text IS NULL OR engine = %(engine)s)
RETURNING id
