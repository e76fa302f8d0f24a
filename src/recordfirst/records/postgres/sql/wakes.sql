-- Read from the partial index receipt_wakes alone: asked for again and again, and nearly always empty.
-- A body that parks while its workflow is being ended parks in a life that is over: nobody waits there for a wake.
SELECT key, attempt, parked_on FROM recordfirst.receipt AS receipt
WHERE receipt.app = %(app)s AND parked_on IS NOT NULL AND state <> 'unknown'
  AND NOT EXISTS (
      SELECT 1 FROM recordfirst.start AS start
      WHERE start.app = receipt.app AND start.id = receipt.workflow AND start.state <> 'open'
  )
ORDER BY key, attempt
LIMIT %(limit)s
