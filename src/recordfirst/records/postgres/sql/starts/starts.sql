-- The newest, of one state or of all. Each branch walks the index start_by_state backwards and stops at the limit.
SELECT {start} FROM (
    (SELECT * FROM recordfirst.start
     WHERE app = %(app)s AND state = 'open' AND (%(state)s::text IS NULL OR %(state)s = 'open')
     ORDER BY created_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM recordfirst.start
     WHERE app = %(app)s AND state = 'succeeded' AND (%(state)s::text IS NULL OR %(state)s = 'succeeded')
     ORDER BY created_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM recordfirst.start
     WHERE app = %(app)s AND state = 'failed' AND (%(state)s::text IS NULL OR %(state)s = 'failed')
     ORDER BY created_at DESC LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM recordfirst.start
     WHERE app = %(app)s AND state = 'cancelled' AND (%(state)s::text IS NULL OR %(state)s = 'cancelled')
     ORDER BY created_at DESC LIMIT %(limit)s)
) AS newest
ORDER BY created_at DESC, id DESC
LIMIT %(limit)s
