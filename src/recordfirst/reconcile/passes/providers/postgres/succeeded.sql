-- A page of what some effects have done in a time, in the order of their keys. Reads all receipts of that time.
SELECT {row} FROM recordfirst.receipt AS receipt
WHERE app = %(app)s AND kind = 'effect' AND state = 'succeeded' AND function = ANY(%(function)s::text[])
  AND created_at >= to_timestamp(%(since_ms)s::bigint / 1000.0)
  AND created_at < to_timestamp(%(before_ms)s::bigint / 1000.0)
  AND (key, attempt) > (%(key)s, %(after_attempt)s)
ORDER BY key, attempt
LIMIT %(limit)s
