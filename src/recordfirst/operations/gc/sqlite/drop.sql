-- The receipts of what was collected, except for those that say what is there for ever: what a ledger has decided or a
-- reference has, and writes that a step of another workflow may come after, since their key names no workflow.
DELETE FROM recordfirst_receipt
WHERE app = :app AND workflow IN (SELECT json_extract(value, '$.workflow') FROM json_each(:rows))
  AND NOT (state IN ('succeeded', 'declined') AND kind = 'effect' AND function IN (SELECT value FROM json_each(:kept)))
  AND NOT (state = 'succeeded' AND kind = 'write' AND key <> workflow || '/' || function)
RETURNING 1
