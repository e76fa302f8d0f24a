-- Transfers by their ids.
SELECT {transfer} FROM recordfirst.ledger_transfer
WHERE app = %(app)s AND id = ANY(%(id)s::text[]::numeric[])
