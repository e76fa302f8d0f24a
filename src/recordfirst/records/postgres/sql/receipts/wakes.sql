-- Read from the partial index receipt_to_wake alone: asked for again and again, and nearly always empty.
SELECT key, attempt, parked_on FROM recordfirst.receipt
WHERE app = %(app)s AND parked_on IS NOT NULL AND state NOT IN ('unknown', 'pending')
ORDER BY key, attempt
LIMIT %(limit)s
