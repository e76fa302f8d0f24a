-- A person has accepted that the record was set back.
UPDATE recordfirst_timeline
SET held = NULL, held_at_ms = NULL, restores = restores + 1, witness = :witness, lost_from_ms = seen_at_ms,
    seen_at_ms = now_ms, accepted_at_ms = now_ms, doubted_until_ms = now_ms + :doubt_ms
FROM recordfirst_clock
WHERE app = :app
