-- Which engine has them, in which epoch. An epoch only moves on; what was closed in the meantime is no engine's business.
-- `+` keeps the index by state out of it, which would lead through all that is open, for each of these.
UPDATE recordfirst_start
SET engine = json_extract(given, '$.engine'), epoch = json_extract(given, '$.epoch')
FROM (SELECT value AS given FROM json_each(:rows))
WHERE app = :app AND id = json_extract(given, '$.id') AND epoch <= json_extract(given, '$.epoch') AND +state = 'open'
