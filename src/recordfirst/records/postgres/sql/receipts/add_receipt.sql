-- The hot path of a write. Waits for a transaction that is storing the same key, and stores nothing if that commits.
-- An intent of a workflow from before a restore may have been called in the time that was lost; see intend.sql. Of an epoch
-- that is over, nothing is stored: the lock waits for a transaction that is ending it, and such a one waits for us.
WITH epoch AS MATERIALIZED (
    SELECT min_epoch, state FROM recordfirst.start
    WHERE app = %(app)s AND id = %(workflow)s AND %(epoch)s::integer IS NOT NULL FOR KEY SHARE
)
INSERT INTO recordfirst.receipt (
    app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result, error, settled_at,
    calls, doubts, key_since, last_call_at
)
SELECT
    %(app)s, %(key)s, %(attempt)s, %(kind)s, %(function)s, %(workflow)s, %(state)s, %(fingerprint)s, %(request)s::json,
    %(frozen)s::json, %(undo)s, %(result)s::json, %(error)s::json,
    CASE WHEN %(state)s IN ('declined', 'succeeded') THEN clock_timestamp() END,
    CASE WHEN accepted_at IS NULL THEN 0 ELSE 1 END, CASE WHEN accepted_at IS NULL THEN 0 ELSE 1 END,
    lost_from, accepted_at
FROM (SELECT) AS always
LEFT JOIN recordfirst.timeline ON timeline.app = %(app)s AND %(state)s = 'intended' AND doubted_until > coalesce(
    (SELECT created_at FROM recordfirst.start WHERE app = %(app)s AND id = %(workflow)s), clock_timestamp()
)
WHERE NOT EXISTS (SELECT FROM epoch WHERE min_epoch > %(epoch)s OR state <> 'open')
ON CONFLICT DO NOTHING
RETURNING key, attempt
