-- The columns of a `reversal`, in the order of the fields of StoredReversal. One that is to be tried waits for those before it
-- that are, too: the last column is the number of the first of these.
kind, id, amount_minor, currency, floor(extract(epoch FROM happened_at) * 1000)::bigint, hash, key, attempt, number, found_by,
floor(extract(epoch FROM seen_at) * 1000)::bigint, handled_by, tries, error::text, floor(extract(epoch FROM next_at) * 1000)::bigint,
CASE WHEN reversal.next_at IS NOT NULL THEN (
    SELECT min(earlier.number) FROM recordfirst.reversal AS earlier
    WHERE earlier.key = reversal.key AND earlier.app = reversal.app AND earlier.attempt = reversal.attempt
      AND earlier.number < reversal.number AND earlier.next_at IS NOT NULL
) END
