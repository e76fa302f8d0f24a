-- A page of effects in one state that is not succeeded, oldest first, behind the receipt `after`.
SELECT {receipt} FROM recordfirst_receipt
WHERE app = :app AND kind = 'effect' AND state <> 'succeeded' AND state = :state
  AND created_at_ms >= coalesce(
      (SELECT created_at_ms FROM recordfirst_receipt WHERE app = :app AND key = :after AND attempt = :after_attempt),
      :since_ms
  )
  AND (:after IS NULL OR (created_at_ms, key, attempt) > (
      SELECT created_at_ms, key, attempt FROM recordfirst_receipt
      WHERE app = :app AND key = :after AND attempt = :after_attempt
  ))
ORDER BY created_at_ms, key, attempt
LIMIT :limit
