-- Ids that have failed, and why.
SELECT id, status FROM recordfirst_ledger_refusal
WHERE app = :app AND id IN (SELECT json_extract(value, '$.id') FROM json_each(:rows))
