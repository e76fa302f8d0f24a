-- The end of a retention: what is left of an event that is over is that it came.
UPDATE recordfirst.event SET id = NULL, body = NULL, names = '{}', error = NULL, account = NULL
WHERE (hash, app) IN (
    SELECT hash, app FROM recordfirst.event
    WHERE app = %(app)s AND received_at < clock_timestamp() - %(older_than_ms)s::bigint * interval '1 millisecond'
      AND state IN ('done', 'ignored') AND body IS NOT NULL
    ORDER BY received_at LIMIT %(limit)s
)
RETURNING hash
