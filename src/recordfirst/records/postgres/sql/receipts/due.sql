-- Pending effects whose time has come, first due first, but for those of the effects `besides`, whose provider is being
-- asked. Read from the partial index receipt_pending alone: asked for each second, and nearly always empty.
SELECT {receipt} FROM recordfirst.receipt
WHERE app = %(app)s AND state = 'pending' AND next_at <= clock_timestamp()
  AND position(' ' || function || ' ' IN %(besides)s::text) = 0
ORDER BY next_at
LIMIT %(limit)s
