-- An operator has accepted that the record was restored. What an earlier restore may have lost is as old as it was, and as
-- long in doubt, as long as a workflow of that time can still ask for it.
UPDATE recordfirst.timeline
SET held = NULL, held_at = NULL, restores = restores + 1, history_id = %(history_id)s,
    lost_from = CASE
        WHEN doubted_until > clock.now OR EXISTS (
            SELECT FROM recordfirst.start
            WHERE app = %(app)s AND state IN ('open', 'failed') AND created_at < doubted_until
        ) THEN least(lost_from, seen_at)
        ELSE seen_at
    END,
    seen_at = clock.now, accepted_at = clock.now,
    doubted_until = greatest(doubted_until, clock.now + %(doubt_ms)s::bigint * interval '1 millisecond')
FROM (SELECT clock_timestamp() AS now) AS clock
WHERE app = %(app)s
