-- A write's receipt with the intents that ride along, in one statement.
INSERT INTO recordfirst.receipt (
    app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result, error, settled_at,
    calls, doubts, key_since, last_call_at
)
SELECT
    %(app)s, key, attempt, kind, function, workflow, state, fingerprint, request::json, frozen::json, undo, result::json, error::json,
    CASE WHEN state IN ('declined', 'succeeded') THEN clock_timestamp() END,
    CASE WHEN accepted_at IS NULL THEN 0 ELSE 1 END, CASE WHEN accepted_at IS NULL THEN 0 ELSE 1 END,
    lost_from, accepted_at
FROM unnest(
    %(key)s::text[], %(attempt)s::integer[], %(kind)s::text[], %(function)s::text[], %(workflow)s::text[],
    %(state)s::text[], %(fingerprint)s::text[], %(request)s::text[], %(frozen)s::text[], %(undo)s::text[],
    %(result)s::text[], %(error)s::text[]
) AS new (key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result, error)
LEFT JOIN recordfirst.timeline ON timeline.app = %(app)s AND new.state = 'intended' AND doubted_until > coalesce(
    (SELECT created_at FROM recordfirst.start WHERE app = %(app)s AND id = new.workflow), clock_timestamp()
)
ON CONFLICT DO NOTHING
RETURNING key, attempt
