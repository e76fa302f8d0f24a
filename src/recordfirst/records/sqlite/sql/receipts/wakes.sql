-- Read from the partial index recordfirst_receipt_to_wake: asked for again and again, and nearly always empty.
SELECT key, attempt, parked_on FROM recordfirst_receipt
WHERE app = :app AND parked_on IS NOT NULL AND state NOT IN ('unknown', 'pending')
ORDER BY key, attempt
LIMIT :limit
