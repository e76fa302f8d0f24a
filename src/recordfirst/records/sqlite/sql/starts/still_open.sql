-- Of many workflows that somebody waits for, those that are open: asked again and again, so nothing else is read. `+` keeps
-- the index by state out of it, which would lead through all that is open.
SELECT id FROM recordfirst_start
WHERE app = :app AND id IN (SELECT json_extract(value, '$.id') FROM json_each(:rows)) AND +state = 'open'
