-- The same values under the newest key, unless the receipt has changed since it was read.
UPDATE recordfirst.receipt SET request = %(request)s::json, fingerprint = %(fingerprint)s, frozen = %(frozen)s::json,
    result = %(result)s::json, reply = %(reply)s::json, error = %(error)s::json
WHERE app = %(app)s AND key = %(key)s AND attempt = %(attempt)s AND revision = %(revision)s AND fingerprint = %(was)s
RETURNING key
