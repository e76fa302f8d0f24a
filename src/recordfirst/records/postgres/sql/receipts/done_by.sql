-- A page of what one step has done, in the order of keys, to compare it with what there is outside. By the primary
-- key: it reads past the receipts of other steps.
SELECT {receipt} FROM recordfirst.receipt
WHERE app = %(app)s AND kind = 'effect' AND state = 'succeeded' AND function = %(function)s
  AND (key, attempt) > (%(after)s::text, %(after_attempt)s::integer)
ORDER BY key, attempt
LIMIT %(limit)s::bigint
