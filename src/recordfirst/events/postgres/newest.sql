-- Events, newest first, of one state or of all.
SELECT {event} FROM recordfirst.event
WHERE app = %(app)s AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY received_at DESC LIMIT %(limit)s
