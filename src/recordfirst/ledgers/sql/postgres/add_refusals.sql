-- Ids that have failed now; they answer id_already_failed from here on.
INSERT INTO recordfirst.ledger_refusal (app, id, status, timestamp)
SELECT %(app)s, id::numeric, status, timestamp::bigint
FROM unnest(%(id)s::text[], %(status)s::text[], %(timestamp)s::text[]) AS new (id, status, timestamp)
