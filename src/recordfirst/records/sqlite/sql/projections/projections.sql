-- A page of all projections, to compare every mirror with the record.
SELECT {projection} FROM recordfirst_projection
WHERE app = :app AND key > :after
ORDER BY key
LIMIT :limit
