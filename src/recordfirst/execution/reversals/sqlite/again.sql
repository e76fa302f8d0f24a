-- Have a handler tried again, as an operator asks for.
UPDATE recordfirst_reversal SET tries = 0, next_at_ms = (SELECT now_ms FROM recordfirst_clock)
WHERE app = :app AND hash = :hash AND handled_by IS NULL
RETURNING hash
