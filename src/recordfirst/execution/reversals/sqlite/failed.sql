-- A handler has failed, once more than was seen.
UPDATE recordfirst_reversal
SET tries = tries + 1, error = :error, next_at_ms = (SELECT now_ms FROM recordfirst_clock) + :wait_ms
WHERE app = :app AND hash = :hash AND handled_by IS NULL AND tries = :tries
RETURNING hash
