-- The receipts of what was collected.
DELETE FROM recordfirst.receipt
WHERE app = %(app)s AND workflow = ANY(%(workflow)s::text[])
RETURNING 1
