-- Compare and set: the next state of a receipt, if nobody changed it since it was read.
-- While effects are held, no call is begun, and none of a life that is over. Nor where the record was set back under this
-- process; see intend.sql.
UPDATE recordfirst_receipt
SET revision = revision + 1,
    state = :state,
    calls = :calls,
    doubts = :doubts,
    replayed = :replayed,
    reissue = :reissue,
    claim = :claim,
    claim_until_ms = CASE
        WHEN :claim IS NULL THEN NULL
        WHEN :claim_for_ms IS NULL THEN claim_until_ms
        ELSE clock.now_ms + :claim_for_ms
    END,
    key_since_ms = CASE WHEN :restart_key_age THEN clock.now_ms ELSE key_since_ms END,
    last_call_at_ms = CASE WHEN :begins_call THEN clock.now_ms ELSE last_call_at_ms END,
    next_at_ms = clock.now_ms + :wait_ms,
    settled_at_ms = CASE WHEN :state IN ('declined', 'succeeded') THEN coalesce(settled_at_ms, clock.now_ms) END,
    result = :result,
    reply = :reply,
    error = :error,
    parked_on = :parked_on,
    undone_by = :undone_by
FROM recordfirst_clock AS clock
WHERE app = :app AND key = :key AND attempt = :attempt AND revision = :revision
  AND NOT (:begins_call AND EXISTS (SELECT 1 FROM recordfirst_timeline WHERE app = :app AND held IS NOT NULL))
  AND NOT (:begins_call AND EXISTS (
      SELECT 1 FROM recordfirst_start WHERE app = :app AND id = :workflow AND lives_from > :epoch
  ))
  AND (NOT :begins_call OR :mark_engine IS NULL OR EXISTS (
      SELECT 1 FROM recordfirst_mark
      WHERE app = :app AND engine = :mark_engine AND (space, number) >= (:mark_space, :mark_number)
  ))
RETURNING {receipt}
