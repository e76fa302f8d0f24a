-- Open ones by the partial index; or the newest of all.
SELECT {finding} FROM (
    SELECT * FROM (
        SELECT * FROM recordfirst_finding
        WHERE app = :app AND closed_at_ms IS NULL
        ORDER BY number DESC LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT * FROM recordfirst_finding
        WHERE app = :app AND closed_at_ms IS NOT NULL AND :closed
        ORDER BY number DESC LIMIT :limit
    )
)
ORDER BY number DESC
LIMIT :limit
