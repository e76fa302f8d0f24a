-- A timeline's columns in the order of the fields of Timeline.
record, history_id, restores, held, held_at_ms, seen_at_ms, accepted_at_ms, doubted_until_ms
