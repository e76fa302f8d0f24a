-- Open starts, not stopped, that this engine does not have: no engine has them, or another one had (it was lost, or replaced). Asked for
-- again and again, so each branch reads in recordfirst_start_to_run what it gives, and nothing that this engine has.
SELECT {start} FROM (
    SELECT * FROM (SELECT *, rowid FROM recordfirst_start
    WHERE app = :app AND finished_at_ms IS NULL AND stopped_at_ms IS NULL AND engine IS NULL
    ORDER BY created_at_ms, rowid LIMIT :limit)
    UNION ALL
    SELECT * FROM (SELECT *, rowid FROM recordfirst_start
    WHERE app = :app AND finished_at_ms IS NULL AND stopped_at_ms IS NULL AND engine < :engine
    ORDER BY engine, created_at_ms, rowid LIMIT :limit)
    UNION ALL
    SELECT * FROM (SELECT *, rowid FROM recordfirst_start
    WHERE app = :app AND finished_at_ms IS NULL AND stopped_at_ms IS NULL AND engine > :engine
    ORDER BY engine, created_at_ms, rowid LIMIT :limit)
)
ORDER BY created_at_ms, rowid
LIMIT :limit
