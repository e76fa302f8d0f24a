-- Open ones by the partial index finding_open; or the newest of all.
SELECT {finding} FROM (
    (SELECT * FROM recordfirst.finding
     WHERE app = %(app)s AND closed_at IS NULL
     ORDER BY number DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM recordfirst.finding
     WHERE app = %(app)s AND closed_at IS NOT NULL AND %(closed)s
     ORDER BY number DESC LIMIT %(limit)s)
) AS found
ORDER BY number DESC
LIMIT %(limit)s
