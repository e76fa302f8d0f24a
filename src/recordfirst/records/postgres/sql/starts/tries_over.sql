-- These have come to a wait, or to their end: no process has died under them.
UPDATE recordfirst.start SET tries = 0 WHERE app = %(app)s AND id = ANY(%(id)s::text[]) AND tries > 0
