-- Under which name a provider knows what a call has made. What is there stays.
INSERT INTO recordfirst_receipt_reference (app, key, attempt, kind, id)
SELECT :app, json_extract(value, '$.key'), json_extract(value, '$.attempt'), json_extract(value, '$.kind'),
    json_extract(value, '$.id')
FROM json_each(:rows)
WHERE true
ON CONFLICT DO NOTHING
