-- An operator has accepted that the record was restored. What an earlier restore may have lost is as old as it was, and as
-- long in doubt, as long as a workflow of that time can still ask for it.
UPDATE recordfirst_timeline
SET held = NULL, held_at_ms = NULL, restores = restores + 1, history_id = :history_id,
    lost_from_ms = CASE
        WHEN doubted_until_ms > now_ms OR EXISTS (
            SELECT 1 FROM recordfirst_start
            WHERE app = :app AND state IN ('open', 'failed') AND created_at_ms < doubted_until_ms
        ) THEN min(coalesce(lost_from_ms, seen_at_ms), seen_at_ms)
        ELSE seen_at_ms
    END,
    seen_at_ms = now_ms, accepted_at_ms = now_ms, doubted_until_ms = max(coalesce(doubted_until_ms, 0), now_ms + :doubt_ms)
FROM recordfirst_clock
WHERE app = :app
