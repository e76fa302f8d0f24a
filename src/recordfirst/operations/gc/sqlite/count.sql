-- What would be dropped; see drop.sql.
SELECT count(*) FROM json_each(:rows)
JOIN recordfirst_receipt AS receipt ON receipt.workflow = json_extract(value, '$.workflow') AND receipt.app = :app
WHERE NOT (state IN ('succeeded', 'declined') AND kind = 'effect' AND function IN (SELECT value FROM json_each(:kept)))
  AND NOT (state = 'succeeded' AND kind = 'write' AND receipt.key <> receipt.workflow || '/' || function)
