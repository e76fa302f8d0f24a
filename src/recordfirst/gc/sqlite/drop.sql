-- The receipts of what was collected.
DELETE FROM recordfirst_receipt
WHERE app = :app AND workflow IN (SELECT json_extract(value, '$.workflow') FROM json_each(:rows))
RETURNING 1
