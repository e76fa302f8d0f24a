-- Opens what is new, and notes of what is open already that it was seen again.
INSERT INTO recordfirst.finding AS finding (app, code, subject, workflow, detail, round)
SELECT %(app)s, code, subject, workflow, detail, round
FROM unnest(%(code)s::text[], %(subject)s::text[], %(workflow)s::text[], %(detail)s::text[], %(round)s::text[])
    AS seen (code, subject, workflow, detail, round)
ON CONFLICT (subject, code, app) WHERE closed_at IS NULL
DO UPDATE SET seen_at = clock_timestamp(), times = finding.times + 1, detail = excluded.detail, round = excluded.round
RETURNING {finding}
