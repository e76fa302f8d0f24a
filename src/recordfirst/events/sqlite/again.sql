-- Take an event up again, as an operator asks for: also one that is done, or stopped.
UPDATE recordfirst_event
SET state = 'open', tries = 0, looks = 0, error = NULL, next_at_ms = (SELECT now_ms FROM recordfirst_clock)
WHERE app = :app AND hash = :hash AND body IS NOT NULL AND state <> 'ignored'
RETURNING hash
