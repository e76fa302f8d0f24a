-- Whether a call of one of these effects is in doubt, or its answer not stored, that was under way at a time. By
-- receipt_unsettled.
SELECT 1 FROM recordfirst.receipt
WHERE app = %(app)s AND kind = 'effect' AND state IN ('intended', 'unknown') AND function = ANY(%(function)s::text[])
  AND created_at <= to_timestamp(%(begun_ms)s::bigint / 1000.0)
  AND last_call_at >= to_timestamp(%(called_ms)s::bigint / 1000.0)
  AND (doubts > 0 OR reply IS NOT NULL)
LIMIT 1
