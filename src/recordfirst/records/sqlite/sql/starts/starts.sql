-- The newest, of one state or of all. Each branch walks the index by state backwards and stops at the limit.
SELECT {start} FROM (
    SELECT * FROM (SELECT *, rowid FROM recordfirst_start
    WHERE app = :app AND state = 'open' AND (:state IS NULL OR :state = 'open')
    ORDER BY created_at_ms DESC, rowid DESC LIMIT :limit)
    UNION ALL
    SELECT * FROM (SELECT *, rowid FROM recordfirst_start
    WHERE app = :app AND state = 'succeeded' AND (:state IS NULL OR :state = 'succeeded')
    ORDER BY created_at_ms DESC, rowid DESC LIMIT :limit)
    UNION ALL
    SELECT * FROM (SELECT *, rowid FROM recordfirst_start
    WHERE app = :app AND state = 'failed' AND (:state IS NULL OR :state = 'failed')
    ORDER BY created_at_ms DESC, rowid DESC LIMIT :limit)
    UNION ALL
    SELECT * FROM (SELECT *, rowid FROM recordfirst_start
    WHERE app = :app AND state = 'cancelled' AND (:state IS NULL OR :state = 'cancelled')
    ORDER BY created_at_ms DESC, rowid DESC LIMIT :limit)
)
ORDER BY created_at_ms DESC, rowid DESC
LIMIT :limit
