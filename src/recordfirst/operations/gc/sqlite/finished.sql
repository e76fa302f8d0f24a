-- A page of what ended long ago, oldest first, behind the start `after`. By the index by state: what was collected is
-- in another state, and costs nothing.
SELECT id FROM recordfirst_start, recordfirst_clock
WHERE app = :app AND state = :state
  AND created_at_ms < now_ms - :older_than_ms AND finished_at_ms < now_ms - :older_than_ms
  AND created_at_ms >= coalesce((SELECT created_at_ms FROM recordfirst_start WHERE app = :app AND id = :after), 0)
  AND (:after IS NULL OR (created_at_ms, id) > (
      SELECT created_at_ms, id FROM recordfirst_start WHERE app = :app AND id = :after
  ))
ORDER BY created_at_ms, id
LIMIT :limit
