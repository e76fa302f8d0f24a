-- Which of these indexes are not there. The app has no say in it.
SELECT json_extract(value, '$.name') FROM json_each(:rows)
WHERE :app IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = json_extract(value, '$.name'))
