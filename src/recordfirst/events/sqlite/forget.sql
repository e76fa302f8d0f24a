-- The end of a retention: what is left of an event that is over is that it came.
UPDATE recordfirst_event SET id = NULL, body = NULL, names = '{}', error = NULL, account = NULL
WHERE (hash, app) IN (
    SELECT hash, app FROM recordfirst_event
    WHERE app = :app AND received_at_ms < (SELECT now_ms FROM recordfirst_clock) - :older_than_ms
      AND state IN ('done', 'ignored') AND body IS NOT NULL
    ORDER BY received_at_ms LIMIT :limit
)
RETURNING hash
