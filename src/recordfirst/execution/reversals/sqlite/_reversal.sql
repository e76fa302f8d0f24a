-- The columns of a `reversal`, in the order of the fields of StoredReversal. One that is to be tried waits for those before it
-- that are, too: the last column is the number of the first of these.
kind, id, amount_minor, currency, happened_at_ms, hash, key, attempt, number, found_by, seen_at_ms, handled_by, tries, error,
next_at_ms,
CASE WHEN reversal.next_at_ms IS NOT NULL THEN (
    SELECT min(earlier.number) FROM recordfirst_reversal AS earlier
    WHERE earlier.key = reversal.key AND earlier.app = reversal.app AND earlier.attempt = reversal.attempt
      AND earlier.number < reversal.number AND earlier.next_at_ms IS NOT NULL
) END
