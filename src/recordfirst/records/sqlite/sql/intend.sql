-- The intent of an effect, with its first call begun, if the write that it depends on is there (P1): one statement,
-- so one commit, before the call. No row if it is not there, or if the key is.
INSERT INTO recordfirst_receipt (
    app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, created_at_ms,
    calls, doubts, claim, claim_until_ms, key_since_ms, last_call_at_ms
)
SELECT
    :app, :key, :attempt, :kind, :function, :workflow, 'intended', :fingerprint, :request, :frozen, :undo, now_ms,
    1, 1, :claim, now_ms + :claim_ms, now_ms, now_ms
FROM recordfirst_clock
WHERE :after IS NULL OR EXISTS (
    SELECT 1 FROM recordfirst_receipt WHERE app = :app AND key = :after AND kind = 'write' AND state = 'succeeded'
)
ON CONFLICT DO NOTHING
RETURNING (SELECT now_ms FROM recordfirst_clock), true, {receipt}
