-- What is pending and has come to its timeout.
SELECT id FROM recordfirst_ledger_pending
WHERE app = :app AND status = 'pending' AND expires_at IS NOT NULL
  AND expires_at <= coalesce(:timestamp, (SELECT now_ms * 1000000 FROM recordfirst_clock))
ORDER BY expires_at
LIMIT :limit
