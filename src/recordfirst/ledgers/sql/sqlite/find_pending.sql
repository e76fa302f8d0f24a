-- What became of pending transfers.
SELECT id, status FROM recordfirst_ledger_pending
WHERE app = :app AND id IN (SELECT json_extract(value, '$.id') FROM json_each(:rows))
