-- A page of all projections, for whoever compares every mirror with the record.
SELECT {projection} FROM recordfirst_projection
WHERE app = :app AND key > :after
ORDER BY key
LIMIT :limit
