-- A handler has failed, once more than was seen.
UPDATE recordfirst.reversal
SET tries = tries + 1, error = %(error)s, next_at = clock_timestamp() + %(wait_ms)s::bigint * interval '1 millisecond'
WHERE app = %(app)s AND hash = %(hash)s AND handled_by IS NULL AND tries = %(tries)s
RETURNING hash
