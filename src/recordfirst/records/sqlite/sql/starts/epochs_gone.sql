-- The engine no longer holds them. What was ended anew since then stays.
UPDATE recordfirst_start SET left_in = NULL
FROM (SELECT value AS gone FROM json_each(:rows))
WHERE app = :app AND id = json_extract(gone, '$.id') AND min_epoch = json_extract(gone, '$.min_epoch')
