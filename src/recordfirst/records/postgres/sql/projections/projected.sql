-- The mirror has this version, or a later one that the record has given.
UPDATE recordfirst.projection
SET projected = greatest(projected, %(version)s::bigint), projected_at = clock_timestamp(), tries = 0, error = NULL
WHERE app = %(app)s AND key = %(key)s AND version >= %(version)s::bigint
