-- What is not settled may have been called in the time that was lost: once more than is known, so that a call which is
-- under way now, and comes to nothing, takes back its own doubt alone. By receipt_unsettled.
UPDATE recordfirst.receipt AS receipt
SET doubts = doubts + 1, calls = calls + 1, revision = revision + 1,
    key_since = least(coalesce(key_since, lost_from), lost_from), last_call_at = accepted_at
FROM recordfirst.timeline AS timeline
WHERE timeline.app = %(app)s AND receipt.app = %(app)s
  AND receipt.kind = 'effect' AND receipt.state <> 'succeeded' AND receipt.state IN ('intended', 'unknown', 'pending')
