-- A page of receipts, by key and attempt, behind the one given.
SELECT key, attempt, request::text, fingerprint, frozen::text, result::text, reply::text, error::text, revision
FROM recordfirst.receipt
WHERE app = %(app)s AND (key, attempt) > (%(after)s, %(after_attempt)s) ORDER BY key, attempt LIMIT %(limit)s
