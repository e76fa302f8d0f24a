-- A page of what ended long ago, oldest first, behind the start `after`, and no epoch of it begins a step until the
-- transaction ends. By start_by_state: what was collected is in another state, and costs nothing.
SELECT id FROM recordfirst.start
WHERE app = %(app)s AND state = %(state)s
  AND created_at < clock_timestamp() - %(older_than_ms)s::bigint * interval '1 millisecond'
  AND finished_at < clock_timestamp() - %(older_than_ms)s::bigint * interval '1 millisecond'
  AND created_at >= coalesce(
      (SELECT created_at FROM recordfirst.start WHERE app = %(app)s AND id = %(after)s), '-infinity'
  )
  AND (%(after)s::text IS NULL OR (created_at, id) > (
      SELECT created_at, id FROM recordfirst.start WHERE app = %(app)s AND id = %(after)s
  ))
ORDER BY created_at, id
LIMIT %(limit)s
FOR UPDATE
