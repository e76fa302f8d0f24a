-- One event, whether its retention is over or not.
SELECT {event} FROM recordfirst.event WHERE app = %(app)s AND hash = %(hash)s
