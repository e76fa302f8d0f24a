-- Take an event up again, as an operator asks for: also one that is done, or stopped.
UPDATE recordfirst.event SET state = 'open', tries = 0, looks = 0, error = NULL, next_at = clock_timestamp()
WHERE app = %(app)s AND hash = %(hash)s AND body IS NOT NULL AND state <> 'ignored'
RETURNING hash
