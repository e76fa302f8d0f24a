-- What is unknown or pending, and parked again, since then stays parked.
-- By the primary key: `IS TRUE` keeps the index of wakes out of it, which would lead through all that is to be woken.
UPDATE recordfirst.receipt AS receipt
SET parked_on = NULL, revision = revision + 1
FROM unnest(%(key)s::text[], %(attempt)s::integer[], %(parked_on)s::text[]) AS woken (key, attempt, parked_on)
WHERE receipt.app = %(app)s AND receipt.key = ANY(%(key)s::text[])
  AND receipt.key = woken.key AND receipt.attempt = woken.attempt
  AND receipt.parked_on = woken.parked_on AND (receipt.state NOT IN ('unknown', 'pending')) IS TRUE
