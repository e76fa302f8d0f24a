-- What stays of writes that a step of another workflow may come after: that they were done, and their result.
UPDATE recordfirst_receipt SET request = :blank
WHERE app = :app AND workflow IN (SELECT json_extract(value, '$.workflow') FROM json_each(:rows))
  AND state = 'succeeded' AND kind = 'write' AND key <> workflow || '/' || function
