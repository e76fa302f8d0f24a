-- A page of what some effects have done in a time, in the order of their keys. Reads all receipts of that time.
SELECT {row} FROM recordfirst_receipt AS receipt
WHERE app = :app AND kind = 'effect' AND state = 'succeeded'
  AND function IN (SELECT json_extract(value, '$.function') FROM json_each(:rows))
  AND created_at_ms >= :since_ms AND created_at_ms < :before_ms
  AND (key, attempt) > (:key, :after_attempt)
ORDER BY key, attempt
LIMIT :limit
