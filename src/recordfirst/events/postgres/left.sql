-- What is not done and came so long ago, oldest first, behind the event `after`.
SELECT {event} FROM recordfirst.event
WHERE app = %(app)s AND state IN ('waiting', 'stopped')
  AND (state = 'stopped' OR received_at < clock_timestamp() - %(older_than_ms)s::bigint * interval '1 millisecond')
  AND (received_at, hash) > (
      coalesce((SELECT received_at FROM recordfirst.event WHERE app = %(app)s AND hash = %(after)s), '-infinity'),
      coalesce(%(after)s::text, '')
  )
ORDER BY received_at, hash LIMIT %(limit)s
