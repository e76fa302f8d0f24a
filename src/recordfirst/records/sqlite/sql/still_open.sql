-- Of many workflows that somebody waits for, those that are open: asked again and again, so nothing else is read.
SELECT id FROM recordfirst_start
WHERE app = :app AND id IN (SELECT json_extract(value, '$.id') FROM json_each(:rows)) AND state = 'open'
