-- Events of an id: of several providers, if they name theirs alike.
SELECT {event} FROM recordfirst.event WHERE app = %(app)s AND id = %(id)s ORDER BY provider
