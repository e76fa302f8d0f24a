-- Whether a call of one of these effects is in doubt, or its answer not stored, that was under way at a time. By
-- recordfirst_receipt_unsettled.
SELECT 1 FROM recordfirst_receipt
WHERE app = :app AND kind = 'effect' AND state <> 'succeeded' AND state IN ('intended', 'unknown')
  AND function IN (SELECT json_extract(value, '$.function') FROM json_each(:rows))
  AND created_at_ms <= :begun_ms AND last_call_at_ms >= :called_ms AND (doubts > 0 OR reply IS NOT NULL)
LIMIT 1
