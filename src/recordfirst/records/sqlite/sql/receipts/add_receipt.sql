-- The hot path of a write. An intent of a workflow from before a restore may have been called; see intend.sql.
-- Of an epoch that is over, nothing is stored.
INSERT INTO recordfirst_receipt (
    app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result, error,
    created_at_ms, settled_at_ms, calls, doubts, key_since_ms, last_call_at_ms
)
SELECT
    :app, :key, :attempt, :kind, :function, :workflow, :state, :fingerprint, :request, :frozen, :undo, :result, :error,
    now_ms, CASE WHEN :state IN ('declined', 'succeeded') THEN now_ms END,
    accepted_at_ms IS NOT NULL, accepted_at_ms IS NOT NULL, lost_from_ms, accepted_at_ms
FROM recordfirst_clock
LEFT JOIN recordfirst_timeline AS timeline ON timeline.app = :app AND :state = 'intended'
  AND doubted_until_ms > coalesce(
      (SELECT created_at_ms FROM recordfirst_start WHERE app = :app AND id = :workflow), now_ms
  )
WHERE NOT EXISTS (
    SELECT 1 FROM recordfirst_start WHERE app = :app AND id = :workflow AND :epoch IS NOT NULL
      AND (min_epoch > :epoch OR state <> 'open')
)
ON CONFLICT DO NOTHING
RETURNING key, attempt
