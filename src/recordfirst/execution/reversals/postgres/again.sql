-- Have a handler tried again, as an operator asks for.
UPDATE recordfirst.reversal SET tries = 0, next_at = clock_timestamp()
WHERE app = %(app)s AND hash = %(hash)s AND handled_by IS NULL
RETURNING hash
