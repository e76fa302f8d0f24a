-- A page of reversals, in the order of their hashes: one has no fingerprint to be keyed.
SELECT hash, error::text, ':' FROM recordfirst.reversal
WHERE app = %(app)s AND hash > %(after)s
ORDER BY hash
LIMIT %(limit)s
