-- The columns of a reversal, in the order of COLUMNS.
kind, id, amount_minor, currency, happened_at_ms, hash, key, attempt, number, found_by, seen_at_ms, handled_by, tries, error,
next_at_ms
