-- Whether something is due: a look that takes no lock.
-- Not of the providers `besides`, of whose events enough are being taken up.
SELECT 1 FROM recordfirst_event WHERE next_at_ms <= (SELECT now_ms FROM recordfirst_clock) AND app = :app
  AND instr(:besides, char(10) || provider || char(10)) = 0
LIMIT 1
