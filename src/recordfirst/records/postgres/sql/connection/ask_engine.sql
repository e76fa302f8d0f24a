-- Requests of Resonate's protocol to the functions of resonate-pg in this database, in the order given.
SELECT resonate.resonate_rpc(request::jsonb)::text
FROM unnest(%(requests)s::text[]) WITH ORDINALITY AS asked (request, number)
ORDER BY number
