-- A page of the receipts of effects other than these, in the order of their keys.
SELECT key, attempt, state, frozen, result FROM recordfirst_receipt
WHERE app = :app AND kind = 'effect' AND function NOT IN (SELECT json_extract(value, '$.function') FROM json_each(:rows))
  AND (key, attempt) > (:key, :attempt)
ORDER BY key, attempt
LIMIT :limit
