-- A new epoch for open starts, which no engine has yet; one that has moved on, or was closed, stays as it is.
-- `+` keeps the index by state out of it, which would lead through all that is open, for each of these.
UPDATE recordfirst_start
SET epoch = epoch + 1, engine = NULL
FROM (SELECT value AS given FROM json_each(:rows))
WHERE app = :app AND id = json_extract(given, '$.id') AND epoch = json_extract(given, '$.epoch') AND +state = 'open'
RETURNING id
