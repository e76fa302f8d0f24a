-- Accounts by their ids.
SELECT {account} FROM recordfirst.ledger_account
WHERE app = %(app)s AND id = ANY(%(id)s::text[]::numeric[])
