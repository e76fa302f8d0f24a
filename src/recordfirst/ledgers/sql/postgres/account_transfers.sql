-- A page of one account's transfers. Each branch walks its own index and stops at the limit.
SELECT {transfer} FROM (
    (SELECT * FROM recordfirst.ledger_transfer
     WHERE app = %(app)s AND debit_account_id = %(id)s::text::numeric AND %(debits)s::bigint = 1
       AND timestamp BETWEEN %(timestamp_min)s::bigint AND %(timestamp_max)s::bigint
     ORDER BY timestamp {order} LIMIT %(limit)s::bigint)
    UNION ALL
    (SELECT * FROM recordfirst.ledger_transfer
     WHERE app = %(app)s AND credit_account_id = %(id)s::text::numeric AND %(credits)s::bigint = 1
       AND timestamp BETWEEN %(timestamp_min)s::bigint AND %(timestamp_max)s::bigint
     ORDER BY timestamp {order} LIMIT %(limit)s::bigint)
) AS both_sides
ORDER BY both_sides.timestamp {order}
LIMIT %(limit)s::bigint
