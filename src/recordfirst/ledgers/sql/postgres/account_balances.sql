-- A page of one account's balances after its transfers, along their key.
SELECT balance.debits_pending::text, balance.debits_posted::text, balance.credits_pending::text,
       balance.credits_posted::text, balance.timestamp::text
FROM recordfirst.ledger_balance AS balance
JOIN recordfirst.ledger_transfer AS moved ON moved.timestamp = balance.timestamp AND moved.app = balance.app
WHERE balance.app = %(app)s AND balance.account_id = %(id)s::text::numeric
  AND balance.timestamp BETWEEN %(timestamp_min)s::bigint AND %(timestamp_max)s::bigint
  AND ((%(debits)s::bigint = 1 AND moved.debit_account_id = balance.account_id)
       OR (%(credits)s::bigint = 1 AND moved.credit_account_id = balance.account_id))
ORDER BY balance.timestamp {order}
LIMIT %(limit)s::bigint
