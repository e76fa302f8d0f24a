-- The mirror has not confirmed a version; counts it, for the pause before the next.
UPDATE recordfirst.projection SET tries = tries + 1, error = %(error)s::json
WHERE app = %(app)s AND key = %(key)s AND projected < version
RETURNING tries
