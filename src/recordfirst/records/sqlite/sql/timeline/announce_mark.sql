-- The next mark, unless somebody else was faster.
INSERT INTO recordfirst_mark (app, engine, generation, number, token, confirmed)
VALUES (:app, :engine, :generation, :number, :token, false)
ON CONFLICT (engine, app)
DO UPDATE SET generation = excluded.generation, number = excluded.number, token = excluded.token, confirmed = false
WHERE recordfirst_mark.number = :seen
