-- New transfers, all of one request, in their order: a trigger moves the balances with each.
INSERT INTO recordfirst_ledger_transfer (
    app, id, debit_account_id, credit_account_id, amount, pending_id, user_data_128, user_data_64, user_data_32, timeout,
    ledger, code, flags, timestamp
)
SELECT :app, json_extract(new, '$.id'), json_extract(new, '$.debit_account_id'),
       json_extract(new, '$.credit_account_id'), CAST(json_extract(new, '$.amount') AS INTEGER),
       nullif(json_extract(new, '$.pending_id'), '0'), json_extract(new, '$.user_data_128'),
       json_extract(new, '$.user_data_64'), CAST(json_extract(new, '$.user_data_32') AS INTEGER),
       CAST(json_extract(new, '$.timeout') AS INTEGER), CAST(json_extract(new, '$.ledger') AS INTEGER),
       CAST(json_extract(new, '$.code') AS INTEGER), CAST(json_extract(new, '$.flags') AS INTEGER),
       CAST(json_extract(new, '$.timestamp') AS INTEGER)
FROM (SELECT key, value AS new FROM json_each(:rows))
ORDER BY key
