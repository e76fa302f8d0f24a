-- Record and engine are consistent. Not while effects are held: then this time bounds what was lost.
UPDATE recordfirst_timeline SET seen_at_ms = (SELECT now_ms FROM recordfirst_clock)
WHERE app = :app AND held IS NULL
