-- The hot path of a write.
INSERT INTO recordfirst_receipt (
    app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result,
    created_at_ms, settled_at_ms
)
SELECT
    :app, :key, :attempt, :kind, :function, :workflow, :state, :fingerprint, :request, :frozen, :undo, :result,
    now_ms, CASE WHEN :state IN ('declined', 'succeeded') THEN now_ms END
FROM recordfirst_clock
WHERE true
ON CONFLICT DO NOTHING
RETURNING {receipt}
