-- Many workflows, accepted together.
INSERT INTO recordfirst.start (app, id, workflow, arguments, fingerprint)
SELECT %(app)s, id, workflow, arguments::json, fingerprint
FROM unnest(%(id)s::text[], %(workflow)s::text[], %(arguments)s::text[], %(fingerprint)s::text[])
    AS new (id, workflow, arguments, fingerprint)
ON CONFLICT DO NOTHING
RETURNING {start}
