-- The columns of a reversal, in the order of COLUMNS.
kind, id, amount_minor, currency, floor(extract(epoch FROM happened_at) * 1000)::bigint, hash, key, attempt, number, found_by,
floor(extract(epoch FROM seen_at) * 1000)::bigint, handled_by, tries, error::text, floor(extract(epoch FROM next_at) * 1000)::bigint
