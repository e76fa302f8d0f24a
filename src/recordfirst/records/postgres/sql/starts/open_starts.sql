-- A page of what is open, oldest first, behind the start `after`. By start_by_state: costs what is open.
SELECT {start} FROM recordfirst.start
WHERE app = %(app)s AND state = 'open'
  AND created_at >= coalesce(
      (SELECT created_at FROM recordfirst.start WHERE app = %(app)s AND id = %(after)s),
      to_timestamp(%(since_ms)s::bigint / 1000.0)
  )
  AND (%(after)s::text IS NULL OR (created_at, id) > (
      SELECT created_at, id FROM recordfirst.start WHERE app = %(app)s AND id = %(after)s
  ))
ORDER BY created_at, id
LIMIT %(limit)s
