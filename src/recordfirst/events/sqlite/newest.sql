-- Events, newest first, of one state or of all.
SELECT {event} FROM recordfirst_event
WHERE app = :app AND (:state IS NULL OR state = :state)
ORDER BY received_at_ms DESC LIMIT :limit
