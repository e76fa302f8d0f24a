-- A write's receipt with the intents that ride along, in one statement.
INSERT INTO recordfirst.receipt (
    app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result, settled_at
)
SELECT
    %(app)s, key, attempt, kind, function, workflow, state, fingerprint, request::json, frozen::json, undo, result::json,
    CASE WHEN state IN ('declined', 'succeeded') THEN clock_timestamp() END
FROM unnest(
    %(key)s::text[], %(attempt)s::integer[], %(kind)s::text[], %(function)s::text[], %(workflow)s::text[],
    %(state)s::text[], %(fingerprint)s::text[], %(request)s::text[], %(frozen)s::text[], %(undo)s::text[],
    %(result)s::text[]
) AS new (key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result)
ON CONFLICT DO NOTHING
RETURNING {receipt}
