-- Of many workflows that somebody waits for, those that are open: asked again and again, so nothing else is read.
SELECT id FROM recordfirst.start
WHERE app = %(app)s AND id = ANY(%(id)s::text[]) AND state = 'open'
