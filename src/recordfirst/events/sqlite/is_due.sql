-- Whether something is due: a look that takes no lock.
SELECT 1 FROM recordfirst_event WHERE next_at_ms <= (SELECT now_ms FROM recordfirst_clock) AND app = :app LIMIT 1
