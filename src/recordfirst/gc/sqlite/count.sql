-- What would be dropped.
SELECT count(*) FROM json_each(:rows)
JOIN recordfirst_receipt AS receipt ON receipt.workflow = json_extract(value, '$.workflow') AND receipt.app = :app
