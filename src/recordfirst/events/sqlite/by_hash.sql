-- One event, whether its retention is over or not.
SELECT {event} FROM recordfirst_event WHERE app = :app AND hash = :hash
