-- A page of what one step has done, in the order of keys, to compare it with what there is outside. By the primary
-- key: it reads past the receipts of other steps.
SELECT {receipt} FROM recordfirst_receipt
WHERE app = :app AND kind = 'effect' AND state = 'succeeded' AND function = :function
  AND (key, attempt) > (:after, :after_attempt)
ORDER BY key, attempt
LIMIT :limit
