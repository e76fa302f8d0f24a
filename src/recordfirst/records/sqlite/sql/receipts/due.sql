-- Pending effects whose time has come, first due first, but for those of the effects `besides`, whose provider is being
-- asked. Read from the partial index recordfirst_receipt_pending: asked for each second, and nearly always empty.
SELECT {receipt} FROM recordfirst_receipt
WHERE app = :app AND state = 'pending' AND next_at_ms <= (SELECT now_ms FROM recordfirst_clock)
  AND instr(:besides, ' ' || function || ' ') = 0
ORDER BY next_at_ms
LIMIT :limit
