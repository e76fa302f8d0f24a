-- A start's columns in the order of the fields of Start; times as milliseconds.
id, workflow, arguments::text, fingerprint, state, epoch, engine, result::text, error::text,
floor(extract(epoch FROM created_at) * 1000)::bigint, floor(extract(epoch FROM finished_at) * 1000)::bigint, min_epoch,
undo_only, stop::text, floor(extract(epoch FROM stopped_at) * 1000)::bigint, stopped_in, tries, again::text
