-- Open starts that this engine does not have, also those that another engine had (it was lost, or replaced).
SELECT {start} FROM recordfirst_start
WHERE app = :app AND state = 'open' AND engine IS NOT :engine
ORDER BY created_at_ms, rowid
LIMIT :limit
