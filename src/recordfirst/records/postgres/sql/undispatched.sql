-- Open starts that this engine does not have, also those that another engine had (it was lost, or replaced).
SELECT {start} FROM recordfirst.start
WHERE app = %(app)s AND state = 'open' AND engine IS DISTINCT FROM %(engine)s
ORDER BY created_at
LIMIT %(limit)s
