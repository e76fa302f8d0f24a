-- The receipts of what was collected, but for what a ledger has decided: it has that for ever, and its receipt says whose.
DELETE FROM recordfirst_receipt
WHERE app = :app AND workflow IN (SELECT json_extract(value, '$.workflow') FROM json_each(:rows))
  AND NOT (state IN ('succeeded', 'declined') AND kind = 'effect' AND function IN (SELECT value FROM json_each(:kept)))
RETURNING 1
