-- Take what is due, oldest first: nobody else does for so long. Who dies with it leaves it to the next. Not
-- of the providers `besides`, of whose events enough are being taken up.
-- MATERIALIZED, because a plan may run a subquery that locks once for each row, and each time it locks others.
WITH due AS MATERIALIZED (
    SELECT hash AS due_hash, app AS due_app FROM recordfirst.event
    WHERE next_at <= clock_timestamp() AND app = %(app)s
      AND position(chr(10) || provider || chr(10) IN %(besides)s::text) = 0
    ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE recordfirst.event AS event
SET next_at = clock_timestamp() + %(claim_ms)s::bigint * interval '1 millisecond'
FROM due WHERE hash = due_hash AND app = due_app
RETURNING {event}
