-- What came of taking an event up. One that is over by now stays so: who was slower changes nothing.
UPDATE recordfirst.event
SET state = %(state)s, tries = %(tries)s, looks = looks + 1, error = %(error)s,
    next_at = clock_timestamp() + %(wait_ms)s::bigint * interval '1 millisecond'
WHERE app = %(app)s AND hash = %(hash)s AND state IN ('open', 'waiting')
RETURNING hash
