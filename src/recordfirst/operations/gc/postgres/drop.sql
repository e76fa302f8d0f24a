-- The receipts of what was collected, except for those that say what is there for ever: what a ledger has decided or a
-- reference has, and writes that a step of another workflow may come after, since their key names no workflow.
DELETE FROM recordfirst.receipt
WHERE app = %(app)s AND workflow = ANY(%(workflow)s::text[])
  AND NOT (state IN ('succeeded', 'declined') AND kind = 'effect'
           AND function IN (SELECT json_array_elements_text(%(kept)s::json)))
  AND NOT (state = 'succeeded' AND kind = 'write' AND key <> workflow || '/' || function)
RETURNING 1
