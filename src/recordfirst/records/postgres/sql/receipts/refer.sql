-- Under which name a provider knows what a call has made. What is there stays.
INSERT INTO recordfirst.receipt_reference (app, key, attempt, kind, id)
SELECT %(app)s, key, attempt, kind, id
FROM unnest(%(key)s::text[], %(attempt)s::integer[], %(kind)s::text[], %(id)s::text[]) AS new (key, attempt, kind, id)
ON CONFLICT DO NOTHING
