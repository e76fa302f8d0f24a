-- The intent of an effect, with its first call begun, if the write or stage that it depends on is there (P1): one statement,
-- so one commit, before the call. The second branch sees the table as it was before the first, so of the two only one
-- gives a row. None does if `after` has no receipt, if the key was committed by another while this ran, or if effects
-- are held. An intent of a workflow that was accepted before a restore is stored as one that may have been called in the
-- time that was lost, by nobody here. None either of an epoch that is over; see add_receipt.sql. Nor where the record has
-- not the mark that this process has seen: it was restored under it.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), doubt AS MATERIALIZED (
    SELECT lost_from, accepted_at FROM recordfirst.timeline, clock
    WHERE timeline.app = %(app)s AND doubted_until IS NOT NULL AND doubted_until > coalesce(
        (SELECT created_at FROM recordfirst.start WHERE app = %(app)s AND id = %(workflow)s), clock.now
    )
), epoch AS MATERIALIZED (
    SELECT min_epoch, state FROM recordfirst.start
    WHERE app = %(app)s AND id = %(workflow)s AND %(epoch)s::integer IS NOT NULL FOR KEY SHARE
), stored AS (
    INSERT INTO recordfirst.receipt (
        app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, created_at,
        calls, doubts, claim, claim_until, key_since, last_call_at
    )
    SELECT
        %(app)s, %(key)s, %(attempt)s, %(kind)s, %(function)s, %(workflow)s, 'intended', %(fingerprint)s,
        %(request)s::json, %(frozen)s::json, %(undo)s, now,
        1, 1, CASE WHEN accepted_at IS NULL THEN %(claim)s::text END,
        CASE WHEN accepted_at IS NULL THEN now + %(claim_ms)s * interval '1 millisecond' END,
        coalesce(lost_from, now), coalesce(accepted_at, now)
    FROM clock LEFT JOIN doubt ON true
    WHERE (%(after)s::text IS NULL OR EXISTS (
        SELECT FROM recordfirst.receipt
        WHERE app = %(app)s AND key = %(after)s AND state = 'succeeded'
          AND kind = %(after_kind)s AND function = %(after_function)s
    )) AND NOT EXISTS (SELECT FROM recordfirst.timeline WHERE app = %(app)s AND held IS NOT NULL)
    AND NOT EXISTS (SELECT FROM epoch WHERE min_epoch > %(epoch)s OR state <> 'open')
    AND (%(mark_engine)s::text IS NULL OR EXISTS (
        SELECT FROM recordfirst.mark
        WHERE app = %(app)s AND engine = %(mark_engine)s::text
          AND (generation, number) >= (%(mark_generation)s::integer, %(mark_number)s::bigint)
    ))
    ON CONFLICT DO NOTHING
    RETURNING *
)
SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, true, {receipt} FROM stored
UNION ALL
SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, false, {receipt} FROM recordfirst.receipt
WHERE app = %(app)s AND key = %(key)s AND attempt = %(attempt)s
