-- What is not done and came so long ago, oldest first, behind the event `after`.
SELECT {event} FROM recordfirst_event
WHERE app = :app AND state IN ('waiting', 'stopped')
  AND (state = 'stopped' OR received_at_ms < (SELECT now_ms FROM recordfirst_clock) - :older_than_ms)
  AND (received_at_ms, hash) > (
      coalesce((SELECT received_at_ms FROM recordfirst_event WHERE app = :app AND hash = :after), -1), coalesce(:after, '')
  )
ORDER BY received_at_ms, hash LIMIT :limit
