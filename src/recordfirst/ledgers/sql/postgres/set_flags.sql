-- Accounts that were closed, or are open again.
UPDATE recordfirst.ledger_account AS account
SET flags = given.flags::integer
FROM unnest(%(id)s::text[], %(flags)s::text[]) AS given (id, flags)
WHERE account.app = %(app)s AND account.id = given.id::numeric
