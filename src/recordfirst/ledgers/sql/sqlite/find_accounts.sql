-- Accounts by their ids.
SELECT {account} FROM recordfirst_ledger_account
WHERE app = :app AND id IN (SELECT json_extract(value, '$.id') FROM json_each(:rows))
