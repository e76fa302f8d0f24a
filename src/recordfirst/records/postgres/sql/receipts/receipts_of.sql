-- All that one workflow did, in the order in which it began.
SELECT {receipt} FROM recordfirst.receipt
WHERE app = %(app)s AND workflow = %(workflow)s
ORDER BY created_at, key, attempt
