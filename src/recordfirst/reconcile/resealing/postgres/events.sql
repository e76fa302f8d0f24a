-- A page of events, in the order of their hashes: one has no fingerprint to be keyed.
SELECT hash, body::text, error::text, ':' FROM recordfirst.event
WHERE app = %(app)s AND hash > %(after)s
ORDER BY hash
LIMIT %(limit)s
