-- Events of an id: of several providers, if they name theirs alike.
SELECT {event} FROM recordfirst_event WHERE app = :app AND id = :id ORDER BY provider
