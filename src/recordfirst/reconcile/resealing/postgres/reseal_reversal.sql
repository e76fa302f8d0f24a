-- The same error under the newest key, unless it was handled since it was read.
UPDATE recordfirst.reversal SET error = %(error)s::json
WHERE app = %(app)s AND hash = %(hash)s AND error IS NOT NULL AND ':' = %(was)s
RETURNING hash
