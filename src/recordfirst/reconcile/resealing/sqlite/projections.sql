-- A page of projections, by key, behind the one given.
SELECT key, request, fingerprint, version FROM recordfirst_projection
WHERE app = :app AND key > :after ORDER BY key LIMIT :limit
