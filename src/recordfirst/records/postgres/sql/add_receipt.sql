-- The hot path of a write. Waits for a transaction that is storing the same key, and stores nothing if that commits.
INSERT INTO recordfirst.receipt (
    app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result, settled_at
) VALUES (
    %(app)s, %(key)s, %(attempt)s, %(kind)s, %(function)s, %(workflow)s, %(state)s, %(fingerprint)s, %(request)s,
    %(frozen)s, %(undo)s, %(result)s, CASE WHEN %(state)s IN ('declined', 'succeeded') THEN clock_timestamp() END
)
ON CONFLICT DO NOTHING
RETURNING {receipt}
