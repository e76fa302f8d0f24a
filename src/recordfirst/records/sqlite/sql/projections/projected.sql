-- The mirror has this version, or a later one that the record has given.
UPDATE recordfirst_projection
SET projected = max(projected, :version), projected_at_ms = (SELECT now_ms FROM recordfirst_clock), tries = 0,
    error = NULL
WHERE app = :app AND key = :key AND version >= :version
