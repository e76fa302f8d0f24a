-- One that was closed or opened anew in the meantime is not this engine's business any more.
UPDATE recordfirst_start
SET engine = json_extract(given, '$.engine')
FROM (SELECT value AS given FROM json_each(:rows))
WHERE app = :app AND id = json_extract(given, '$.id') AND epoch = json_extract(given, '$.epoch') AND state = 'open'
