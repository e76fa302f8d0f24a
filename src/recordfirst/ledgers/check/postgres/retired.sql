-- A page of the receipts of effects other than these, in the order of their keys.
SELECT key, attempt, state, frozen::text, result::text FROM recordfirst.receipt
WHERE app = %(app)s AND kind = 'effect' AND function <> ALL(%(function)s::text[])
  AND (key, attempt) > (%(key)s::text, %(attempt)s::integer)
ORDER BY key, attempt
LIMIT %(limit)s::bigint
