-- A page of all projections, to compare every mirror with the record.
SELECT {projection} FROM recordfirst.projection
WHERE app = %(app)s AND key > %(after)s::text
ORDER BY key
LIMIT %(limit)s::bigint
