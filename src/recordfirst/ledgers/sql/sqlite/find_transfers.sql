-- Transfers by their ids.
SELECT {transfer} FROM recordfirst_ledger_transfer
WHERE app = :app AND id IN (SELECT json_extract(value, '$.id') FROM json_each(:rows))
