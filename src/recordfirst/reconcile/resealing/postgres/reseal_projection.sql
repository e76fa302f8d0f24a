-- The same values under the newest key, unless the projection has changed since it was read.
UPDATE recordfirst.projection SET request = %(request)s::json, fingerprint = %(fingerprint)s
WHERE app = %(app)s AND key = %(key)s AND version = %(version)s AND fingerprint = %(was)s
RETURNING key
