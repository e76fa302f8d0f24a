-- What would be dropped; see drop.sql.
SELECT count(*) FROM unnest(%(workflow)s::text[]) AS given (workflow)
JOIN recordfirst.receipt ON receipt.workflow = given.workflow AND receipt.app = %(app)s
WHERE NOT (state IN ('succeeded', 'declined') AND kind = 'effect'
           AND function IN (SELECT json_array_elements_text(%(kept)s::json)))
  AND NOT (state = 'succeeded' AND kind = 'write' AND receipt.key <> receipt.workflow || '/' || function)
