-- The receipts of what was collected, but for what a ledger has decided: it has that for ever, and its receipt says whose.
DELETE FROM recordfirst.receipt
WHERE app = %(app)s AND workflow = ANY(%(workflow)s::text[])
  AND NOT (state IN ('succeeded', 'declined') AND kind = 'effect'
           AND function IN (SELECT json_array_elements_text(%(kept)s::json)))
RETURNING 1
