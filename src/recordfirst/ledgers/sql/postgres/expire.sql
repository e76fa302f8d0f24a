-- A trigger releases what they hold, on both sides.
UPDATE recordfirst.ledger_pending SET status = 'expired'
WHERE app = %(app)s AND id = ANY(%(id)s::text[]::numeric[]) AND status = 'pending'
