-- Accounts that were closed, or are open again.
UPDATE recordfirst_ledger_account
SET flags = CAST(json_extract(given, '$.flags') AS INTEGER)
FROM (SELECT value AS given FROM json_each(:rows))
WHERE app = :app AND id = json_extract(given, '$.id')
