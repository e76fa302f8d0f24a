-- A timeline's columns in the order of the fields of Timeline; times as milliseconds.
record, history_id, restores, held, floor(extract(epoch FROM held_at) * 1000)::bigint,
floor(extract(epoch FROM seen_at) * 1000)::bigint, floor(extract(epoch FROM accepted_at) * 1000)::bigint,
floor(extract(epoch FROM doubted_until) * 1000)::bigint
