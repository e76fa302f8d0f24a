-- What stays of writes that a step of another workflow may come after: that they were done, and their result.
UPDATE recordfirst.receipt SET request = %(blank)s
WHERE app = %(app)s AND workflow = ANY(%(workflow)s::text[])
  AND state = 'succeeded' AND kind = 'write' AND key <> workflow || '/' || function
