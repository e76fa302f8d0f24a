-- A person has accepted that the record was set back.
UPDATE recordfirst.timeline
SET held = NULL, held_at = NULL, restores = restores + 1, witness = %(witness)s, lost_from = seen_at,
    seen_at = clock_timestamp(), accepted_at = clock_timestamp(),
    doubted_until = clock_timestamp() + %(doubt_ms)s::bigint * interval '1 millisecond'
WHERE app = %(app)s
