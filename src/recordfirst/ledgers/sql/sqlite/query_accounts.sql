-- A page of accounts by what they carry, along the index by time.
SELECT {account} FROM recordfirst_ledger_account
WHERE app = :app AND timestamp BETWEEN :timestamp_min AND :timestamp_max
  AND (:user_data_128 = '0' OR user_data_128 = :user_data_128)
  AND (:user_data_64 = '0' OR user_data_64 = :user_data_64)
  AND (:user_data_32 = 0 OR user_data_32 = :user_data_32)
  AND (:ledger = 0 OR ledger = :ledger)
  AND (:code = 0 OR code = :code)
ORDER BY timestamp {order}
LIMIT :limit
