-- What is pending and has come to its timeout.
SELECT id::text FROM recordfirst.ledger_pending
WHERE app = %(app)s AND status = 'pending' AND expires_at IS NOT NULL
  AND expires_at <= coalesce(%(timestamp)s::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000)
ORDER BY expires_at
LIMIT %(limit)s::bigint
