-- A page of projections, by key, behind the one given.
SELECT key, request::text, fingerprint, version FROM recordfirst.projection
WHERE app = %(app)s AND key > %(after)s ORDER BY key LIMIT %(limit)s
