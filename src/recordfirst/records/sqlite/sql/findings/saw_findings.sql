-- Opens what is new, and notes of what is open already that it was seen again.
INSERT INTO recordfirst_finding (app, code, subject, workflow, detail, round, opened_at_ms, seen_at_ms)
SELECT
    :app, json_extract(value, '$.code'), json_extract(value, '$.subject'), json_extract(value, '$.workflow'),
    json_extract(value, '$.detail'), json_extract(value, '$.round'), now_ms, now_ms
FROM json_each(:rows), recordfirst_clock
WHERE true
ON CONFLICT (subject, code, app) WHERE closed_at_ms IS NULL
DO UPDATE SET seen_at_ms = excluded.seen_at_ms, times = times + 1, detail = excluded.detail, round = excluded.round
RETURNING {finding}
