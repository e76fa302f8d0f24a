-- The intent of an effect, with its first call begun, if the write or stage that it depends on is there (P1): one
-- statement, so one commit, before the call. No row if it is not there, if the key is, if effects are held, or of an epoch
-- that is over, or where the record has not the mark that this process has seen: it was restored under it. An intent of a workflow that was accepted before a restore is stored as one that may have been called in
-- the time that was lost.
INSERT INTO recordfirst_receipt (
    app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, created_at_ms,
    calls, doubts, claim, claim_until_ms, key_since_ms, last_call_at_ms
)
SELECT
    :app, :key, :attempt, :kind, :function, :workflow, 'intended', :fingerprint, :request, :frozen, :undo, now_ms,
    1, 1, CASE WHEN accepted_at_ms IS NULL THEN :claim END,
    CASE WHEN accepted_at_ms IS NULL THEN now_ms + :claim_ms END,
    coalesce(lost_from_ms, now_ms), coalesce(accepted_at_ms, now_ms)
FROM recordfirst_clock LEFT JOIN recordfirst_timeline AS doubt ON doubt.app = :app AND doubted_until_ms > coalesce(
    (SELECT created_at_ms FROM recordfirst_start WHERE app = :app AND id = :workflow), now_ms
)
WHERE (:after IS NULL OR EXISTS (
    SELECT 1 FROM recordfirst_receipt WHERE app = :app AND key = :after AND state = 'succeeded'
      AND kind = :after_kind AND function = :after_function
)) AND NOT EXISTS (SELECT 1 FROM recordfirst_timeline WHERE app = :app AND held IS NOT NULL)
AND NOT EXISTS (SELECT 1 FROM recordfirst_start WHERE app = :app AND id = :workflow AND :epoch IS NOT NULL
      AND (min_epoch > :epoch OR state <> 'open'))
AND (:mark_engine IS NULL OR EXISTS (
    SELECT 1 FROM recordfirst_mark
    WHERE app = :app AND engine = :mark_engine AND (generation, number) >= (:mark_generation, :mark_number)
))
ON CONFLICT DO NOTHING
RETURNING (SELECT now_ms FROM recordfirst_clock), true, {receipt}
