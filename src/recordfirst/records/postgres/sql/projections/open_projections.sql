-- A page of projections whose mirror is behind. By projection_open, which has nothing else.
SELECT {projection} FROM recordfirst.projection
WHERE app = %(app)s AND projected < version AND key > %(after)s::text
ORDER BY key
LIMIT %(limit)s::bigint
