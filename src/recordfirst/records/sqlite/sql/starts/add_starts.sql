-- Many workflows, accepted together.
INSERT INTO recordfirst_start (app, id, workflow, arguments, fingerprint, created_at_ms)
SELECT
    :app, json_extract(new, '$.id'), json_extract(new, '$.workflow'), json_extract(new, '$.arguments'),
    json_extract(new, '$.fingerprint'), now_ms
FROM (SELECT value AS new FROM json_each(:rows)), recordfirst_clock
WHERE true
ON CONFLICT DO NOTHING
RETURNING {start}
