-- Starts by their ids.
SELECT {start} FROM recordfirst_start
WHERE app = :app AND id IN (SELECT json_extract(value, '$.id') FROM json_each(:rows))
