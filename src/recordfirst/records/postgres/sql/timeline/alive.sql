-- Record and engine are consistent. Not while effects are held: then this time bounds what was lost.
UPDATE recordfirst.timeline SET seen_at = clock_timestamp()
WHERE app = %(app)s AND held IS NULL
