-- What was taken back of what was collected.
DELETE FROM recordfirst_reversal
WHERE app = :app AND (key, attempt) IN (
    SELECT receipt.key, receipt.attempt FROM json_each(:rows)
    JOIN recordfirst_receipt AS receipt ON receipt.workflow = json_extract(value, '$.workflow') AND receipt.app = :app
)
