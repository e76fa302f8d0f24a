-- A page of one account's transfers. Each branch walks its own index and stops at the limit.
SELECT {transfer} FROM (
    SELECT * FROM (
        SELECT * FROM recordfirst_ledger_transfer
        WHERE app = :app AND debit_account_id = :id AND :debits = 1
          AND timestamp BETWEEN :timestamp_min AND :timestamp_max
        ORDER BY timestamp {order} LIMIT :limit
    )
    UNION ALL
    SELECT * FROM (
        SELECT * FROM recordfirst_ledger_transfer
        WHERE app = :app AND credit_account_id = :id AND :credits = 1
          AND timestamp BETWEEN :timestamp_min AND :timestamp_max
        ORDER BY timestamp {order} LIMIT :limit
    )
)
ORDER BY timestamp {order}
LIMIT :limit
