-- A page of one account's balances after its transfers, along their key.
SELECT balance.debits_pending, balance.debits_posted, balance.credits_pending, balance.credits_posted, balance.timestamp
FROM recordfirst_ledger_balance AS balance
JOIN recordfirst_ledger_transfer AS moved ON moved.timestamp = balance.timestamp AND moved.app = balance.app
WHERE balance.app = :app AND balance.account_id = :id AND balance.timestamp BETWEEN :timestamp_min AND :timestamp_max
  AND ((:debits = 1 AND moved.debit_account_id = balance.account_id)
       OR (:credits = 1 AND moved.credit_account_id = balance.account_id))
ORDER BY balance.timestamp {order}
LIMIT :limit
