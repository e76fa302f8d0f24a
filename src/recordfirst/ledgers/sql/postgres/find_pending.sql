-- What became of pending transfers.
SELECT id::text, status FROM recordfirst.ledger_pending
WHERE app = %(app)s AND id = ANY(%(id)s::text[]::numeric[])
