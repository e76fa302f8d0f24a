-- A page of projections whose mirror is behind. By recordfirst_projection_open, which has nothing else.
SELECT {projection} FROM recordfirst_projection
WHERE app = :app AND projected < version AND key > :after
ORDER BY key
LIMIT :limit
