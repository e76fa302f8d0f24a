-- Ids that have failed, and why.
SELECT id::text, status FROM recordfirst.ledger_refusal
WHERE app = %(app)s AND id = ANY(%(id)s::text[]::numeric[])
