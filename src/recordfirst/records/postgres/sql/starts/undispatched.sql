-- Open starts, not stopped, that this engine does not have: no engine has them, or another one had (it was lost, or replaced). Asked for
-- again and again, so each branch reads in start_to_run what it gives, and nothing that this engine has. The first is
-- in the order of the whole index, too: Postgres does not see that where all are NULL, the rest of it is an order.
SELECT {start} FROM (
    (SELECT * FROM recordfirst.start
     WHERE app = %(app)s AND finished_at IS NULL AND stopped_at IS NULL AND engine IS NULL
     ORDER BY engine COLLATE "C", created_at LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM recordfirst.start
     WHERE app = %(app)s AND finished_at IS NULL AND stopped_at IS NULL AND engine COLLATE "C" < %(engine)s
     ORDER BY engine COLLATE "C", created_at LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM recordfirst.start
     WHERE app = %(app)s AND finished_at IS NULL AND stopped_at IS NULL AND engine COLLATE "C" > %(engine)s
     ORDER BY engine COLLATE "C", created_at LIMIT %(limit)s)
) AS missing
ORDER BY created_at
LIMIT %(limit)s
