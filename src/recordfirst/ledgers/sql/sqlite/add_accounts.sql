-- New accounts, all of one request.
INSERT INTO recordfirst_ledger_account (
    app, id, ledger, code, flags, user_data_128, user_data_64, user_data_32, timestamp
)
SELECT :app, json_extract(new, '$.id'), CAST(json_extract(new, '$.ledger') AS INTEGER),
       CAST(json_extract(new, '$.code') AS INTEGER), CAST(json_extract(new, '$.flags') AS INTEGER),
       json_extract(new, '$.user_data_128'), json_extract(new, '$.user_data_64'),
       CAST(json_extract(new, '$.user_data_32') AS INTEGER), CAST(json_extract(new, '$.timestamp') AS INTEGER)
FROM (SELECT value AS new FROM json_each(:rows))
