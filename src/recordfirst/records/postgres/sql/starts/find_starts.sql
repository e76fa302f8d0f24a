-- Starts by their ids.
SELECT {start} FROM recordfirst.start
WHERE app = %(app)s AND id = ANY(%(id)s::text[])
