-- The same values under the newest key, unless the projection has changed since it was read.
UPDATE recordfirst_projection SET request = :request, fingerprint = :fingerprint
WHERE app = :app AND key = :key AND version = :version AND fingerprint = :was
RETURNING key
