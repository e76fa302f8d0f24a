-- What is not settled may have been called in the time that was lost: once more than is known, so that a call which is
-- under way now, and comes to nothing, takes back its own doubt alone.
UPDATE recordfirst_receipt
SET doubts = doubts + 1, calls = calls + 1, revision = revision + 1,
    key_since_ms = min(coalesce(key_since_ms, lost_from_ms), lost_from_ms), last_call_at_ms = accepted_at_ms
FROM recordfirst_timeline AS timeline
WHERE timeline.app = :app AND recordfirst_receipt.app = :app
  AND kind = 'effect' AND state <> 'succeeded' AND state IN ('intended', 'unknown', 'pending')
