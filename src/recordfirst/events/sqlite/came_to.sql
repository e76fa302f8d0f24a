-- What came of taking an event up. One that is over by now stays so: who was slower changes nothing.
UPDATE recordfirst_event
SET state = :state, tries = :tries, looks = looks + 1, error = :error,
    next_at_ms = (SELECT now_ms FROM recordfirst_clock) + :wait_ms
WHERE app = :app AND hash = :hash AND state IN ('open', 'waiting')
RETURNING hash
