-- The same body under the newest key, unless its retention has ended since it was read: nothing else changes it.
UPDATE recordfirst.event SET body = %(body)s::json, error = %(error)s::json
WHERE app = %(app)s AND hash = %(hash)s AND body IS NOT NULL AND ':' = %(was)s
RETURNING hash
