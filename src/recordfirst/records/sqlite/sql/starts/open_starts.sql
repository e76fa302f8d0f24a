-- A page of what is open, oldest first, behind the start `after`.
SELECT {start} FROM recordfirst_start
WHERE app = :app AND state = 'open'
  AND created_at_ms >= coalesce((SELECT created_at_ms FROM recordfirst_start WHERE app = :app AND id = :after), :since_ms)
  AND (:after IS NULL OR (created_at_ms, id) > (
      SELECT created_at_ms, id FROM recordfirst_start WHERE app = :app AND id = :after
  ))
ORDER BY created_at_ms, id
LIMIT :limit
