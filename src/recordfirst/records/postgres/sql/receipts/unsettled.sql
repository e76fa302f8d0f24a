-- A page of effects in one state that is not succeeded, oldest first, behind the receipt `after`. By receipt_unsettled.
SELECT {receipt} FROM recordfirst.receipt
WHERE app = %(app)s AND kind = 'effect' AND state <> 'succeeded' AND state = %(state)s
  AND created_at >= coalesce(
      (SELECT created_at FROM recordfirst.receipt
       WHERE app = %(app)s AND key = %(after)s AND attempt = %(after_attempt)s),
      to_timestamp(%(since_ms)s::bigint / 1000.0)
  )
  AND (%(after)s::text IS NULL OR (created_at, key, attempt) > (
      SELECT created_at, key, attempt FROM recordfirst.receipt
      WHERE app = %(app)s AND key = %(after)s AND attempt = %(after_attempt)s
  ))
ORDER BY created_at, key, attempt
LIMIT %(limit)s
