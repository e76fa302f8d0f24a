-- Take what is due, oldest first: nobody else does for so long. Who dies with it leaves it to the next.
UPDATE recordfirst.event SET next_at = clock_timestamp() + %(claim_ms)s::bigint * interval '1 millisecond'
WHERE (hash, app) IN (
    SELECT hash, app FROM recordfirst.event
    WHERE next_at <= clock_timestamp() AND app = %(app)s
    ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING {event}
