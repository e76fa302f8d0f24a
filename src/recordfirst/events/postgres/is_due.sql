-- Whether something is due: a look that takes no lock.
-- Not of the providers `besides`, of whose events enough are being taken up.
SELECT 1 FROM recordfirst.event WHERE next_at <= clock_timestamp() AND app = %(app)s
  AND position(chr(10) || provider || chr(10) IN %(besides)s::text) = 0
LIMIT 1
