-- A finding's columns in the order of the fields of Finding; times as milliseconds.
code, subject, workflow, detail, number, floor(extract(epoch FROM opened_at) * 1000)::bigint,
floor(extract(epoch FROM seen_at) * 1000)::bigint, times, floor(extract(epoch FROM closed_at) * 1000)::bigint, closed_because
