-- These have come to a wait, or to their end: no process has died under them.
UPDATE recordfirst_start SET tries = 0
WHERE app = :app AND id IN (SELECT json_extract(value, '$.id') FROM json_each(:rows)) AND tries > 0
