-- Compare and set: the next state of a receipt, if nobody changed it since it was read. One clock for all its times.
-- While effects are held, no call is begun, and none of a life that is over; see add_receipt.sql. Nor where the record
-- was set back under this process; see intend.sql.
WITH life AS MATERIALIZED (
    SELECT lives_from FROM recordfirst.start
    WHERE app = %(app)s AND id = %(workflow)s AND %(begins_call)s AND %(epoch)s::integer IS NOT NULL FOR KEY SHARE
)
UPDATE recordfirst.receipt
SET revision = revision + 1,
    state = %(state)s,
    calls = %(calls)s,
    doubts = %(doubts)s,
    replayed = %(replayed)s,
    reissue = %(reissue)s,
    claim = %(claim)s,
    claim_until = CASE
        WHEN %(claim)s::text IS NULL THEN NULL
        WHEN %(claim_for_ms)s::bigint IS NULL THEN claim_until
        ELSE clock.now + %(claim_for_ms)s::bigint * interval '1 millisecond'
    END,
    key_since = CASE WHEN %(restart_key_age)s THEN clock.now ELSE key_since END,
    last_call_at = CASE WHEN %(begins_call)s THEN clock.now ELSE last_call_at END,
    next_at = clock.now + %(wait_ms)s::bigint * interval '1 millisecond',
    settled_at = CASE WHEN %(state)s IN ('declined', 'succeeded') THEN coalesce(settled_at, clock.now) END,
    result = %(result)s,
    reply = %(reply)s,
    error = %(error)s,
    parked_on = %(parked_on)s,
    undone_by = %(undone_by)s
FROM (SELECT clock_timestamp() AS now) AS clock
WHERE app = %(app)s AND key = %(key)s AND attempt = %(attempt)s AND revision = %(revision)s
  AND NOT (%(begins_call)s AND EXISTS (SELECT FROM recordfirst.timeline WHERE app = %(app)s AND held IS NOT NULL))
  AND NOT EXISTS (SELECT FROM life WHERE lives_from > %(epoch)s)
  AND (NOT %(begins_call)s OR %(mark_engine)s::text IS NULL OR EXISTS (
      SELECT FROM recordfirst.mark
      WHERE app = %(app)s AND engine = %(mark_engine)s::text
        AND (space, number) >= (%(mark_space)s::integer, %(mark_number)s::bigint)
  ))
RETURNING {receipt}
