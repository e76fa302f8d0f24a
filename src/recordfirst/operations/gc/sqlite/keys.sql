-- How old the youngest key is under which each effect of a workflow may have been called.
SELECT receipt.workflow, receipt.function, min(now_ms - receipt.key_since_ms)
FROM json_each(:rows), recordfirst_clock
JOIN recordfirst_receipt AS receipt ON receipt.workflow = json_extract(value, '$.workflow') AND receipt.app = :app
WHERE receipt.kind = 'effect' AND receipt.calls > 0 AND receipt.key_since_ms IS NOT NULL
GROUP BY receipt.workflow, receipt.function
