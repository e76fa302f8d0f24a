-- A write's receipt with the intents that ride along, in one statement.
INSERT INTO recordfirst_receipt (
    app, key, attempt, kind, function, workflow, state, fingerprint, request, frozen, undo, result, error,
    created_at_ms, settled_at_ms, calls, doubts, key_since_ms, last_call_at_ms
)
SELECT
    :app, json_extract(new, '$.key'), json_extract(new, '$.attempt'), json_extract(new, '$.kind'),
    json_extract(new, '$.function'), json_extract(new, '$.workflow'), json_extract(new, '$.state'),
    json_extract(new, '$.fingerprint'), json_extract(new, '$.request'), json_extract(new, '$.frozen'),
    json_extract(new, '$.undo'), json_extract(new, '$.result'), json_extract(new, '$.error'),
    now_ms, CASE WHEN json_extract(new, '$.state') IN ('declined', 'succeeded') THEN now_ms END,
    accepted_at_ms IS NOT NULL, accepted_at_ms IS NOT NULL, lost_from_ms, accepted_at_ms
FROM (SELECT value AS new FROM json_each(:rows)), recordfirst_clock
LEFT JOIN recordfirst_timeline AS timeline ON timeline.app = :app AND json_extract(new, '$.state') = 'intended'
  AND doubted_until_ms > coalesce(
      (SELECT created_at_ms FROM recordfirst_start WHERE app = :app AND id = json_extract(new, '$.workflow')), now_ms
  )
WHERE true
ON CONFLICT DO NOTHING
RETURNING key, attempt
