-- A page of starts, by id, behind the one given.
SELECT id, arguments::text, fingerprint, result::text, error::text, state, epoch, min_epoch, stop::text
FROM recordfirst.start
WHERE app = %(app)s AND id > %(after)s ORDER BY id LIMIT %(limit)s
