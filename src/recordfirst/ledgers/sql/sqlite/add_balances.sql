-- What accounts with history had right after each new transfer.
INSERT INTO recordfirst_ledger_balance (
    app, account_id, debits_pending, debits_posted, credits_pending, credits_posted, timestamp
)
SELECT :app, json_extract(value, '$.account_id'), CAST(json_extract(value, '$.debits_pending') AS INTEGER),
       CAST(json_extract(value, '$.debits_posted') AS INTEGER), CAST(json_extract(value, '$.credits_pending') AS INTEGER),
       CAST(json_extract(value, '$.credits_posted') AS INTEGER), CAST(json_extract(value, '$.timestamp') AS INTEGER)
FROM json_each(:rows)
