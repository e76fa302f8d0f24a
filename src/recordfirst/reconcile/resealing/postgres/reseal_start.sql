-- The same values under the newest key, unless the start has changed since it was read.
UPDATE recordfirst.start SET arguments = %(arguments)s::json, fingerprint = %(fingerprint)s, result = %(result)s::json,
    error = %(error)s::json, stop = %(stop)s::json
WHERE app = %(app)s AND id = %(id)s AND state = %(state)s AND epoch = %(epoch)s AND fingerprint = %(was)s
  AND coalesce(min_epoch, 0) = coalesce(%(min_epoch)s::integer, 0)
RETURNING id
